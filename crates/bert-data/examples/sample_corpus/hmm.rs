//! A hidden Markov model of one class of documents: words come from states, states follow one another inside a
//! sentence pattern, and patterns follow one another from sentence to sentence.

use crate::random::Random;

/// An item and its probability.
pub type Weighted = (u32, f64);

/// A sentence pattern: the states a sentence of it may begin with.
#[derive(Debug, Clone, Default)]
pub struct Pattern {
    /// (state, probability)
    pub starts: Vec<Weighted>,
}

/// One state: the words it may emit and the states that may follow.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// (word, probability)
    pub words: Vec<Weighted>,
    /// (state, probability); none ends the sentence.
    pub next: Vec<Weighted>,
    /// The pattern it belongs to.
    pub pattern: u32,
}

impl State {
    /// Whether the sentence ends after this state.
    pub fn is_last(&self) -> bool {
        self.next.is_empty()
    }
}

/// The documents of one class (a topic and a person).
#[derive(Debug, Clone, Default)]
pub struct Hmm {
    /// Size of the shared vocabulary of words.
    pub words: usize,
    /// Every state of every pattern; inside a sentence a state only leads to later ones.
    pub states: Vec<State>,
    /// The sentence patterns.
    pub patterns: Vec<Pattern>,
    /// `follows[p][q]`: probability that a sentence of pattern `q` follows one of pattern `p`.
    pub follows: Vec<Vec<f64>>,
    /// Probability of each pattern for the first sentence of a document.
    pub opening: Vec<f64>,
}

impl Hmm {
    /// A distribution over states: the first word of a sentence whose pattern has these probabilities.
    pub fn enter(&self, patterns: &[f64], into: &mut [f64], scale: f64) {
        for (pattern, &probability) in self.patterns.iter().zip(patterns) {
            if probability > 0.0 {
                for &(state, start) in &pattern.starts {
                    into[state as usize] += scale * probability * start;
                }
            }
        }
    }

    /// How often each pattern occurs in a long document.
    pub fn stationary_patterns(&self) -> Vec<f64> {
        let mut now = self.opening.clone();
        for _ in 0..500 {
            let mut then = vec![0.0; now.len()];
            for (row, &mass) in self.follows.iter().zip(&now) {
                for (to, &probability) in then.iter_mut().zip(row) {
                    *to += mass * probability;
                }
            }
            now = then;
        }
        now
    }

    /// The chance that a word taken anywhere from sentences of these patterns came from each state.
    pub fn spread(&self, patterns: &[f64]) -> Vec<f64> {
        let mut visits = vec![0.0; self.states.len()];
        self.enter(patterns, &mut visits, 1.0);
        for state in 0..self.states.len() {
            let mass = visits[state];
            for &(next, probability) in &self.states[state].next {
                visits[next as usize] += mass * probability;
            }
        }
        let total: f64 = visits.iter().sum();
        visits.iter().map(|visit| visit / total).collect()
    }

    /// The words of one sentence of the given pattern.
    pub fn sentence(&self, pattern: usize, random: &mut Random) -> Vec<u32> {
        let mut words = Vec::new();
        let mut at = random.weighted(self.patterns[pattern].starts.iter().copied());
        while let Some(state) = at {
            let state = &self.states[state as usize];
            words.extend(random.weighted(state.words.iter().copied()));
            at = random.weighted(state.next.iter().copied());
        }
        words
    }

    /// A document of so many sentences.
    pub fn document(&self, sentences: usize, random: &mut Random) -> Vec<Vec<u32>> {
        let mut document = Vec::with_capacity(sentences);
        let mut patterns = &self.opening;
        for _ in 0..sentences {
            let Some(pattern) = random.weighted(patterns.iter().copied().enumerate()) else {
                break;
            };
            document.push(self.sentence(pattern, random));
            patterns = &self.follows[pattern];
        }
        document
    }

    /// Whether the words are a whole sentence of some pattern.
    pub fn accepts(&self, sentence: &[u32]) -> bool {
        let mut now = vec![0.0; self.states.len()];
        self.enter(&vec![1.0; self.patterns.len()], &mut now, 1.0);
        let mut ended = 0.0;
        for &word in sentence {
            let mut then = vec![0.0; now.len()];
            ended = 0.0;
            for (state, &mass) in self.states.iter().zip(&now) {
                if mass > 0.0 && state.words.iter().any(|&(own, _)| own == word) {
                    ended += if state.is_last() { mass } else { 0.0 };
                    for &(next, probability) in &state.next {
                        then[next as usize] += mass * probability;
                    }
                }
            }
            now = then;
        }
        ended > 0.0
    }
}
