//! Fingerprints of texts. XXH3, because its values are the same on every machine and in every version.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The fingerprint of a line.
pub(super) fn line(line: &str) -> u64 {
    xxh3_64(line.as_bytes())
}

/// The fingerprint of a document: of its lines, in order.
pub(super) fn document(paragraphs: &[String]) -> u64 {
    let mut hasher = Xxh3::new();
    for paragraph in paragraphs {
        hasher.update(paragraph.as_bytes());
        hasher.update(b"\n");
    }
    hasher.digest()
}

/// Mixes the bits of a number (the finaliser of SplitMix64): a random-looking function of it, one to one.
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
