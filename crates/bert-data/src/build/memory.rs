//! `--memory`: how much text may be in work at a time.

use crate::error::{Error, Result};

/// Unless asked otherwise: 2 GiB.
pub const DEFAULT_MEMORY: u64 = 2 << 30;
/// Unless asked otherwise, a new file of examples begins at about this size.
pub const DEFAULT_SHARD_SIZE: u64 = 1 << 30;

/// What the program needs whatever it does: itself, a large vocabulary, the cache of words.
const BASE: u64 = 128 << 20;
/// What a thread needs besides: examples of one run of documents, a batch that is being written.
const PER_WORKER: u64 = 12 << 20;
/// Bytes of memory for each byte of a group of documents: three groups are in work (being read, waiting, being tokenized),
/// and ids, lines and the allocator's own waste come on top.
const PER_GROUP_BYTE: u64 = 12;
/// Larger groups make nothing faster.
const LARGEST_GROUP_PER_WORKER: u64 = 4 << 20;
const SMALLEST_GROUP: u64 = 256 << 10;

/// How `--memory` is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shares {
    /// Bytes of text in a group.
    pub(super) group: usize,
    /// Bytes for comparing documents and lines.
    pub(super) cleaning: usize,
}

/// Divides the memory so that the build stays below it. `cleaning`: most bytes that cleaning has a use for; it gets at most a
/// quarter of what is not needed otherwise. What cannot be divided, a single document, is held whatever its length.
pub(super) fn shares(memory: u64, cleaning: usize, workers: usize) -> Result<Shares> {
    let fixed = BASE + PER_WORKER * workers as u64;
    let needed = fixed + SMALLEST_GROUP * PER_GROUP_BYTE;
    let Some(free) = memory.checked_sub(needed) else {
        return Err(Error::Setting {
            name: "memory",
            reason: format!(
                "{} MiB are too little for {workers} workers, which need {} MiB; raise it, or lower --workers",
                memory >> 20,
                needed.div_ceil(1 << 20)
            ),
        });
    };
    let cleaning = (cleaning as u64).min(free / 4);
    let group = (memory - fixed - cleaning) / PER_GROUP_BYTE;
    Ok(Shares { group: group.min(LARGEST_GROUP_PER_WORKER * workers as u64) as usize, cleaning: cleaning as usize })
}

/// Reads a size as people write it: `512MiB`, `2GiB`, `500MB`, `2G` (binary, as most tools have it), or a number of bytes.
///
/// # Errors
/// In words, when it is none of these.
pub fn parse_size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(format!("`{text}` is not a size; write one like 512MiB or 2GiB")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a size; write one like 512MiB or 2GiB"))?;
    number.checked_mul(scale).ok_or_else(|| format!("`{text}` is more than any machine has"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("7", 7),
            ("512MiB", 512 << 20),
            ("2GiB", 2 << 30),
            ("2G", 2 << 30),
            ("3 kb", 3000),
            ("1TB", 1_000_000_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "GiB", "1.5GiB", "-1", "12 parsecs", "99999999999999999999", "99999999999TiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_fit_and_too_little_is_refused_with_a_cure() {
        assert_eq!(shares(2 << 30, 512 << 20, 2).unwrap().group, 8 << 20);
        for memory in [156_u64 << 20, 512 << 20, 2 << 30] {
            let shares = shares(memory, 512 << 20, 2).unwrap();
            assert!(shares.group as u64 * PER_GROUP_BYTE + shares.cleaning as u64 + BASE + 2 * PER_WORKER <= memory);
            assert!(shares.group as u64 >= SMALLEST_GROUP && shares.cleaning as u64 <= memory / 4);
        }
        assert_eq!(shares(2 << 30, 0, 2).unwrap().cleaning, 0);
        let error = shares(128 << 20, 0, 2).unwrap_err();
        assert!(error.is_request() && error.to_string().contains("155 MiB"), "{error}");
        assert!(shares(155 << 20, 512 << 20, 2).is_ok());
        assert!(shares(2 << 30, 0, 500).is_err());
    }
}
