//! What Unigram training begins with: the characters, and the frequent substrings of words.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Scored, by_score};

/// The `limit` most frequent characters and those of `always`, in order of their code points; a tie for the last place goes to
/// the lower code point.
pub(in crate::vocab) fn alphabet(words: &[(Box<str>, u64)], limit: usize, always: &[&str]) -> Vec<char> {
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    for (word, count) in words {
        word.chars().for_each(|character| *counts.entry(character).or_default() += count);
    }
    let mut by_count: Vec<(char, u64)> = counts.into_iter().collect();
    by_count.sort_by_key(|&(character, count)| (std::cmp::Reverse(count), character));
    by_count.truncate(limit);
    let frequent = by_count.into_iter().map(|(character, _)| character);
    let mut kept: Vec<char> = frequent.chain(always.iter().flat_map(|text| text.chars())).collect();
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// The parts of the words between characters that are not in the (sorted) alphabet: no piece reaches over an unknown character.
pub(in crate::vocab) fn known_parts(words: Vec<(Box<str>, u64)>, alphabet: &[char]) -> Vec<(Box<str>, u64)> {
    let is_known = |character: char| alphabet.binary_search(&character).is_ok();
    let mut parts = Vec::with_capacity(words.len());
    for (word, count) in words {
        if word.chars().all(is_known) {
            parts.push((word, count));
        } else {
            let known = word.split(|character| !is_known(character)).filter(|part| !part.is_empty());
            parts.extend(known.map(|part| (part.into(), count)));
        }
    }
    parts
}

/// The characters, and the substrings of two to `longest` characters that occur at least `min_count` times and that are not
/// always followed by the same character: then the longer one says the same. Of these the `limit` that cover most text, with
/// probabilities by that.
pub(super) fn seeds(
    words: &[(Box<str>, u64)],
    alphabet: &[char],
    min_count: u64,
    longest: usize,
    limit: usize,
) -> Vec<Scored> {
    let mut characters: BTreeMap<char, u64> = alphabet.iter().map(|&character| (character, 0)).collect();
    for (word, count) in words {
        word.chars().for_each(|character| *characters.entry(character).or_default() += count);
    }
    let mut pieces = substrings(words, min_count, longest);
    pieces.par_sort_unstable_by(by_score);
    pieces.truncate(limit);
    pieces.extend(characters.into_iter().map(|(character, count)| (character.to_string().into(), count.max(1))));
    let sum: f64 = pieces.iter().map(|(_, score)| *score as f64).sum();
    pieces.into_iter().map(|(piece, score)| (piece, (score as f64 / sum).ln())).collect()
}

/// Substrings with their counts times their lengths. Suffixes of words are sorted; those that begin with a substring stand
/// together.
fn substrings(words: &[(Box<str>, u64)], min_count: u64, longest: usize) -> Vec<(Box<str>, u64)> {
    let mut suffixes: Vec<(&str, u64)> = words
        .iter()
        .flat_map(|(word, count)| word.char_indices().map(move |(at, _)| (cut(&word[at..], longest), *count)))
        .collect();
    suffixes.par_sort_unstable();
    let common: Vec<u8> = suffixes.par_windows(2).map(|pair| shared(pair[0].0, pair[1].0)).collect();
    let lengths: Vec<u8> = suffixes.par_iter().map(|(suffix, _)| suffix.chars().count() as u8).collect();
    let of_length = |length: u8| {
        let mut found = Vec::new();
        let mut first = 0;
        while first < suffixes.len() {
            let shared_on = common[first..].iter().take_while(|&&shared| shared >= length).count();
            let last = first + shared_on;
            let branches = lengths[first] == length || common[first..last].contains(&length);
            let count: u64 = suffixes[first..=last].iter().map(|(_, count)| count).sum();
            if lengths[first] >= length && branches && count >= min_count {
                found.push((cut(suffixes[first].0, length.into()).into(), count * u64::from(length)));
            }
            first = last + 1;
        }
        found
    };
    (2..=longest as u8).into_par_iter().flat_map_iter(of_length).collect()
}

/// The first characters of a text, at most `longest`.
fn cut(text: &str, longest: usize) -> &str {
    text.char_indices().nth(longest).map_or(text, |(end, _)| &text[..end])
}

/// How many characters two texts begin with alike.
fn shared(a: &str, b: &str) -> u8 {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substrings_are_counted_and_those_that_always_go_on_alike_are_left_out() {
        let words: Vec<(Box<str>, u64)> = [("abc", 3), ("abd", 2), ("xab", 1)].map(|(w, n)| (w.into(), n)).into();
        let mut found = substrings(&words, 2, 16);
        found.sort();
        let found: Vec<(&str, u64)> = found.iter().map(|(piece, score)| (&**piece, *score)).collect();
        assert_eq!(found, [("ab", 12), ("abc", 9), ("abd", 6), ("bc", 6), ("bd", 4)]);
    }

    #[test]
    fn words_are_cut_at_unknown_characters() {
        let words: Vec<(Box<str>, u64)> = vec![("▁a中b".into(), 2), ("▁ab".into(), 5)];
        let alphabet = alphabet(&words, 3, &["]"]);
        assert_eq!(alphabet, [']', 'a', 'b', '▁']);
        let parts = known_parts(words, &alphabet);
        assert_eq!(parts, [("▁a".into(), 2), ("b".into(), 2), ("▁ab".into(), 5)]);
    }
}
