//! Random numbers for the generator: ChaCha8 and nothing else, so that the same bytes come out on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A stream of random numbers.
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream that belongs to (seed, purpose, index).
    pub fn new(seed: u64, purpose: u64, index: u64) -> Self {
        let mut key = [0_u8; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip([seed, purpose, index, 0]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Random(ChaCha8Rng::from_seed(key))
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A number in `0..n`; the bias of the multiplication is below n / 2^64.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// One of the items.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// The value of one (value, probability) pair; the probabilities sum to 1.
    pub fn weighted<T: Copy>(&mut self, choices: impl IntoIterator<Item = (T, f64)>) -> Option<T> {
        let mut left = self.unit();
        let mut last = None;
        for (value, probability) in choices {
            if probability > 0.0 {
                last = Some(value);
                left -= probability;
                if left < 0.0 {
                    break;
                }
            }
        }
        last
    }

    /// The items in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
