//! Documents that came before, word for word.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// A fingerprint is its own hash.
#[derive(Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// The fingerprints of all documents so far.
///
/// With 64 bits, two different documents among ten million share a fingerprint with a probability of 3 in a million.
pub(super) struct Duplicates {
    known: HashSet<u64, BuildHasherDefault<Itself>>,
    limit: usize,
    not_remembered: u64,
}

impl Duplicates {
    /// Remembers as many as fit into `memory` bytes.
    pub(super) fn new(memory: usize) -> Self {
        // A table has a power of two places of 9 bytes, 7/8 of which it fills; while it grows, the old half is there too.
        let places = (memory * 2 / 27).max(16);
        let places = 1 << places.ilog2();
        Duplicates { known: HashSet::default(), limit: places / 8 * 7, not_remembered: 0 }
    }

    /// True when a document of this fingerprint came before.
    pub(super) fn is_known(&mut self, digest: u64) -> bool {
        if self.known.len() < self.limit {
            return !self.known.insert(digest);
        }
        let known = self.known.contains(&digest);
        self.not_remembered += u64::from(!known);
        known
    }

    pub(super) fn not_remembered(&self) -> u64 {
        self.not_remembered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut duplicates = Duplicates::new(0);
        let known = (0..20).filter(|&n| duplicates.is_known(n)).count();
        assert_eq!((known, duplicates.not_remembered()), (0, 6));
        assert!(duplicates.is_known(13) && !duplicates.is_known(14));
    }

    #[test]
    fn seven_million_documents_fit_into_128_mib() {
        assert!(Duplicates::new(128 << 20).limit > 7_000_000);
    }
}
