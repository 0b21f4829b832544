//! The ideal reader of the sample corpus against brute force: every class, path of states and sequence of words of a
//! tiny grammar, enumerated.

#![allow(clippy::unwrap_used, dead_code)]

#[path = "../examples/sample_corpus/hmm.rs"]
mod hmm;
#[path = "../examples/sample_corpus/inference.rs"]
mod inference;
#[path = "../examples/sample_corpus/random.rs"]
mod random;

use hmm::{Hmm, Pattern, State};
use inference::{Corruption, Cuts, Posterior, Reader, Seen};

const WORDS: usize = 6;
const STOP: u32 = 5;

/// Three sentence patterns over six words; `tilt` makes the classes differ.
fn tiny(tilt: f64) -> Hmm {
    let state = |words: &[(u32, f64)], next: &[(u32, f64)], pattern| State {
        words: words.to_vec(),
        next: next.to_vec(),
        pattern,
    };
    let either = |one, other| vec![(one, tilt), (other, 1.0 - tilt)];
    Hmm {
        words: WORDS,
        states: vec![
            state(&[(0, 1.0)], &[(1, 1.0)], 0),
            state(&[(STOP, 1.0)], &[], 0),
            state(&either(1, 2), &[(3, 0.7), (4, 0.3)], 1),
            state(&either(3, 4), &[(4, 1.0)], 1),
            state(&[(STOP, 1.0)], &[], 1),
            state(&either(2, 3), &[(6, 1.0)], 2),
            state(&[(STOP, 1.0)], &[], 2),
        ],
        patterns: vec![
            Pattern { starts: vec![(0, 1.0)] },
            Pattern { starts: vec![(2, 0.6), (3, 0.4)] },
            Pattern { starts: vec![(5, 1.0)] },
        ],
        follows: vec![vec![0.0, 0.8, 0.2], vec![0.0, tilt, 1.0 - tilt], vec![0.0, 0.5, 0.5]],
        opening: vec![1.0, 0.0, 0.0],
    }
}

const CORRUPTION: Corruption = Corruption { rate: 0.3, mask: 0.6, random: 0.25, vocabulary: 9, words: WORDS };

const CUTS: Cuts = Cuts { next: 0.4, front: 0.2, opening: [0.3, 0.1], ends_inside: 0.05, ends_after_sentence: 0.5 };

/// The probability of seeing this at a position with that true word, selected or maybe selected.
fn sight(word: u32, seen: Seen, is_target: bool) -> f64 {
    let shown = CORRUPTION.random / CORRUPTION.vocabulary as f64;
    let selected = match seen {
        Seen::Mask => CORRUPTION.mask,
        Seen::Foreign => shown,
        Seen::Word(other) if other == word => shown + 1.0 - CORRUPTION.mask - CORRUPTION.random,
        Seen::Word(_) => shown,
    };
    if is_target {
        return selected;
    }
    let untouched = f64::from(u8::from(seen == Seen::Word(word)));
    CORRUPTION.rate * selected + (1.0 - CORRUPTION.rate) * untouched
}

/// First states of sentences of these patterns.
fn first_states(hmm: &Hmm, patterns: &[f64]) -> Vec<f64> {
    let mut states = vec![0.0; hmm.states.len()];
    for (pattern, probability) in hmm.patterns.iter().zip(patterns) {
        for &(state, start) in &pattern.starts {
            states[state as usize] += probability * start;
        }
    }
    states
}

/// States of a random word in sentences of these patterns, by following every sentence to its end.
fn any_states(hmm: &Hmm, patterns: &[f64]) -> Vec<f64> {
    let mut visits = vec![0.0; hmm.states.len()];
    let mut open: Vec<(usize, f64)> = first_states(hmm, patterns).into_iter().enumerate().collect();
    while let Some((state, mass)) = open.pop() {
        visits[state] += mass;
        open.extend(hmm.states[state].next.iter().map(|&(next, p)| (next as usize, mass * p)));
    }
    let total: f64 = visits.iter().sum();
    visits.iter().map(|visit| visit / total).collect()
}

/// Pattern frequencies of a long document: the left eigenvector, here of the last two patterns, in closed form.
fn long_run(hmm: &Hmm) -> Vec<f64> {
    let (leave_one, leave_two) = (hmm.follows[1][2], hmm.follows[2][1]);
    vec![0.0, leave_two / (leave_one + leave_two), leave_one / (leave_one + leave_two)]
}

fn mix(one: &[f64], other: &[f64], share: f64) -> Vec<f64> {
    one.iter().zip(other).map(|(a, b)| share * a + (1.0 - share) * b).collect()
}

fn start(hmm: &Hmm, opening: f64) -> Vec<f64> {
    let run = long_run(hmm);
    let whole = mix(&first_states(hmm, &hmm.opening), &first_states(hmm, &run), opening);
    let cut = mix(&any_states(hmm, &hmm.opening), &any_states(hmm, &run), opening);
    mix(&cut, &whole, CUTS.front)
}

fn after(hmm: &Hmm, state: usize) -> Vec<f64> {
    let from = &hmm.states[state];
    if from.next.is_empty() {
        return first_states(hmm, &hmm.follows[from.pattern as usize]);
    }
    let mut next = vec![0.0; hmm.states.len()];
    for &(to, p) in &from.next {
        next[to as usize] = p;
    }
    next
}

fn link(hmm: &Hmm, state: usize) -> Vec<f64> {
    let run = long_run(hmm);
    let whole = if hmm.states[state].next.is_empty() { after(hmm, state) } else { first_states(hmm, &run) };
    mix(&any_states(hmm, &run), &whole, CUTS.front)
}

fn ends(hmm: &Hmm, state: usize) -> f64 {
    if hmm.states[state].next.is_empty() { CUTS.ends_after_sentence } else { CUTS.ends_inside }
}

/// Every (words, states) of a segment with its probability, up to and with its end.
fn segments(hmm: &Hmm, start: &[f64], length: usize) -> Vec<(Vec<u32>, usize, f64)> {
    let mut open: Vec<(Vec<u32>, usize, f64)> = Vec::new();
    let grow = |words: &[u32], states: &[f64], mass: f64, into: &mut Vec<_>| {
        for (state, p) in states.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            for &(word, emitted) in &hmm.states[state].words {
                let mut words = words.to_vec();
                words.push(word);
                into.push((words, state, mass * p * emitted));
            }
        }
    };
    grow(&[], start, 1.0, &mut open);
    for _ in 1..length {
        let mut longer = Vec::new();
        for (words, state, mass) in &open {
            grow(words, &after(hmm, *state), *mass, &mut longer);
        }
        open = longer;
    }
    for (_, state, mass) in &mut open {
        *mass *= ends(hmm, *state);
    }
    open
}

/// Calls back with every pair of word sequences, its probability, and whether it is a continued document.
fn every_pair(classes: &[Hmm], lengths: [usize; 2], mut each: impl FnMut(&[u32], &[u32], f64, bool)) {
    let prior = 1.0 / classes.len() as f64;
    for first_class in classes {
        for (first, last, mass) in segments(first_class, &start(first_class, CUTS.opening[0]), lengths[0]) {
            for (second, _, other) in segments(first_class, &link(first_class, last), lengths[1]) {
                each(&first, &second, prior * mass * other * CUTS.next, true);
            }
            for second_class in classes {
                let from = start(second_class, CUTS.opening[1]);
                for (second, _, other) in segments(second_class, &from, lengths[1]) {
                    let apart = (1.0 - CUTS.next) * prior * prior;
                    each(&first, &second, apart * mass * other, false);
                }
            }
        }
    }
}

fn brute_force(classes: &[Hmm], seen: &[Vec<Seen>; 2], positions: &[(usize, usize)]) -> Posterior {
    let lengths = [seen[0].len(), seen[1].len()];
    let mut words = vec![vec![0.0; WORDS]; positions.len()];
    let mut kinds = [0.0; 2];
    every_pair(classes, lengths, |first, second, mass, is_next| {
        let truth = [first, second];
        let sighted = |target: Option<(usize, usize)>| -> f64 {
            (0..2)
                .flat_map(|segment| (0..lengths[segment]).map(move |index| (segment, index)))
                .map(|at| sight(truth[at.0][at.1], seen[at.0][at.1], Some(at) == target))
                .product()
        };
        kinds[usize::from(is_next)] += mass * sighted(None);
        for (&at, words) in positions.iter().zip(&mut words) {
            words[truth[at.0][at.1] as usize] += mass * sighted(Some(at));
        }
    });
    for words in &mut words {
        let total: f64 = words.iter().sum();
        words.iter_mut().for_each(|word| *word /= total);
    }
    Posterior { words, next: kinds[1] / (kinds[0] + kinds[1]) }
}

#[test]
fn the_ideal_reader_agrees_with_enumeration() {
    let classes = [tiny(0.9), tiny(0.2), tiny(0.5)];
    let reader = Reader::new(&classes, CORRUPTION, CUTS);
    use Seen::{Foreign, Mask, Word};
    let cases = [
        [vec![Word(0), Mask, Word(1), Word(3)], vec![Mask, Word(STOP), Word(2)]],
        [vec![Mask, Mask, Foreign], vec![Word(3), Word(3), Mask, Word(STOP)]],
        [vec![Word(4), Word(STOP), Word(2), Mask], vec![Word(1), Mask, Word(STOP)]],
        [vec![Mask], vec![Mask]],
        [vec![Word(0), Word(STOP), Word(2), Word(STOP)], vec![Foreign, Word(STOP), Word(1)]],
    ];
    for seen in cases {
        let positions: Vec<(usize, usize)> =
            (0..2).flat_map(|segment| (0..seen[segment].len()).map(move |index| (segment, index))).collect();
        let fast = reader.read(&seen, &positions);
        let slow = brute_force(&classes, &seen, &positions);
        assert!((fast.next - slow.next).abs() < 1e-9, "{seen:?}: next {} and {}", fast.next, slow.next);
        for ((at, fast), slow) in positions.iter().zip(&fast.words).zip(&slow.words) {
            for (word, (fast, slow)) in fast.iter().zip(slow).enumerate() {
                assert!((fast - slow).abs() < 1e-9, "{seen:?} at {at:?}, word {word}: {fast} and {slow}");
            }
        }
    }
}

#[test]
fn a_model_gives_its_own_sentences_a_probability_and_scrambled_ones_none() {
    let hmm = tiny(0.5);
    let mut random = random::Random::new(3, 0, 0);
    for sentence in hmm.document(50, &mut random) {
        assert!(hmm.accepts(&sentence), "{sentence:?}");
        let mut backwards = sentence.clone();
        backwards.reverse();
        assert!(!hmm.accepts(&backwards), "{backwards:?}");
    }
}
