//! Masked language modelling: which tokens of an example are to be predicted, and what stands in their place.
//!
//! Numbers from Devlin et al. 2019, section 3.1: 15% of the tokens are chosen; 80% of those become `[MASK]`, 10% a random
//! token, 10% stay. The draws are a function of (seed, epoch, example): each epoch masks differently, and a resumed run
//! masks as one that never stopped.

mod choose;
pub mod permutation;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::examples::ExampleSet;
use crate::random::{Purpose, Random};
use crate::tokenizer::{Tokenizer, WordEdges};

/// Exponent of the weights of [`MaskKind::FrequencyWeighted`]: a token that occurs c times weighs c^-0.7 (Lample and Conneau 2019;
/// huggingface/transformers, research project `distillation`).
const SMOOTHING: f64 = 0.7;
/// Most examples whose tokens are counted for those weights; beyond, examples at even distances stand for all.
const MOST_COUNTED: usize = 200_000;

/// What is chosen together. All kinds choose the same number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum MaskKind {
    /// Single tokens (BERT, RoBERTa).
    #[default]
    Token,
    /// Whole words; `[MASK]` or not is drawn for each piece (BERT's later release).
    WholeWord,
    /// Runs of one to three words, a run of n with probability proportional to 1/n (ALBERT).
    #[serde(rename = "n-gram")]
    #[value(name = "n-gram")]
    NGram,
    /// Spans of words of geometric length; `[MASK]` or not is drawn once for a span (SpanBERT).
    Span,
    /// Single tokens, rare ones more often (XLM, DistilBERT).
    FrequencyWeighted,
    /// Runs of one to five words that are left as they are, to be predicted in a random order (XLNet): see [`permutation`].
    Permutation,
}

impl MaskKind {
    /// Whether this is the default, which settings leave out.
    pub fn is_token(&self) -> bool {
        *self == MaskKind::Token
    }
}

/// What a random token is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replacements {
    /// The vocabulary without special and unused tokens.
    #[default]
    Ordinary,
    /// The whole vocabulary, special tokens included, as the original code does it.
    Vocabulary,
}

/// How much is masked, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MaskingOptions {
    /// What is chosen together. Default: single tokens.
    pub kind: MaskKind,
    /// Share of the tokens to predict; special tokens count towards the length, as in the original code. Default 0.15.
    pub rate: f64,
    /// Share of the chosen tokens that become `[MASK]`. Default 0.8.
    pub mask: f64,
    /// Share of the chosen tokens that become a random token; the rest stays as it is. Default 0.1.
    pub random: f64,
    /// Most tokens to predict in one example. Default 20, which fits length 128; 512 wants 76 or 80.
    pub max_predictions: usize,
    /// What a random token is drawn from. Default: ordinary tokens.
    pub replacements: Replacements,
}

impl Default for MaskingOptions {
    fn default() -> Self {
        MaskingOptions {
            kind: MaskKind::Token,
            rate: 0.15,
            mask: 0.8,
            random: 0.1,
            max_predictions: 20,
            replacements: Replacements::Ordinary,
        }
    }
}

impl MaskingOptions {
    /// The defaults of a kind. Permutation targets are 1/6 of the tokens, 85 of 512 (`train.py` of zihangdai/xlnet).
    pub fn of(kind: MaskKind) -> Self {
        match kind {
            MaskKind::Permutation => {
                MaskingOptions { kind, rate: 1.0 / 6.0, mask: 0.0, random: 0.0, max_predictions: 85, ..Self::default() }
            }
            kind => MaskingOptions { kind, ..Self::default() },
        }
    }
}

/// Draws masks for one vocabulary.
#[derive(Debug, Clone)]
pub struct Masker {
    options: MaskingOptions,
    mask_id: u32,
    vocabulary: Arc<Vocabulary>,
}

#[derive(Debug)]
struct Vocabulary {
    /// The tokens that may stand in for another.
    replacements: Vec<u32>,
    /// For each id, whether it may be predicted: all but the special ones.
    is_ordinary: Vec<bool>,
    /// `[CLS]` and `[SEP]`, which have a place in the order of a permutation.
    functional: [u32; 2],
    /// Which tokens belong to one word.
    words: Arc<WordEdges>,
    /// For each id, how readily it is chosen; empty unless that differs.
    weights: Vec<f64>,
}

impl Masker {
    /// A masker for this vocabulary.
    ///
    /// # Errors
    /// [`Error::Setting`] when a share is outside 0..=1, `mask` and `random` exceed 1 together, or nothing may be predicted; for
    /// [`MaskKind::FrequencyWeighted`], which needs counts: see [`Masker::for_examples`].
    pub fn new(options: MaskingOptions, tok: &Tokenizer) -> Result<Self> {
        if options.kind == MaskKind::FrequencyWeighted {
            return Err(Error::Setting {
                name: "masking kind",
                reason: "frequency-weighted needs the counts of the finished examples, so these masks are drawn while loading (--masking dynamic)".into(),
            });
        }
        Self::with_counts(options, tok, &[])
    }

    /// A masker for these training examples, whose tokens are counted where the kind of masking needs it.
    ///
    /// # Errors
    /// As [`Masker::new`].
    pub fn for_examples(options: MaskingOptions, tok: &Tokenizer, examples: &ExampleSet) -> Result<Self> {
        if options.kind != MaskKind::FrequencyWeighted {
            return Self::new(options, tok);
        }
        let mut counts = vec![0_u64; tok.vocab_size()];
        let stride = examples.len().div_ceil(MOST_COUNTED).max(1);
        for index in (0..examples.len()).step_by(stride) {
            for id in examples.get(index).tokens.iter() {
                if let Some(count) = counts.get_mut(id as usize) {
                    *count += 1;
                }
            }
        }
        Self::with_counts(options, tok, &counts)
    }

    fn with_counts(options: MaskingOptions, tok: &Tokenizer, counts: &[u64]) -> Result<Self> {
        let share = |name: &'static str, value: f64| match value {
            value if (0.0..=1.0).contains(&value) => Ok(()),
            value => Err(Error::Setting { name, reason: format!("{value} is not a share between 0 and 1") }),
        };
        share("masking rate", options.rate)?;
        share("masking mask", options.mask)?;
        share("masking random", options.random)?;
        // A little more than 1, for sums like 0.8 + 0.2 that are not exact.
        share("masking mask + random", (options.mask + options.random) / (1.0 + 1e-9))?;
        if options.max_predictions == 0 {
            return Err(Error::Setting {
                name: "masking max_predictions",
                reason: "0 leaves nothing to learn from; the original uses 20 for length 128".into(),
            });
        }
        let is_ordinary: Vec<bool> = (0..tok.vocab_size() as u32).map(|id| !tok.is_special(id)).collect();
        let ordinary = (0..tok.vocab_size() as u32).filter(|&id| is_ordinary[id as usize]).collect();
        let words = tok.words();
        let weights = counts.iter().map(|&count| (count.max(1) as f64).powf(-SMOOTHING)).collect();
        let ordinary = match options.replacements {
            Replacements::Ordinary => ordinary,
            Replacements::Vocabulary => (0..tok.vocab_size() as u32).collect(),
        };
        let functional = [tok.special().cls, tok.special().sep];
        let vocabulary = Arc::new(Vocabulary { replacements: ordinary, is_ordinary, functional, words, weights });
        Ok(Masker { options, mask_id: tok.special().mask, vocabulary })
    }

    /// How much is masked, and with what.
    pub fn options(&self) -> MaskingOptions {
        self.options
    }

    /// Masks `ids` in place. `positions` receives the chosen positions in ascending order and `labels` the tokens that
    /// stood there; both are cleared first.
    ///
    /// The number chosen is `min(max_predictions, max(1, round(len x rate)))`, the length including the special tokens
    /// (`create_pretraining_data.py` of google-research/bert, whose `round` takes halves to the even side), and never more
    /// than there are ordinary tokens.
    pub fn mask(
        &self,
        ids: &mut [u32],
        seed: u64,
        epoch: u64,
        example: u64,
        positions: &mut Vec<u32>,
        labels: &mut Vec<u32>,
    ) {
        let vocabulary = &*self.vocabulary;
        let is_ordinary = |id: u32| vocabulary.is_ordinary.get(id as usize).copied() == Some(true);
        positions.clear();
        labels.clear();
        positions.extend((0..ids.len() as u32).filter(|&position| is_ordinary(ids[position as usize])));

        let wanted = (ids.len() as f64 * self.options.rate).round_ties_even() as usize;
        let count = wanted.max(1).min(self.options.max_predictions).min(positions.len());
        let mut random = Random::new(seed, Purpose::Mask, epoch, example);
        if self.options.kind == MaskKind::Span {
            let spans = choose::spans(&self.words(ids, positions), count, &mut random);
            positions.clear();
            for span in spans {
                // One draw for the whole span.
                let draw = random.unit();
                for position in span {
                    positions.push(position);
                    labels.push(self.replace(&mut ids[position as usize], draw, &mut random));
                }
            }
            return;
        }
        match self.options.kind {
            MaskKind::Token | MaskKind::Span => {
                // The first `count` steps of a Fisher-Yates shuffle: every set of positions is equally likely.
                for i in 0..count {
                    let j = i + random.below((positions.len() - i) as u64) as usize;
                    positions.swap(i, j);
                }
                positions.truncate(count);
            }
            kind => {
                let mut chosen = Vec::with_capacity(count);
                match kind {
                    MaskKind::WholeWord => {
                        choose::whole_words(self.words(ids, positions), count, &mut random, &mut chosen);
                    }
                    MaskKind::NGram => choose::ngrams(&self.words(ids, positions), count, &mut random, &mut chosen),
                    MaskKind::Permutation => {
                        let words = self.words(ids, positions);
                        permutation::targets(positions, &words, count, &mut random, &mut chosen);
                    }
                    _ => {
                        let weight =
                            |at: u32| vocabulary.weights.get(ids[at as usize] as usize).copied().unwrap_or(1.0);
                        choose::weighted(positions, weight, count, &mut random, &mut chosen);
                    }
                }
                positions.clear();
                positions.extend(chosen);
            }
        }
        positions.sort_unstable();
        if self.options.kind == MaskKind::Permutation {
            labels.extend(positions.iter().map(|&position| ids[position as usize]));
            return;
        }
        for &position in &*positions {
            let draw = random.unit();
            labels.push(self.replace(&mut ids[position as usize], draw, &mut random));
        }
    }

    /// The ranks of permutation targets ([`permutation`]), one a position, drawn for (seed, epoch, example). Empty for every other
    /// kind.
    pub fn ranks(&self, ids: &[u32], targets: &[u32], seed: u64, epoch: u64, example: u64) -> Vec<u32> {
        if self.options.kind != MaskKind::Permutation {
            return Vec::new();
        }
        let mut random = Random::new(seed, Purpose::Permutation, epoch, example);
        let functional = self.vocabulary.functional;
        let is_permuted = |at: usize| functional.contains(&ids[at]) || targets.binary_search(&(at as u32)).is_ok();
        permutation::ranks(ids.len(), is_permuted, &mut random)
    }

    /// Puts in the place of a token what the draw says, and returns the token.
    fn replace(&self, id: &mut u32, draw: f64, random: &mut Random) -> u32 {
        let label = *id;
        if draw < self.options.mask {
            *id = self.mask_id;
        } else if draw < self.options.mask + self.options.random {
            let replacements = &self.vocabulary.replacements;
            *id = replacements[random.below(replacements.len() as u64) as usize];
        }
        label
    }

    fn words(&self, ids: &[u32], candidates: &[u32]) -> Vec<std::ops::Range<u32>> {
        let words = &self.vocabulary.words;
        // A position that continues a word has one before it.
        choose::words(candidates, |at| words.joins(ids[at as usize - 1], ids[at as usize]))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn vocabulary(words: usize) -> Tokenizer {
        let mut tokens: Vec<String> =
            "[PAD] [unused0] [UNK] [CLS] [SEP] [MASK] [unused1]".split(' ').map(String::from).collect();
        tokens.extend((0..words).map(|i| format!("w{i}")));
        Tokenizer::from_vocab(tokens, true).unwrap()
    }

    fn sequence(tok: &Tokenizer, len: usize) -> Vec<u32> {
        let s = tok.special();
        let mut ids: Vec<u32> = (0..len as u32).map(|i| 7 + i * 13 % 50).collect();
        ids[0] = s.cls;
        ids[len / 2] = s.sep;
        ids[len - 1] = s.sep;
        ids
    }

    /// Three and a half standard deviations of a binomial: exceeded once in two thousand.
    fn within(count: f64, draws: f64, share: f64) {
        let bound = 3.5 * (draws * share * (1.0 - share)).sqrt();
        assert!((count - draws * share).abs() < bound, "{count} of {draws}, expected a share of {share}");
    }

    #[test]
    fn numbers_are_those_of_the_original_code() {
        let tok = vocabulary(50);
        let masker = Masker::new(MaskingOptions::default(), &tok).unwrap();
        let (mut positions, mut labels) = (Vec::new(), Vec::new());
        // Python 3: min(20, max(1, int(round(n * .15)))) for these n.
        for (len, expected) in [(5, 1), (10, 2), (30, 4), (50, 8), (70, 10), (128, 19), (512, 20)] {
            let mut ids = sequence(&tok, len);
            masker.mask(&mut ids, 1, 0, 0, &mut positions, &mut labels);
            assert_eq!(positions.len(), expected, "length {len}");
            assert_eq!(labels.len(), expected);
        }
    }

    #[test]
    fn shares_and_random_tokens_are_within_binomial_bounds() {
        let tok = vocabulary(50);
        let masker = Masker::new(MaskingOptions::default(), &tok).unwrap();
        let original = sequence(&tok, 100);
        let (mut positions, mut labels) = (Vec::new(), Vec::new());
        let (mut masked, mut kept, mut chosen) = (0.0, 0.0, 0.0);
        let mut by_position = vec![0.0; original.len()];
        let mut replacements = vec![0.0; tok.vocab_size()];
        let examples = 4000;
        for example in 0..examples {
            let mut ids = original.clone();
            masker.mask(&mut ids, 3, 1, example, &mut positions, &mut labels);
            assert!(positions.is_sorted_by(|a, b| a < b));
            for (&position, &label) in positions.iter().zip(&labels) {
                let position = position as usize;
                assert_eq!(label, original[position]);
                assert!(!tok.is_special(label), "a special token was masked");
                by_position[position] += 1.0;
                chosen += 1.0;
                match ids[position] {
                    id if id == tok.special().mask => masked += 1.0,
                    id if id == label => kept += 1.0,
                    id => replacements[id as usize] += 1.0,
                }
            }
            for position in (0..ids.len()).filter(|p| !positions.contains(&(*p as u32))) {
                assert_eq!(ids[position], original[position], "a token that was not chosen changed");
            }
        }
        assert_eq!(chosen, f64::from(15 * examples as u32));
        within(masked, chosen, 0.8);
        // A random token is the original one once in 50: it then counts as kept.
        within(kept, chosen, 0.1 + 0.1 / 50.0);
        let random: f64 = replacements.iter().sum();
        within(random, chosen, 0.1 * 49.0 / 50.0);
        for (position, &count) in by_position.iter().enumerate() {
            match tok.is_special(original[position]) {
                true => assert_eq!(count, 0.0),
                false => within(count, examples as f64, 15.0 / 97.0),
            }
        }
        // Uniform over the ordinary tokens, and never a special one. Tokens that stand often in the text are a little rarer
        // among the visible replacements; 49 of 50 is close enough to uniform for this bound: 49 degrees of freedom, 0.001.
        let expected = random / 50.0;
        let mut chi_square = 0.0;
        for (id, &count) in replacements.iter().enumerate() {
            match tok.is_special(id as u32) {
                true => assert_eq!(count, 0.0, "a special token was drawn as a random one"),
                false => chi_square += (count - expected).powi(2) / expected,
            }
        }
        assert!(chi_square < 85.4, "chi-square {chi_square}");
    }

    #[test]
    fn masks_follow_from_seed_epoch_and_example_alone() {
        let tok = vocabulary(50);
        let masker = Masker::new(MaskingOptions::default(), &tok).unwrap();
        let mask = |seed, epoch, example| {
            let mut ids = sequence(&tok, 100);
            let (mut positions, mut labels) = (vec![9], vec![9]);
            masker.mask(&mut ids, seed, epoch, example, &mut positions, &mut labels);
            (ids, positions, labels)
        };
        assert_eq!(mask(1, 2, 3), mask(1, 2, 3));
        assert_ne!(mask(1, 2, 3).1, mask(2, 2, 3).1);
        assert_ne!(mask(1, 2, 3).1, mask(1, 3, 3).1);
        assert_ne!(mask(1, 2, 3).1, mask(1, 2, 4).1);
    }

    #[test]
    fn a_sequence_of_special_tokens_is_left_alone() {
        let tok = vocabulary(3);
        let masker = Masker::new(MaskingOptions::default(), &tok).unwrap();
        let mut ids = vec![tok.special().cls, tok.special().unk, tok.special().sep];
        let (mut positions, mut labels) = (Vec::new(), Vec::new());
        masker.mask(&mut ids, 1, 1, 1, &mut positions, &mut labels);
        assert!(positions.is_empty() && labels.is_empty());
        assert_eq!(ids, [tok.special().cls, tok.special().unk, tok.special().sep]);
    }

    #[test]
    fn impossible_shares_are_refused() {
        let tok = vocabulary(3);
        for options in [
            MaskingOptions { rate: 1.5, ..Default::default() },
            MaskingOptions { mask: 0.8, random: 0.3, ..Default::default() },
            MaskingOptions { rate: f64::NAN, ..Default::default() },
            MaskingOptions { max_predictions: 0, ..Default::default() },
        ] {
            assert!(Masker::new(options, &tok).unwrap_err().is_request());
        }
    }
}
