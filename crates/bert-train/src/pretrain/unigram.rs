//! The baseline that needs no context: predicting every masked token from how frequent tokens are.

use bert_data::examples::ExampleSet;
use bert_data::tokenizer::Tokenizer;

/// Most training examples that are counted; beyond, examples at even distances stand for all.
const MOST_EXAMPLES: usize = 200_000;

/// Log probabilities of tokens in the training examples, specials excluded.
#[derive(Debug)]
pub(super) struct Unigram {
    log_probability: Vec<f64>,
    most_frequent: u32,
}

impl Unigram {
    /// Counts the tokens of the training examples, with one added to each count.
    pub fn count(train: &ExampleSet, tokenizer: &Tokenizer) -> Self {
        let mut counts = vec![1u64; tokenizer.vocab_size()];
        let stride = train.len().div_ceil(MOST_EXAMPLES).max(1);
        for index in (0..train.len()).step_by(stride) {
            for id in train.get(index).tokens.iter() {
                if let Some(count) = counts.get_mut(id as usize) {
                    *count += 1;
                }
            }
        }
        for id in 0..counts.len() as u32 {
            if tokenizer.is_special(id) {
                counts[id as usize] = 0;
            }
        }
        let total: u64 = counts.iter().sum();
        let most_frequent = (0..counts.len()).max_by_key(|&id| counts[id]).unwrap_or(0) as u32;
        let log = |count: &u64| (*count as f64 / total as f64).ln();
        Self { log_probability: counts.iter().map(log).collect(), most_frequent }
    }

    /// Mean loss in nats and accuracy of predicting these labels without looking at anything.
    pub fn score<'a>(&self, labels: impl Iterator<Item = &'a u32>) -> (f64, f64) {
        let (mut loss, mut right, mut n) = (0.0, 0.0, 0.0);
        for &label in labels {
            loss -= self.log_probability[label as usize];
            right += f64::from(u8::from(label == self.most_frequent));
            n += 1.0;
        }
        (loss / f64::max(n, 1.0), right / f64::max(n, 1.0))
    }
}
