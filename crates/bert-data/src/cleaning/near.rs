//! Documents that are nearly the same as one that came before: MinHash signatures, found by their bands.

use super::hash::mix;
use super::minhash::{BANDS, PLACES, ROWS, Signature};

/// Documents with equal bands that are remembered; more would make a page's furniture a list without end.
const MOST_ALIKE: usize = 4;
/// Places of the table to begin with, a power of two.
const SMALLEST: usize = 1 << 12;
/// Bytes a document takes while the table grows: its signature, and its bands' places in a table half full, twice.
const BYTES_A_DOCUMENT: usize = (PLACES + 2) * 3 / 2 + BANDS * 4 * 6;

/// The documents so far.
pub(super) struct NearDuplicates {
    threshold: f64,
    signatures: Vec<Signature>,
    /// Which bands of each are in the table, a bit a band.
    entered: Vec<u16>,
    /// By the hash of a band: 1 + the number of a document that has it; 0 for a free place. Full places are passed over.
    table: Vec<u32>,
    taken: usize,
    limit: usize,
    not_remembered: u64,
}

impl NearDuplicates {
    /// Documents at least as alike as `threshold` are nearly the same. Remembers as many as fit into `memory` bytes.
    pub(super) fn new(threshold: f64, memory: usize) -> Self {
        NearDuplicates {
            threshold,
            signatures: Vec::new(),
            entered: Vec::new(),
            table: vec![0; SMALLEST],
            taken: 0,
            limit: (memory / BYTES_A_DOCUMENT).min(u32::MAX as usize - 1),
            not_remembered: 0,
        }
    }

    /// True when a document that is nearly the same came before; else this one is remembered.
    pub(super) fn is_known(&mut self, signature: Signature) -> bool {
        let mut entered = 0_u16;
        if self.taken + BANDS > self.table.len() / 2 && self.signatures.len() < self.limit {
            self.grow();
        }
        for band in 0..BANDS {
            let mut alike = 0;
            let mut place = self.first_place(&signature, band);
            while let Some(known) = self.at(place) {
                if known.band(band) == signature.band(band) {
                    if known.likeness(&signature) >= self.threshold {
                        return true;
                    }
                    alike += 1;
                }
                place = (place + 1) & (self.table.len() - 1);
            }
            entered |= u16::from(alike < MOST_ALIKE) << band;
        }
        if self.signatures.len() >= self.limit {
            self.not_remembered += 1;
            return false;
        }
        self.signatures.push(signature);
        self.entered.push(entered);
        self.enter(self.signatures.len() as u32);
        false
    }

    pub(super) fn not_remembered(&self) -> u64 {
        self.not_remembered
    }

    /// The document whose number stands at a place; none for a free place.
    fn at(&self, place: usize) -> Option<&Signature> {
        let number = self.table[place];
        self.signatures.get((number as usize).checked_sub(1)?)
    }

    fn first_place(&self, signature: &Signature, band: usize) -> usize {
        let mut rows = [0; ROWS];
        rows.copy_from_slice(signature.band(band));
        let hash = mix(u64::from_le_bytes(rows) ^ mix(band as u64 + 1));
        (hash as usize) & (self.table.len() - 1)
    }

    /// Enters a document's bands, each at the first free place.
    fn enter(&mut self, number: u32) {
        let index = number as usize - 1;
        for band in (0..BANDS).filter(|band| self.entered[index] >> band & 1 == 1) {
            let mut place = self.first_place(&self.signatures[index], band);
            // The table is never more than half full.
            while self.table[place] != 0 {
                place = (place + 1) & (self.table.len() - 1);
            }
            self.table[place] = number;
            self.taken += 1;
        }
    }

    fn grow(&mut self) {
        self.table = vec![0; self.table.len() * 2];
        self.taken = 0;
        for number in 1..=self.signatures.len() as u32 {
            self.enter(number);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn text(seed: u64, changed: usize) -> Signature {
        let words: Vec<String> = (0..400_u64)
            .map(|n| match (n as usize) < changed {
                true => format!("c{}", mix(seed + n + 7) % 9000),
                false => format!("w{}", mix((seed << 32) | n) % 9000),
            })
            .collect();
        Signature::of(&[words.join(" ")]).unwrap()
    }

    #[test]
    fn nearly_the_same_is_found_and_half_the_same_is_not() {
        let mut near = NearDuplicates::new(0.8, 64 << 20);
        let documents = 3000;
        let known = (0..documents).filter(|&seed| near.is_known(text(seed, 0))).count();
        assert_eq!(known, 0);
        // 10 of 400 words changed at one place: 0.95 alike. 130 changed: 0.5 alike.
        let found = (0..documents).filter(|&seed| near.is_known(text(seed, 10))).count();
        assert!(found as f64 > 0.99 * documents as f64, "{found}");
        let wrong = (0..documents).filter(|&seed| near.is_known(text(seed, 130))).count();
        assert_eq!(wrong, 0);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_still_compared() {
        let mut near = NearDuplicates::new(0.8, 100 * BYTES_A_DOCUMENT);
        assert!((0..150).all(|seed| !near.is_known(text(seed, 0))));
        assert_eq!(near.not_remembered(), 50);
        assert!(near.is_known(text(99, 0)) && !near.is_known(text(100, 0)));
        assert!(near.table.len() * 4 + near.signatures.len() * PLACES <= 100 * BYTES_A_DOCUMENT + SMALLEST * 4);
    }

    #[test]
    fn many_documents_with_a_band_in_common_stay_cheap() {
        // The same bytes in the first band and different ones in all others.
        let mut near = NearDuplicates::new(0.8, 64 << 20);
        for n in 0..20_000_u64 {
            let mut signature = Signature([0; PLACES]);
            for place in ROWS..PLACES {
                signature.0[place] = mix(n * PLACES as u64 + place as u64) as u8;
            }
            assert!(!near.is_known(signature));
        }
        // The longest run of full places is what a search may have to pass.
        let longest = near.table.split(|&number| number == 0).map(<[u32]>::len).max().unwrap();
        assert!(longest < 200, "{longest}");
    }
}
