//! The order of the examples in an epoch: a random permutation whose every position can be computed on its own.
//!
//! A Feistel network permutes the numbers below a power of four; values that fall outside `0..n` are sent through it again
//! until they fall inside (cycle walking), which makes it a permutation of `0..n`. It takes no memory, however many
//! examples there are, and a run that resumes in the middle of an epoch needs nothing but its position.

use crate::random::{Purpose, Random};

/// Rounds of the network. Four make it indistinguishable from random for large halves; the halves of a small set are a few
/// bits wide, and there the additional rounds matter.
const ROUNDS: usize = 12;

/// A random permutation of `0..n`, a function of (n, seed, epoch).
#[derive(Debug, Clone)]
pub struct Permutation {
    n: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// The permutation of `0..n` that this seed has in this epoch.
    pub fn new(n: u64, seed: u64, epoch: u64) -> Self {
        let bits = 64 - n.saturating_sub(1).leading_zeros();
        let mut random = Random::new(seed, Purpose::Order, epoch, 0);
        Permutation { n, half_bits: bits.div_ceil(2).max(1), keys: std::array::from_fn(|_| random.bits()) }
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.n
    }

    /// True when there is nothing to permute.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The element at position `i`. A position at or beyond `n` is taken modulo `n`, and an empty permutation gives 0.
    pub fn at(&self, i: u64) -> u64 {
        if self.n <= 1 {
            return 0;
        }
        let mut value = i % self.n;
        loop {
            value = self.network(value);
            // The network is a bijection and the walk began inside 0..n, so it comes back inside: after fewer than
            // four steps on average, because the network's range is less than 4 n.
            if value < self.n {
                return value;
            }
        }
    }

    fn network(&self, value: u64) -> u64 {
        let mask = (1_u64 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for &key in &self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << self.half_bits) | right
    }
}

/// The finaliser of the SplitMix64 generator: every input bit reaches every output bit.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_gives_another_element() {
        for n in [1, 2, 3, 4, 5, 15, 16, 17, 100, 1000, 4097, 65_536, 100_003] {
            let order = Permutation::new(n, 42, 7);
            let mut seen = vec![false; n as usize];
            for i in 0..n {
                let element = order.at(i) as usize;
                assert!(!seen[element], "n = {n}: element {element} comes twice");
                seen[element] = true;
            }
        }
    }

    #[test]
    fn large_numbers_stay_inside() {
        let n = (1_u64 << 61) + 12_345;
        let order = Permutation::new(n, 1, 0);
        let elements: std::collections::BTreeSet<u64> = (0..1000).map(|i| order.at(n - 1 - i)).collect();
        assert_eq!(elements.len(), 1000);
        assert!(elements.iter().all(|&element| element < n));
    }

    #[test]
    fn epochs_and_seeds_have_orders_of_their_own() {
        let order = |seed, epoch| {
            let order = Permutation::new(1000, seed, epoch);
            (0..1000).map(|i| order.at(i)).collect::<Vec<_>>()
        };
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
    }

    #[test]
    fn every_element_comes_first_equally_often() {
        // Over many epochs the first position is uniform, for a size where the network's halves are only two bits wide.
        let (n, epochs) = (11_u64, 22_000_u64);
        let mut counts = vec![0_f64; n as usize];
        for epoch in 0..epochs {
            counts[Permutation::new(n, 5, epoch).at(0) as usize] += 1.0;
        }
        let expected = epochs as f64 / n as f64;
        let chi_square: f64 = counts.iter().map(|c| (c - expected).powi(2) / expected).sum();
        // 10 degrees of freedom: 29.6 is exceeded once in a thousand.
        assert!(chi_square < 29.6, "chi-square {chi_square}");
    }
}
