//! Sentence patterns as small expressions, compiled into the states of a hidden Markov model.

use std::collections::HashMap;

use crate::hmm::{Hmm, Pattern, State, Weighted};

/// The words of the grammar, numbered in order of first use.
#[derive(Debug, Default)]
pub struct Words {
    /// Every word.
    pub list: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Words {
    /// The number of a word, given on first sight.
    pub fn id(&mut self, word: &str) -> u32 {
        if let Some(&id) = self.ids.get(word) {
            return id;
        }
        let id = self.list.len() as u32;
        self.list.push(word.to_owned());
        self.ids.insert(word.to_owned(), id);
        id
    }
}

/// What a stretch of a sentence may be.
#[derive(Debug, Clone)]
pub enum Part {
    /// Nothing.
    Empty,
    /// One of these words, with these weights.
    Word(Vec<(String, f64)>),
    /// One after the other.
    Seq(Vec<Part>),
    /// One of them, with these weights.
    Alt(Vec<(f64, Part)>),
}

/// One of the words, all as likely.
pub fn word(words: &[&str]) -> Part {
    Part::Word(words.iter().map(|word| ((*word).to_owned(), 1.0)).collect())
}

/// Fixed words, one after the other.
pub fn text(words: &str) -> Part {
    Part::Seq(words.split_whitespace().map(|one| word(&[one])).collect())
}

/// What is known of a compiled part: how it begins, how it may end, how likely it is empty.
struct Piece {
    first: Vec<Weighted>,
    last: Vec<Weighted>,
    empty: f64,
}

/// Adds a pattern to the model; it must end in one state only (the full stop).
pub fn add_pattern(hmm: &mut Hmm, words: &mut Words, part: &Part) {
    let number = hmm.patterns.len() as u32;
    let piece = compile(hmm, words, part, number);
    hmm.patterns.push(Pattern { starts: piece.first });
}

fn compile(hmm: &mut Hmm, words: &mut Words, part: &Part, pattern: u32) -> Piece {
    match part {
        Part::Empty => Piece { first: Vec::new(), last: Vec::new(), empty: 1.0 },
        Part::Word(choices) => {
            let total: f64 = choices.iter().map(|(_, weight)| weight).sum();
            let state = hmm.states.len() as u32;
            hmm.states.push(State {
                words: choices.iter().map(|(word, weight)| (words.id(word), weight / total)).collect(),
                next: Vec::new(),
                pattern,
            });
            Piece { first: vec![(state, 1.0)], last: vec![(state, 1.0)], empty: 0.0 }
        }
        Part::Seq(parts) => {
            let mut whole = compile(hmm, words, &Part::Empty, pattern);
            for part in parts {
                let next = compile(hmm, words, part, pattern);
                for &(from, leave) in &whole.last {
                    hmm.states[from as usize].next.extend(next.first.iter().map(|&(to, arrive)| (to, leave * arrive)));
                }
                let skipped = next.first.iter().map(|&(to, p)| (to, p * whole.empty));
                whole.first.extend(skipped);
                for (_, leave) in &mut whole.last {
                    *leave *= next.empty;
                }
                whole.last.retain(|&(_, leave)| leave > 0.0);
                whole.last.extend(next.last);
                whole.first.retain(|&(_, p)| p > 0.0);
                whole.empty *= next.empty;
            }
            whole
        }
        Part::Alt(choices) => {
            let total: f64 = choices.iter().map(|(weight, _)| weight).sum();
            let mut whole = Piece { first: Vec::new(), last: Vec::new(), empty: 0.0 };
            for (weight, part) in choices {
                let share = weight / total;
                let piece = compile(hmm, words, part, pattern);
                whole.first.extend(piece.first.iter().map(|&(to, p)| (to, p * share)));
                whole.last.extend(piece.last);
                whole.empty += share * piece.empty;
            }
            whole
        }
    }
}
