//! Merging pieces: byte-pair encoding's way of choosing them (Sennrich et al. 2016), on characters, with WordPiece's `##`,
//! on bytes without a mark, or on the pieces of a vocabulary that exists.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use ahash::{AHashMap, AHashSet};

use crate::progress::Progress;

/// A piece's number in the vocabulary, special tokens not counted.
type Piece = u32;
type Pair = (Piece, Piece);

/// The pieces of one character: the `limit` most frequent characters, each as the beginning of a word, and also as a
/// continuation when it occurs in a word of several. So every word of known characters can be spelt.
///
/// Sorted by code point, beginnings first; a tie for the last place goes to the lower code point. Characters that occur less
/// than `min_count` times are not among them.
pub(super) fn wordpiece_alphabet(words: &[(Box<str>, u64)], limit: usize, min_count: u64) -> Vec<String> {
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    let mut in_words: BTreeSet<char> = BTreeSet::new();
    for (word, count) in words {
        let several = word.chars().nth(1).is_some();
        for character in word.chars() {
            *counts.entry(character).or_default() += count;
            if several {
                in_words.insert(character);
            }
        }
    }
    let mut by_count: Vec<(char, u64)> = counts.into_iter().filter(|&(_, count)| count >= min_count).collect();
    by_count.sort_by_key(|&(character, count)| (Reverse(count), character));
    by_count.truncate(limit);
    let kept: BTreeSet<char> = by_count.into_iter().map(|(character, _)| character).collect();
    let continuations = kept.intersection(&in_words);
    kept.iter()
        .map(ToString::to_string)
        .chain(continuations.map(|character| format!("{}{character}", super::CONTINUATION)))
        .collect()
}

/// What merging made.
pub(super) struct Merged {
    /// The alphabet and, behind it, the merged pieces in the order in which they were made.
    pub(super) pieces: Vec<String>,
    /// The pairs that were merged, in order.
    pub(super) merges: Vec<(String, String)>,
}

/// Merges pairs until there are `room` more pieces or no pair occurs `min_frequency` times. At first words are spelt with the
/// longest pieces of the `alphabet` from the left, as WordPiece does it. `continuation` stands before the pieces that continue a
/// word, or is empty.
pub(super) fn merge(
    words: &[(Box<str>, u64)],
    alphabet: Vec<String>,
    continuation: &'static str,
    room: usize,
    min_frequency: u64,
    progress: &dyn Progress,
) -> Merged {
    progress.start("merging pieces", Some(room as u64), "pieces");
    let target = alphabet.len() + room;
    let mut merger = Merger::new(words, alphabet, continuation, min_frequency.max(1));
    while merger.pieces.len() < target {
        let Some(pair) = merger.most_frequent() else {
            break;
        };
        let before = merger.pieces.len();
        merger.apply(pair);
        progress.advance((merger.pieces.len() - before) as u64);
    }
    progress.finish(&format!("vocabulary: {} pieces", merger.pieces.len()));
    let name = |piece: Piece| merger.pieces[piece as usize].clone();
    let merges = merger.merges.iter().map(|&(left, right)| (name(left), name(right))).collect();
    Merged { merges, pieces: merger.pieces }
}

struct Word {
    pieces: Vec<Piece>,
    count: u64,
}

struct Merger {
    pieces: Vec<String>,
    numbers: AHashMap<String, Piece>,
    words: Vec<Word>,
    counts: AHashMap<Pair, u64>,
    /// The words in which a pair has been seen; it may have gone from some of them since.
    places: AHashMap<Pair, AHashSet<u32>>,
    /// Pairs by count, ties to the lower numbers. An entry may be out of date; it is checked when it comes up.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
    min_frequency: u64,
    continuation: &'static str,
    /// Characters of the longest piece of the alphabet, the mark of a continuation included.
    longest: usize,
    merges: Vec<Pair>,
}

impl Merger {
    fn new(words: &[(Box<str>, u64)], pieces: Vec<String>, continuation: &'static str, min_frequency: u64) -> Self {
        let numbers: AHashMap<String, Piece> = pieces.iter().cloned().zip(0..).collect();
        let longest = pieces.iter().map(|piece| piece.chars().count()).max().unwrap_or(0);
        let mut merger = Merger {
            pieces,
            numbers,
            words: Vec::with_capacity(words.len()),
            counts: AHashMap::new(),
            places: AHashMap::new(),
            queue: BinaryHeap::new(),
            min_frequency,
            continuation,
            longest,
            merges: Vec::new(),
        };
        for (word, count) in words {
            // A word with a character outside the alphabet will be [UNK]: nothing to learn from it.
            if let Some(pieces) = merger.spell(word).filter(|pieces| pieces.len() > 1) {
                let place = merger.words.len() as u32;
                for pair in pairs(&pieces) {
                    *merger.counts.entry(pair).or_default() += count;
                    merger.places.entry(pair).or_default().insert(place);
                }
                merger.words.push(Word { pieces, count: *count });
            }
        }
        merger.queue = merger.counts.iter().map(|(&pair, &count)| (count, Reverse(pair))).collect();
        merger
    }

    /// A word as the longest pieces there are, from the left; none when a part of it is no piece.
    fn spell(&self, word: &str) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut name = String::new();
        let mut start = 0;
        while start < word.len() {
            let mark = if start > 0 { self.continuation } else { "" };
            name.clear();
            name.push_str(mark);
            name.extend(word[start..].chars().take(self.longest));
            let piece = loop {
                match self.numbers.get(&name) {
                    Some(&piece) => break piece,
                    None => name.pop(),
                };
                if name.len() <= mark.len() {
                    return None;
                }
            };
            pieces.push(piece);
            start += name.len() - mark.len();
        }
        Some(pieces)
    }

    /// The pair to merge next, or none when every pair is too rare.
    fn most_frequent(&mut self) -> Option<Pair> {
        while let Some((count, Reverse(pair))) = self.queue.pop() {
            let current = self.counts.get(&pair).copied().unwrap_or(0);
            if current == count {
                return (count >= self.min_frequency).then_some(pair);
            }
            // Its count fell since; where it rose, a newer entry has come up already and this one is of no use.
            if current >= self.min_frequency && current < count {
                self.queue.push((current, Reverse(pair)));
            }
        }
        None
    }

    /// Merges a pair everywhere.
    fn apply(&mut self, pair: Pair) {
        let merged = self.number(pair);
        self.merges.push(pair);
        let places = self.places.remove(&pair).unwrap_or_default();
        let mut risen: AHashSet<Pair> = AHashSet::new();
        for place in places {
            let Word { pieces, count } = &mut self.words[place as usize];
            for old in pairs(pieces) {
                if let Some(n) = self.counts.get_mut(&old) {
                    *n -= *count;
                }
            }
            replace(pieces, pair, merged);
            for new in pairs(pieces) {
                *self.counts.entry(new).or_default() += *count;
                if new.0 == merged || new.1 == merged {
                    self.places.entry(new).or_default().insert(place);
                    risen.insert(new);
                }
            }
        }
        self.counts.remove(&pair);
        for pair in risen {
            if let Some(&count) = self.counts.get(&pair) {
                self.queue.push((count, Reverse(pair)));
            }
        }
    }

    /// The number of the merged piece: a new one, unless other pieces made the same text before.
    fn number(&mut self, (left, right): Pair) -> Piece {
        let (left, right) = (&self.pieces[left as usize], &self.pieces[right as usize]);
        let name = format!("{left}{}", right.strip_prefix(self.continuation).unwrap_or(right));
        if let Some(&number) = self.numbers.get(&name) {
            return number;
        }
        let number = self.pieces.len() as Piece;
        self.pieces.push(name.clone());
        self.numbers.insert(name, number);
        number
    }
}

fn pairs(pieces: &[Piece]) -> impl Iterator<Item = Pair> + '_ {
    pieces.windows(2).map(|pair| (pair[0], pair[1]))
}

/// Replaces every occurrence of the pair, from left to right.
fn replace(pieces: &mut Vec<Piece>, pair: Pair, merged: Piece) {
    let (mut read, mut write) = (0, 0);
    while read < pieces.len() {
        if read + 1 < pieces.len() && (pieces[read], pieces[read + 1]) == pair {
            pieces[write] = merged;
            read += 2;
        } else {
            pieces[write] = pieces[read];
            read += 1;
        }
        write += 1;
    }
    pieces.truncate(write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::vocab::CONTINUATION;

    fn words(text: &[(&str, u64)]) -> Vec<(Box<str>, u64)> {
        text.iter().map(|&(word, count)| (word.into(), count)).collect()
    }

    fn trained(text: &[(&str, u64)], room: usize, min_frequency: u64) -> Vec<String> {
        let words = words(text);
        let alphabet = wordpiece_alphabet(&words, 1000, 1);
        let known = alphabet.len();
        merge(&words, alphabet, CONTINUATION, room, min_frequency, &Silent).pieces.split_off(known)
    }

    #[test]
    fn the_most_frequent_pair_comes_first_and_ties_go_to_the_older_pieces() {
        // Counts: a+##b 7, ##b+##c 5, x+##y 5. After "ab": ab+##c 5 and x+##y 5; x is the older piece.
        let text = [("abc", 5), ("ab", 2), ("xy", 5)];
        assert_eq!(trained(&text, 3, 2), ["ab", "xy", "abc"]);
        assert_eq!(trained(&text, 1, 2), ["ab"]);
        assert_eq!(trained(&text, 9, 6), ["ab"]);
        assert_eq!(trained(&text, 9, 1).len(), 3);
    }

    #[test]
    fn repeated_letters_are_counted_right() {
        // "aaaa" has one a+##a and two ##a+##a; the merge from the left makes a aa a.
        assert_eq!(trained(&[("aaaa", 3)], 1, 1), ["##aa"]);
        assert_eq!(trained(&[("aaaa", 3)], 9, 1), ["##aa", "a##aa".replace("##", "").as_str(), "aaaa"]);
    }

    #[test]
    fn the_alphabet_has_the_frequent_characters() {
        let words = words(&[("ab", 5), ("c", 9), (",", 4), ("z", 1)]);
        assert_eq!(wordpiece_alphabet(&words, 4, 1), [",", "a", "b", "c", "##a", "##b"]);
        assert_eq!(wordpiece_alphabet(&words, 2, 1), ["a", "c", "##a"]);
        assert_eq!(wordpiece_alphabet(&words, 4, 5), ["a", "b", "c", "##a", "##b"]);
    }

    #[test]
    fn an_alphabet_of_longer_pieces_spells_words_with_the_longest_of_them() {
        let words = words(&[("cardiogram", 4), ("cardiology", 3), ("x", 9)]);
        let alphabet = ["card", "cardio", "##gram", "##g", "##logy", "##l"].map(String::from).to_vec();
        let merged = merge(&words, alphabet, CONTINUATION, 9, 1, &Silent);
        assert_eq!(merged.pieces[6..], ["cardiogram", "cardiology"]);
    }
}
