//! An example while it is being made.

use std::ops::Range;

use super::store::{Place, TokenStore};
use crate::error::Result;
use crate::tokenizer::SpecialIds;

/// One example: its tokens and what is to be told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Draft {
    /// `[CLS] A [SEP] B [SEP]`, or `[CLS] A [SEP]`.
    pub(super) tokens: Vec<u32>,
    /// Index of the first token of B; the number of tokens when there is none.
    pub(super) second_start: usize,
    /// `nsp`: B comes from another document. `sop`: A and B do not stand in their order.
    pub(super) pair_label: bool,
    /// Positions masked once and for all; empty where masks are drawn while loading.
    pub(super) positions: Vec<u32>,
    /// The tokens that stood there.
    pub(super) labels: Vec<u32>,
}

impl Draft {
    /// Begins an example of one or two segments: `[CLS]`.
    pub(super) fn begin(&mut self, special: SpecialIds) {
        self.tokens.clear();
        self.tokens.push(special.cls);
        self.pair_label = false;
    }

    /// Ends a segment: `[SEP]`. What follows, if anything, is the second one.
    pub(super) fn end_segment(&mut self, special: SpecialIds) {
        self.tokens.push(special.sep);
        self.second_start = self.tokens.len();
    }
}

/// One document in memory: every example of its own text is made from this.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Its number in the store.
    pub(super) document: u64,
    /// Where its sentences end; the first number is where the first begins.
    ends: Vec<u64>,
    ids: Vec<u32>,
}

impl Loaded {
    /// Reads a document in the place of the one that was here.
    pub(super) fn read(&mut self, store: &TokenStore, document: u64) -> Result<()> {
        let Place { sentences, tokens } = store.place(document)?;
        self.document = document;
        store.read_sentence_ends(sentences, &mut self.ends)?;
        self.ends.insert(0, tokens.start);
        self.ids.clear();
        store.read_ids(tokens, &mut self.ids)
    }

    /// Number of its sentences.
    pub(super) fn sentences(&self) -> usize {
        self.ends.len().saturating_sub(1)
    }

    /// Where a run of its sentences lies in the store.
    pub(super) fn tokens(&self, sentences: Range<usize>) -> Range<u64> {
        self.ends[sentences.start]..self.ends[sentences.end]
    }

    /// Its ids at a place in the store.
    pub(super) fn ids(&self, tokens: &Range<u64>) -> &[u32] {
        let start = self.ends[0];
        &self.ids[(tokens.start - start) as usize..(tokens.end - start) as usize]
    }
}
