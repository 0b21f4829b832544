//! Randomness as a function: every draw follows from (seed, purpose, epoch, index) and from nothing that came before.
//!
//! The generator is ChaCha8 and the reductions to ranges are written out here, so that a dataset's bytes do not change
//! when a library changes how it draws.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What a stream of random numbers is for; streams of different purposes never share a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Purpose {
    /// Which split a document belongs to.
    Split = 1,
    /// The pairs made from one document.
    Pairs = 2,
    /// The order of the examples in an epoch.
    Order = 3,
    /// The masked positions of one example in one epoch.
    Mask = 4,
    /// The order of the packs of a window.
    Packs = 5,
    /// The order in which one example is factorised in one epoch.
    Permutation = 6,
    /// How often a document of an input with a weight is used.
    Weight = 16,
}

/// A stream of random numbers for one (seed, purpose, epoch, index).
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// The stream with the given key: always the same numbers, on every machine.
    pub(crate) fn new(seed: u64, purpose: Purpose, epoch: u64, index: u64) -> Self {
        let mut key = [0_u8; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, epoch, index]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Random(ChaCha8Rng::from_seed(key))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in [0, 1), a multiple of 2^-53.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// True with the given probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A uniform number in `0..n`, exactly (Lemire's multiply-shift with rejection). `n` must not be 0; 0 gives 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        let mut product = u128::from(self.bits()) * u128::from(n);
        if (product as u64) < n {
            let threshold = n.wrapping_neg() % n.max(1);
            while (product as u64) < threshold {
                product = u128::from(self.bits()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// A uniform number in `low..=high`; needs `low <= high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_follows_from_its_key_alone() {
        let draw = |seed, purpose, epoch, index| Random::new(seed, purpose, epoch, index).bits();
        let base = draw(1, Purpose::Mask, 2, 3);
        assert_eq!(base, draw(1, Purpose::Mask, 2, 3));
        assert_ne!(base, draw(2, Purpose::Mask, 2, 3));
        assert_ne!(base, draw(1, Purpose::Order, 2, 3));
        assert_ne!(base, draw(1, Purpose::Mask, 3, 3));
        assert_ne!(base, draw(1, Purpose::Mask, 2, 4));
    }

    #[test]
    fn numbers_below_n_are_uniform() {
        let mut random = Random::new(7, Purpose::Pairs, 0, 0);
        let mut counts = [0_f64; 7];
        let draws = 70_000;
        for _ in 0..draws {
            counts[random.below(7) as usize] += 1.0;
        }
        let expected = f64::from(draws) / 7.0;
        let chi_square: f64 = counts.iter().map(|c| (c - expected).powi(2) / expected).sum();
        // 6 degrees of freedom: 22.5 is exceeded once in a thousand.
        assert!(chi_square < 22.5, "chi-square {chi_square}");
    }

    #[test]
    fn between_reaches_both_ends() {
        let mut random = Random::new(7, Purpose::Pairs, 0, 1);
        let drawn: std::collections::BTreeSet<u64> = (0..1000).map(|_| random.between(2, 5)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [2, 3, 4, 5]);
    }
}
