//! Pairs of segments: for next-sentence prediction as `create_pretraining_data.py` of google-research/bert makes them, for
//! sentence-order prediction as that of google-research/albert.
//!
//! One thing differs: where the originals may draw the document itself as the "random" one and still label the pair as random,
//! here another document is drawn for certain.

use std::ops::Range;

use super::Pairing;
use super::draft::{Draft, Loaded};
use super::splits::{Entry, SplitList};
use super::store::{Place, TokenStore};
use crate::error::Result;
use crate::manifest::{Settings, SplitCounts};
use crate::random::{Purpose, Random};
use crate::tokenizer::SpecialIds;

/// `[CLS]` and two `[SEP]`.
const SPECIAL_TOKENS: u64 = 3;
/// Ends of sentences read at a time when a random segment is looked for.
const SENTENCE_BLOCK: u64 = 64;

/// Tokens too many beyond which a segment is cut without tossing a coin for each.
const MOST_COINS: u64 = 1 << 14;

/// Where the two segments of an example lie in the store.
struct Pair {
    /// Never empty.
    first: Range<u64>,
    /// Never empty.
    second: Range<u64>,
    /// The second segment comes from another document.
    is_random: bool,
    /// The second segment is written first.
    is_swapped: bool,
}

/// Makes the pairs of the documents of one split.
pub(super) struct PairMaker<'a> {
    store: &'a TokenStore,
    /// The split's documents; at least two.
    list: &'a SplitList,
    special: SpecialIds,
    pairing: Pairing,
    seed: u64,
    short_seq_prob: f64,
    /// Most tokens of both segments together.
    max_tokens: u64,
}

impl<'a> PairMaker<'a> {
    pub(super) fn new(store: &'a TokenStore, list: &'a SplitList, special: SpecialIds, settings: &Settings) -> Self {
        PairMaker {
            store,
            list,
            special,
            pairing: settings.pairing,
            seed: settings.seed,
            short_seq_prob: settings.short_seq_prob,
            max_tokens: settings.seq_len as u64 - SPECIAL_TOKENS,
        }
    }

    /// Makes all pairs of the document at `index` of the split, for copy `copy` of the corpus.
    ///
    /// Every sentence of the document is used once: in the first segment, in a second one that follows it, or, when a
    /// random segment took that place, put back for the next pair.
    pub(super) fn make(
        &self,
        index: u64,
        copy: u64,
        counts: &mut SplitCounts,
        mut each: impl FnMut(&mut Draft) -> Result<()>,
    ) -> Result<()> {
        let mut own = Loaded::default();
        let entry = self.list.entry(index)?;
        own.read(self.store, entry.document)?;
        // Each use of a document, and each copy of the corpus, makes other pairs of it.
        let number = self.list.number(own.document);
        let mut random = Random::new(self.seed, Purpose::Pairs, entry.epoch(copy), number);
        let target = match random.chance(self.short_seq_prob) {
            true => random.between(2, self.max_tokens),
            false => self.max_tokens,
        };
        let sentences = own.sentences();
        counts.add_document(copy, sentences as u64);

        let mut draft = Draft::default();
        let mut start = 0;
        while start < sentences {
            let end = chunk_end(&own, start, target);
            let chunk = end - start;
            let first_sentences = match chunk {
                1 => 1,
                _ => random.between(1, chunk as u64 - 1) as usize,
            };
            let middle = start + first_sentences;
            let first = own.tokens(start..middle);
            // The label's coin is tossed only where there is a choice, as in the originals.
            let heads = chunk > 1 && random.chance(0.5);
            let is_random = chunk == 1 || (heads && self.pairing == Pairing::Nsp);
            let is_swapped = heads && self.pairing == Pairing::Sop;
            let (second, next_start) = if is_random {
                let wanted = target.saturating_sub(length(&first));
                (self.random_segment(index, &entry, wanted, &mut random)?, middle)
            } else {
                (own.tokens(middle..end), end)
            };
            let pair = self.truncate(Pair { first, second, is_random, is_swapped }, counts, &mut random);
            counts.examples += 1;
            counts.examples_random_next += u64::from(is_random);
            counts.examples_swapped += u64::from(is_swapped);
            counts.tokens_special += SPECIAL_TOKENS;
            self.write(&pair, &own, &mut draft)?;
            each(&mut draft)?;
            start = next_start;
        }
        Ok(())
    }

    /// Sentences of another document, from a random one on, until there are `wanted` tokens or the document ends.
    fn random_segment(&self, index: u64, own: &Entry, wanted: u64, random: &mut Random) -> Result<Range<u64>> {
        let mut other = random.below(self.list.len() - own.uses);
        // The document itself is left out of the draw with all its uses, so the others are equally likely.
        other += if other >= index - own.repetition { own.uses } else { 0 };
        let Place { sentences, tokens } = self.store.place(self.list.document(other)?)?;
        let mut sentence = random.between(sentences.start, sentences.end - 1);
        let mut ends = Vec::new();
        let start = match sentence > sentences.start {
            true => {
                self.store.read_sentence_ends(sentence - 1..sentence, &mut ends)?;
                ends[0]
            }
            false => tokens.start,
        };
        while sentence < sentences.end {
            let block_end = sentences.end.min(sentence + SENTENCE_BLOCK);
            self.store.read_sentence_ends(sentence..block_end, &mut ends)?;
            if let Some(&end) = ends.iter().find(|&&end| end - start >= wanted) {
                return Ok(start..end);
            }
            sentence = block_end;
        }
        Ok(start..tokens.end)
    }

    /// Takes tokens off the longer segment, front or back at random, until both fit, and counts what is kept and dropped.
    fn truncate(&self, mut pair: Pair, counts: &mut SplitCounts, random: &mut Random) -> Pair {
        let own = |pair: &Pair| length(&pair.first) + if pair.is_random { 0 } else { length(&pair.second) };
        let before = own(&pair);
        // A line of megabytes may be one sentence. Coins would leave its middle, give or take a few hundred tokens; so does this, at once.
        for segment in [&mut pair.first, &mut pair.second] {
            let excess = length(segment).saturating_sub(self.max_tokens + MOST_COINS);
            *segment = segment.start + excess / 2..segment.end - excess.div_ceil(2);
        }
        while length(&pair.first) + length(&pair.second) > self.max_tokens {
            // Of two equally long segments the one that is written second is cut.
            let longer = match (length(&pair.first).cmp(&length(&pair.second)), pair.is_swapped) {
                (std::cmp::Ordering::Greater, _) | (std::cmp::Ordering::Equal, true) => &mut pair.first,
                _ => &mut pair.second,
            };
            match random.chance(0.5) {
                true => longer.start += 1,
                false => longer.end -= 1,
            }
        }
        let kept = own(&pair);
        counts.tokens += before;
        counts.tokens_kept += kept;
        counts.tokens_truncated += before - kept;
        counts.tokens_random += if pair.is_random { length(&pair.second) } else { 0 };
        pair
    }

    fn write(&self, pair: &Pair, own: &Loaded, draft: &mut Draft) -> Result<()> {
        draft.begin(self.special);
        let (first, second) = match pair.is_swapped {
            true => (&pair.second, &pair.first),
            false => (&pair.first, &pair.second),
        };
        draft.tokens.extend_from_slice(own.ids(first));
        draft.end_segment(self.special);
        let second_start = draft.second_start;
        match pair.is_random {
            true => self.store.read_ids(second.clone(), &mut draft.tokens)?,
            false => draft.tokens.extend_from_slice(own.ids(second)),
        }
        draft.end_segment(self.special);
        draft.second_start = second_start;
        draft.pair_label = pair.is_random || pair.is_swapped;
        Ok(())
    }
}

/// The end of the run of sentences from `start` that reaches `target` tokens, or the document's end.
fn chunk_end(own: &Loaded, start: usize, target: u64) -> usize {
    let sentences = own.sentences();
    (start + 1..sentences).find(|&end| length(&own.tokens(start..end)) >= target).unwrap_or(sentences)
}

fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}
