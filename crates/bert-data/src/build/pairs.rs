//! Pairs of segments for next-sentence prediction, as `create_pretraining_data.py` of google-research/bert makes them.
//!
//! One thing differs: where the original may draw the document itself as the "random" one and still label the pair as random,
//! here another document is drawn for certain.

use std::ops::Range;

use super::store::TokenStore;
use crate::error::Result;
use crate::manifest::{Settings, SplitCounts};
use crate::random::{Purpose, Random};

/// `[CLS]` and two `[SEP]`.
const SPECIAL_TOKENS: u64 = 3;

/// One example, as ranges of the token store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// Ids of the first segment; never empty.
    pub(super) first: Range<u64>,
    /// Ids of the second segment; never empty.
    pub(super) second: Range<u64>,
    /// Whether the second segment comes from another document.
    pub(super) is_random_next: bool,
}

/// Makes the pairs of the documents of one split.
pub(super) struct PairMaker<'a> {
    store: &'a TokenStore,
    /// The split's documents; at least two.
    documents: &'a [u64],
    seed: u64,
    short_seq_prob: f64,
    /// Most tokens of both segments together.
    max_tokens: u64,
}

impl<'a> PairMaker<'a> {
    pub(super) fn new(store: &'a TokenStore, documents: &'a [u64], settings: &Settings) -> Self {
        PairMaker {
            store,
            documents,
            seed: settings.seed,
            short_seq_prob: settings.short_seq_prob,
            max_tokens: settings.seq_len as u64 - SPECIAL_TOKENS,
        }
    }

    /// Makes all pairs of the document at `index` of the split.
    ///
    /// Every sentence of the document is used once: in the first segment, in a second one that follows it, or, when a
    /// random segment took that place, put back for the next pair.
    pub(super) fn make(
        &self,
        index: usize,
        counts: &mut SplitCounts,
        mut each: impl FnMut(Pair) -> Result<()>,
    ) -> Result<()> {
        let document = self.documents[index];
        let sentences = self.store.sentences_of(document);
        let mut random = Random::new(self.seed, Purpose::Pairs, 0, document);
        let target = match random.chance(self.short_seq_prob) {
            true => random.between(2, self.max_tokens),
            false => self.max_tokens,
        };
        counts.documents += 1;
        counts.sentences += sentences.end - sentences.start;

        let mut start = sentences.start;
        while start < sentences.end {
            let end = self.chunk_end(start, sentences.end, target);
            let chunk = end - start;
            let first_sentences = match chunk {
                1 => 1,
                _ => random.between(1, chunk - 1),
            };
            let second_start = start + first_sentences;
            let first = self.tokens(start..second_start);
            let is_random_next = chunk == 1 || random.chance(0.5);
            let (second, next_start) = if is_random_next {
                let wanted = target.saturating_sub(length(&first));
                (self.random_segment(index, wanted, &mut random), second_start)
            } else {
                (self.tokens(second_start..end), end)
            };
            let pair = self.truncate(first, second, is_random_next, counts, &mut random);
            counts.examples += 1;
            counts.examples_random_next += u64::from(is_random_next);
            counts.tokens_special += SPECIAL_TOKENS;
            each(pair)?;
            start = next_start;
        }
        Ok(())
    }

    /// The end of the run of sentences from `start` that reaches `target` tokens, or the document's end.
    fn chunk_end(&self, start: u64, document_end: u64, target: u64) -> u64 {
        let mut tokens = 0;
        for sentence in start..document_end {
            tokens += length(&self.store.tokens_of_sentence(sentence));
            if tokens >= target {
                return sentence + 1;
            }
        }
        document_end
    }

    fn tokens(&self, sentences: Range<u64>) -> Range<u64> {
        let last = self.store.tokens_of_sentence(sentences.end - 1);
        self.store.tokens_of_sentence(sentences.start).start..last.end
    }

    /// Sentences of another document, from a random one on, until there are `wanted` tokens or the document ends.
    fn random_segment(&self, index: usize, wanted: u64, random: &mut Random) -> Range<u64> {
        let mut other = random.below(self.documents.len() as u64 - 1) as usize;
        // The document itself is left out of the draw, so the others are equally likely.
        other += usize::from(other >= index);
        let sentences = self.store.sentences_of(self.documents[other]);
        let start = random.between(sentences.start, sentences.end - 1);
        self.tokens(start..self.chunk_end(start, sentences.end, wanted))
    }

    /// Takes tokens off the longer segment, front or back at random, until both fit, and counts what is kept and dropped.
    fn truncate(
        &self,
        mut first: Range<u64>,
        mut second: Range<u64>,
        is_random_next: bool,
        counts: &mut SplitCounts,
        random: &mut Random,
    ) -> Pair {
        let own = length(&first) + if is_random_next { 0 } else { length(&second) };
        while length(&first) + length(&second) > self.max_tokens {
            let longer = match length(&first) > length(&second) {
                true => &mut first,
                false => &mut second,
            };
            match random.chance(0.5) {
                true => longer.start += 1,
                false => longer.end -= 1,
            }
        }
        let kept = length(&first) + if is_random_next { 0 } else { length(&second) };
        counts.tokens += own;
        counts.tokens_kept += kept;
        counts.tokens_truncated += own - kept;
        counts.tokens_random += if is_random_next { length(&second) } else { 0 };
        Pair { first, second, is_random_next }
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}
