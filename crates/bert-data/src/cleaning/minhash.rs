//! A document as a few bytes that are alike for documents that are alike: MinHash (Broder 1997) over runs of five words,
//! with one hash for all places (Li, Owen and Zhang 2012) and empty places filled from others (Shrivastava 2017).

use xxhash_rust::xxh3::xxh3_64;

use super::hash::mix;

/// Places of a signature.
pub(super) const PLACES: usize = BANDS * ROWS;
/// A document is compared with those that agree in all rows of at least one band: of documents as alike as 0.8, 84% are
/// found, as alike as 0.9, 99.6%.
pub(super) const BANDS: usize = 10;
/// Places of a band.
pub(super) const ROWS: usize = 8;
/// Words of a run.
const RUN: usize = 5;
/// Documents with fewer runs are compared word for word only: one word more or less would decide.
const FEWEST_RUNS: usize = 20;
/// Any odd number with bits all over.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// What is remembered of a document: eight bits of the smallest hash of each place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature(pub(super) [u8; PLACES]);

impl Signature {
    /// The signature of a document; none for one that is too short.
    pub(super) fn of(paragraphs: &[String]) -> Option<Signature> {
        let mut smallest = [u64::MAX; PLACES];
        let mut words = [0_u64; RUN];
        let (mut count, mut run) = (0_usize, 0_u64);
        let base_to_the_run = (0..RUN).fold(1_u64, |power, _| power.wrapping_mul(BASE));
        for paragraph in paragraphs {
            for_each_word(paragraph, |word| {
                let oldest = &mut words[count % RUN];
                // A run's hash from that of the run before: a polynomial of its words' hashes.
                run = run.wrapping_mul(BASE).wrapping_add(word).wrapping_sub(oldest.wrapping_mul(base_to_the_run));
                *oldest = word;
                count += 1;
                if count >= RUN {
                    let hash = mix(run);
                    let place = ((hash >> 32) * PLACES as u64) >> 32;
                    let smallest = &mut smallest[place as usize];
                    *smallest = (*smallest).min(hash & 0xffff_ffff);
                }
            });
        }
        (count >= FEWEST_RUNS + RUN - 1).then(|| Signature(filled(&smallest)))
    }

    /// How alike two documents are, estimated: the share of their runs that they share, with a deviation of 0.05.
    pub(super) fn likeness(&self, other: &Signature) -> f64 {
        let equal = self.0.iter().zip(&other.0).filter(|(a, b)| a == b).count();
        let share = equal as f64 / PLACES as f64;
        // Eight bits agree by chance once in 256 places.
        let chance = 1.0 / 256.0;
        ((share - chance) / (1.0 - chance)).max(0.0)
    }

    /// The rows of a band.
    pub(super) fn band(&self, band: usize) -> &[u8] {
        &self.0[band * ROWS..(band + 1) * ROWS]
    }
}

/// Eight bits for each place; an empty one takes another's, the same one in every document in which that is not empty.
fn filled(smallest: &[u64; PLACES]) -> [u8; PLACES] {
    std::array::from_fn(|place| {
        let mut from = place;
        let mut attempt = 0;
        // A document with a run has a place that is not empty, and the search comes to every place.
        while smallest[from] == u64::MAX && attempt < 64 * PLACES as u64 {
            attempt += 1;
            from = (((mix(place as u64 ^ (attempt << 32)) >> 32) * PLACES as u64) >> 32) as usize;
        }
        mix(smallest[from]) as u8
    })
}

/// Calls `each` with the hash of every word, in lower case: runs of letters and digits, CJK characters one by one.
fn for_each_word(text: &str, mut each: impl FnMut(u64)) {
    let mut word = String::new();
    for character in text.chars() {
        if is_cjk(character) {
            flush(&mut word, &mut each);
            each(mix(u64::from(character)));
        } else if character.is_ascii_alphanumeric() {
            word.push(character.to_ascii_lowercase());
        } else if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        } else {
            flush(&mut word, &mut each);
        }
    }
    flush(&mut word, &mut each);
}

fn flush(word: &mut String, each: &mut impl FnMut(u64)) {
    if !word.is_empty() {
        each(xxh3_64(word.as_bytes()));
        word.clear();
    }
}

/// Scripts that write without spaces.
fn is_cjk(character: char) -> bool {
    matches!(u32::from(character), 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    /// A text of words drawn by a fixed rule.
    fn words(seed: u64, count: usize) -> Vec<String> {
        (0..count as u64).map(|n| format!("w{}", mix(seed << 32 | n) % 5000)).collect()
    }

    fn signature(words: &[String]) -> Signature {
        Signature::of(&[words.join(" ")]).unwrap()
    }

    /// The share of runs that two texts share, counted.
    fn exact(a: &[String], b: &[String]) -> f64 {
        let runs = |words: &[String]| words.windows(RUN).map(|run| run.join(" ")).collect::<HashSet<_>>();
        let (a, b) = (runs(a), runs(b));
        a.intersection(&b).count() as f64 / a.union(&b).count() as f64
    }

    #[test]
    fn the_estimate_is_near_the_count() {
        let (mut worst, mut sum, mut pairs) = (0.0_f64, 0.0, 0.0);
        for seed in 0..60_u64 {
            let a = words(seed, 300);
            let mut b = a.clone();
            // Some words replaced: from none to every tenth.
            for n in 0..(seed as usize / 2) {
                b[(n * 37 + seed as usize) % 300] = "other".into();
            }
            let error = signature(&a).likeness(&signature(&b)) - exact(&a, &b);
            worst = worst.max(error.abs());
            sum += error;
            pairs += 1.0;
        }
        assert!(worst < 0.2 && (sum / pairs).abs() < 0.03, "worst {worst}, mean {}", sum / pairs);
        assert!(signature(&words(1, 300)).likeness(&signature(&words(2, 300))) < 0.1);
    }

    #[test]
    fn short_texts_too_are_estimated_without_bias() {
        let mut sum = 0.0;
        for seed in 0..100 {
            let a = words(seed, 40);
            let b = [&words(seed, 40)[..34], &words(seed + 1000, 6)[..]].concat();
            sum += signature(&a).likeness(&signature(&b)) - exact(&a, &b);
        }
        assert!((sum / 100.0).abs() < 0.05, "{}", sum / 100.0);
    }

    #[test]
    fn case_punctuation_and_line_ends_do_not_matter_and_short_documents_have_none() {
        let a = words(1, 100);
        let b = a.join(", ").to_uppercase();
        let half = [a[..50].join(" "), a[50..].join(" ")];
        assert_eq!(signature(&a), Signature::of(&[b]).unwrap());
        assert_eq!(signature(&a), Signature::of(&half).unwrap());
        assert!(Signature::of(&[words(1, 23).join(" ")]).is_none());
        assert!(Signature::of(&["漢字仮名交じり文は空白なしで書かれることが多いです。".repeat(2)]).is_some());
    }
}
