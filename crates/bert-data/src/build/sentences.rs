//! Full sentences up to the length of an example, without pairs, as RoBERTa has them (Liu et al. 2019, section 4.2).
//!
//! `full-sentences` goes on into the next document with a `[SEP]` between the two, `doc-sentences` does not. A sentence
//! longer than an example is cut into several, so that nothing is lost.

use std::ops::Range;

use super::Pairing;
use super::draft::{Draft, Loaded};
use super::splits::SplitList;
use super::store::TokenStore;
use crate::error::Result;
use crate::manifest::{Settings, SplitCounts};
use crate::tokenizer::SpecialIds;

/// Makes examples of the documents of one split.
pub(super) struct SentencePacker<'a> {
    store: &'a TokenStore,
    list: &'a SplitList,
    special: SpecialIds,
    crosses_documents: bool,
    /// Most tokens of an example, special ones included.
    seq_len: usize,
}

impl<'a> SentencePacker<'a> {
    pub(super) fn new(store: &'a TokenStore, list: &'a SplitList, special: SpecialIds, settings: &Settings) -> Self {
        SentencePacker {
            store,
            list,
            special,
            crosses_documents: settings.pairing == Pairing::FullSentences,
            seq_len: settings.seq_len,
        }
    }

    /// Makes all examples of a run of documents.
    pub(super) fn make(
        &self,
        run: Range<u64>,
        copy: u64,
        counts: &mut SplitCounts,
        mut each: impl FnMut(&mut Draft) -> Result<()>,
    ) -> Result<()> {
        let mut draft = Draft::default();
        let mut own = Loaded::default();
        draft.begin(self.special);
        for index in run {
            own.read(self.store, self.list.document(index)?)?;
            counts.add_document(copy, own.sentences() as u64);
            // Where a document ends inside the example, room for one token beside its [SEP], or there is no point.
            if draft.tokens.len() > 1 {
                match self.crosses_documents && draft.tokens.len() + 3 <= self.seq_len {
                    true => {
                        draft.end_segment(self.special);
                        counts.tokens_special += 1;
                    }
                    false => self.flush(&mut draft, counts, &mut each)?,
                }
            }
            for sentence in 0..own.sentences() {
                let tokens = own.ids(&own.tokens(sentence..sentence + 1));
                counts.tokens += tokens.len() as u64;
                counts.tokens_kept += tokens.len() as u64;
                if draft.tokens.len() + tokens.len() + 1 > self.seq_len && draft.tokens.len() > 1 {
                    self.flush(&mut draft, counts, &mut each)?;
                }
                // Only a sentence longer than an example comes in several pieces.
                let pieces = tokens.chunks(self.seq_len - 2);
                let last = pieces.len() - 1;
                for (i, piece) in pieces.enumerate() {
                    draft.tokens.extend_from_slice(piece);
                    if i < last {
                        self.flush(&mut draft, counts, &mut each)?;
                    }
                }
            }
        }
        if draft.tokens.len() > 1 {
            self.flush(&mut draft, counts, &mut each)?;
        }
        Ok(())
    }

    /// Hands an example over and begins the next one.
    fn flush(
        &self,
        draft: &mut Draft,
        counts: &mut SplitCounts,
        each: &mut impl FnMut(&mut Draft) -> Result<()>,
    ) -> Result<()> {
        // A separator that was set for the next document ends the example when that document's first sentence found no room.
        match draft.tokens.last() == Some(&self.special.sep) {
            true => counts.tokens_special += 1,
            false => {
                draft.end_segment(self.special);
                counts.tokens_special += 2;
            }
        }
        draft.second_start = draft.tokens.len();
        counts.examples += 1;
        each(draft)?;
        draft.begin(self.special);
        Ok(())
    }
}
