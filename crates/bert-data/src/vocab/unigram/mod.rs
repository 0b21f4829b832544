//! Unigram (Kudo 2018): pieces have probabilities, a word is spelt by the most probable pieces. It begins with all frequent
//! substrings; expectation-maximisation finds their probabilities, and those that the corpus misses least are taken out.

mod lattice;
mod seed;

use std::cmp::Reverse;

use ahash::AHashSet;
use rayon::prelude::*;

use crate::progress::Progress;
use lattice::Model;
pub(super) use seed::{alphabet, known_parts};

/// Pieces that training begins with, and the longest of them in characters; as in SentencePiece.
const SEEDS: usize = 1_000_000;
const LONGEST: usize = 16;
/// Rounds of expectation-maximisation between two prunings, and the share of the pieces that one keeps.
const ROUNDS: usize = 2;
const KEPT: f64 = 0.75;
/// Pruning stops at so much more than is asked for; the last pieces are chosen by their probabilities.
const SURPLUS: f64 = 1.1;
/// A piece that is expected less often goes (SentencePiece's threshold).
const LEAST_EXPECTED: f64 = 0.5;

/// A piece and the logarithm of its probability.
type Scored = (Box<str>, f64);

/// `size` pieces or fewer, the most probable first; the characters of the `alphabet` are always among them. `words` have no
/// other characters.
pub(super) fn train(
    words: &[(Box<str>, u64)],
    alphabet: &[char],
    size: usize,
    min_frequency: u64,
    progress: &dyn Progress,
) -> Vec<Scored> {
    let mut pieces = seed::seeds(words, alphabet, min_frequency.max(2), LONGEST, SEEDS);
    let enough = (size as f64 * SURPLUS) as usize;
    progress.start("choosing pieces", Some(pieces.len().saturating_sub(enough) as u64), "pieces");
    loop {
        let before = pieces.len();
        for _ in 0..ROUNDS {
            pieces = maximise(&pieces, &Model::new(&pieces).expected(words));
        }
        let done = pieces.len() <= enough;
        if !done {
            pieces = prune(pieces, words, enough);
        }
        progress.advance((before - pieces.len()) as u64);
        // Pruning that takes out nothing has only characters left.
        if done || pieces.len() == before {
            break;
        }
    }
    let pieces = choose(pieces, size);
    progress.finish(&format!("vocabulary: {} pieces", pieces.len()));
    pieces
}

fn is_character(piece: &str) -> bool {
    piece.chars().nth(1).is_none()
}

/// Probabilities from expected counts. Through digamma, as Bayes has it: what is rare gets less than its share.
fn maximise(pieces: &[Scored], expected: &[f64]) -> Vec<Scored> {
    let kept: Vec<(&Box<str>, f64)> = pieces
        .iter()
        .zip(expected)
        .filter(|((piece, _), count)| **count >= LEAST_EXPECTED || is_character(piece))
        .map(|((piece, _), count)| (piece, count.max(LEAST_EXPECTED)))
        .collect();
    let all = digamma(kept.iter().map(|(_, count)| count).sum());
    kept.into_iter().map(|(piece, count)| (piece.clone(), digamma(count) - all)).collect()
}

/// Takes out the pieces without which the likelihood of the corpus falls least, but not below `enough`.
fn prune(pieces: Vec<Scored>, words: &[(Box<str>, u64)], enough: usize) -> Vec<Scored> {
    let model = Model::new(&pieces);
    let counts = model.best(words);
    let sum = counts.iter().sum::<u64>() as f64;
    let loss = |number: usize| -> Option<f64> {
        let (piece, score) = &pieces[number];
        if is_character(piece) {
            return Some(f64::INFINITY);
        }
        let count = counts[number] as f64;
        let Some((others, without)) = model.without(number as u32, piece) else { return Some(f64::INFINITY) };
        if count == 0.0 || without > *score {
            return None;
        }
        // Its occurrences go to the pieces that spell it instead.
        let new_sum = (sum + count * (others.len() as f64 - 1.0)).ln();
        let instead: f64 = others.iter().map(|&other| (counts[other as usize] as f64 + count).ln() - new_sum).sum();
        Some(count / sum * (count.ln() - sum.ln() - instead))
    };
    let losses: Vec<Option<f64>> = (0..pieces.len()).into_par_iter().map(loss).collect();
    let mut order: Vec<usize> = (0..pieces.len()).filter(|&number| losses[number].is_some()).collect();
    order.sort_by(|&a, &b| losses[b].unwrap_or(0.0).total_cmp(&losses[a].unwrap_or(0.0)).then(a.cmp(&b)));
    let characters = pieces.iter().filter(|(piece, _)| is_character(piece)).count();
    order.truncate(((pieces.len() as f64 * KEPT) as usize).max(enough).max(characters));
    let kept: AHashSet<usize> = order.into_iter().collect();
    pieces.into_iter().enumerate().filter(|(number, _)| kept.contains(number)).map(|(_, piece)| piece).collect()
}

/// All characters and the most probable of the other pieces, the most probable first; ties in order of the text.
fn choose(mut pieces: Vec<Scored>, size: usize) -> Vec<Scored> {
    pieces.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let characters = pieces.iter().filter(|(piece, _)| is_character(piece)).count();
    let mut room = size.saturating_sub(characters);
    pieces.retain(|(piece, _)| {
        let kept = is_character(piece) || room > 0;
        room -= usize::from(kept && !is_character(piece));
        kept
    });
    pieces
}

/// The derivative of ln gamma, by its recurrence and the asymptotic series (Abramowitz and Stegun 6.3.5, 6.3.18).
fn digamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < 10.0 {
        below -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    below + x.ln() - 0.5 / x - square * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square / 240.0)))
}

/// For [`seed`]: the highest first.
fn by_score(a: &(Box<str>, u64), b: &(Box<str>, u64)) -> std::cmp::Ordering {
    (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn digamma_is_that_of_the_tables() {
        // Minus Euler's constant, and that minus 2 ln 2.
        for (x, wanted) in
            [(1.0, -0.577_215_664_901_532_9), (0.5, -1.963_510_026_021_423_5), (10.0, 2.251_752_589_066_721)]
        {
            assert!((digamma(x) - wanted).abs() < 1e-11, "{x}: {}", digamma(x));
        }
    }

    #[test]
    fn frequent_words_are_pieces_and_every_character_stays() {
        let words: Vec<(Box<str>, u64)> = [("▁river", 50), ("▁rivers", 20), ("▁stone", 40), ("▁stones", 15), ("▁q", 1)]
            .map(|(w, n)| (w.into(), n))
            .into();
        let alphabet = alphabet(&words, 100, &[]);
        let pieces = train(&words, &alphabet, alphabet.len() + 3, 2, &Silent);
        let names: Vec<&str> = pieces.iter().map(|(piece, _)| &**piece).collect();
        assert_eq!(names.len(), alphabet.len() + 3);
        assert!(names.contains(&"▁river") && names.contains(&"▁stone") && names.contains(&"q"), "{names:?}");
        assert!(pieces.windows(2).all(|pair| pair[0].1 >= pair[1].1) && pieces.iter().all(|(_, score)| *score < 0.0));
    }
}
