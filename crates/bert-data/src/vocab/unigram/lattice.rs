//! The ways to spell a word with pieces, and sums over them.

use std::sync::atomic::{AtomicU64, Ordering};

use ahash::AHashMap;
use rayon::prelude::*;

/// No piece ends at a node.
const NONE: u32 = u32::MAX;
/// Steps of an expected count. Sums are of whole numbers, which no order of threads can change.
const STEPS: f64 = (1_u64 << 20) as f64;
/// Words a thread takes at a time.
const WORDS: usize = 1024;

/// Pieces with the logarithms of their probabilities.
pub(super) struct Model {
    children: AHashMap<(u32, char), u32>,
    /// The piece that ends at a node.
    ends: Vec<u32>,
    scores: Vec<f64>,
}

/// Room for one word, used again for the next.
#[derive(Default)]
struct Scratch {
    chars: Vec<char>,
    /// (beginning, end, piece) in characters, by their beginnings.
    edges: Vec<(usize, usize, u32)>,
    forward: Vec<f64>,
    backward: Vec<f64>,
    before: Vec<usize>,
}

impl Model {
    /// Pieces, each with the logarithm of its probability.
    pub(super) fn new(pieces: &[(Box<str>, f64)]) -> Self {
        let mut model = Model { children: AHashMap::new(), ends: vec![NONE], scores: Vec::with_capacity(pieces.len()) };
        for (number, (piece, score)) in (0..).zip(pieces) {
            let mut node = 0;
            for character in piece.chars() {
                let new = model.ends.len() as u32;
                node = *model.children.entry((node, character)).or_insert(new);
                if node == new {
                    model.ends.push(NONE);
                }
            }
            model.ends[node as usize] = number;
            model.scores.push(*score);
        }
        model
    }

    /// How often each piece is expected in the words, over all their spellings.
    pub(super) fn expected(&self, words: &[(Box<str>, u64)]) -> Vec<f64> {
        let counts = self.count(words, |model, scratch, count, add| {
            let last = scratch.chars.len();
            scratch.forward.clear();
            scratch.forward.resize(last + 1, f64::NEG_INFINITY);
            scratch.forward[0] = 0.0;
            for &(begin, end, piece) in &scratch.edges {
                let way = scratch.forward[begin] + model.scores[piece as usize];
                scratch.forward[end] = either(scratch.forward[end], way);
            }
            scratch.backward.clear();
            scratch.backward.resize(last + 1, f64::NEG_INFINITY);
            scratch.backward[last] = 0.0;
            for &(begin, end, piece) in scratch.edges.iter().rev() {
                let way = scratch.backward[end] + model.scores[piece as usize];
                scratch.backward[begin] = either(scratch.backward[begin], way);
            }
            let all = scratch.forward[last];
            for &(begin, end, piece) in &scratch.edges {
                let way = scratch.forward[begin] + model.scores[piece as usize] + scratch.backward[end];
                let share = (way - all).exp();
                // Not a number only where no spelling reaches; such words are not among those that are counted.
                add(piece, (share * count as f64 * STEPS).round() as u64);
            }
        });
        counts.into_iter().map(|steps| steps as f64 / STEPS).collect()
    }

    /// How often each piece is in the most probable spellings of the words.
    pub(super) fn best(&self, words: &[(Box<str>, u64)]) -> Vec<u64> {
        self.count(words, |model, scratch, count, add| {
            model.most_probable(scratch, None, |piece| add(piece, count));
        })
    }

    /// The most probable spelling of a piece by others, and the logarithm of its probability; none when there is no such.
    pub(super) fn without(&self, number: u32, piece: &str) -> Option<(Vec<u32>, f64)> {
        let mut scratch = Scratch::default();
        self.edges(piece, &mut scratch);
        let mut found = Vec::new();
        let score = self.most_probable(&mut scratch, Some(number), |piece| found.push(piece));
        score.is_finite().then_some((found, score))
    }

    fn count(
        &self,
        words: &[(Box<str>, u64)],
        each: impl Fn(&Self, &mut Scratch, u64, &dyn Fn(u32, u64)) + Sync,
    ) -> Vec<u64> {
        let counts: Vec<AtomicU64> = self.scores.iter().map(|_| AtomicU64::new(0)).collect();
        words.par_chunks(WORDS).for_each_init(Scratch::default, |scratch, words| {
            for (word, count) in words {
                self.edges(word, scratch);
                each(self, scratch, *count, &|piece, n| {
                    counts[piece as usize].fetch_add(n, Ordering::Relaxed);
                });
            }
        });
        counts.into_iter().map(AtomicU64::into_inner).collect()
    }

    fn edges(&self, word: &str, scratch: &mut Scratch) {
        let Scratch { chars, edges, .. } = scratch;
        chars.clear();
        chars.extend(word.chars());
        edges.clear();
        for begin in 0..chars.len() {
            let mut node = 0;
            for (end, &character) in chars.iter().enumerate().skip(begin) {
                let Some(&next) = self.children.get(&(node, character)) else { break };
                node = next;
                if self.ends[node as usize] != NONE {
                    edges.push((begin, end + 1, self.ends[node as usize]));
                }
            }
        }
    }

    /// Viterbi. The pieces come last to first. A tie goes to the piece that begins first.
    fn most_probable(&self, scratch: &mut Scratch, except: Option<u32>, mut each: impl FnMut(u32)) -> f64 {
        let Scratch { chars, edges, forward, before, .. } = scratch;
        forward.clear();
        forward.resize(chars.len() + 1, f64::NEG_INFINITY);
        forward[0] = 0.0;
        before.clear();
        before.resize(chars.len() + 1, usize::MAX);
        for (number, &(begin, end, piece)) in edges.iter().enumerate() {
            let way = forward[begin] + self.scores[piece as usize];
            if except != Some(piece) && way > forward[end] {
                (forward[end], before[end]) = (way, number);
            }
        }
        let score = forward[chars.len()];
        let mut place = chars.len();
        while place > 0 && score.is_finite() {
            let (begin, _, piece) = edges[before[place]];
            each(piece);
            place = begin;
        }
        score
    }
}

/// ln(e^a + e^b)
fn either(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn counts_are_those_of_all_spellings_written_out() {
        let pieces =
            [("a", 0.3), ("b", 0.2), ("ab", 0.4), ("ba", 0.1)].map(|(text, p): (&str, f64)| (text.into(), p.ln()));
        let model = Model::new(&pieces);
        // aba: a b a 0.018, ab a 0.12, a ba 0.03, together 0.168.
        let expected = model.expected(&[("aba".into(), 10)]);
        for (found, wanted) in expected.iter().zip([0.018 * 2.0 + 0.12 + 0.03, 0.018, 0.12, 0.03]) {
            assert!((found - 10.0 * wanted / 0.168).abs() < 1e-4, "{expected:?}");
        }
        assert_eq!(model.best(&[("aba".into(), 10)]), [10, 0, 10, 0]);
        let (pieces, score) = model.without(2, "ab").unwrap();
        assert!(pieces == [1, 0] && (score - 0.06_f64.ln()).abs() < 1e-9);
        assert!(model.without(0, "a").is_none());
    }
}
