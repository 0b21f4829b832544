//! The committed sample is what its generator makes, byte for byte.

#![allow(clippy::unwrap_used, dead_code)]

#[path = "../examples/sample_corpus/facts.rs"]
mod facts;
#[path = "../examples/sample_corpus/floor.rs"]
mod floor;
#[path = "../examples/sample_corpus/grammar.rs"]
mod grammar;
#[path = "../examples/sample_corpus/hmm.rs"]
mod hmm;
#[path = "../examples/sample_corpus/inference.rs"]
mod inference;
#[path = "../examples/sample_corpus/output.rs"]
mod output;
#[path = "../examples/sample_corpus/pairs.rs"]
mod pairs;
#[path = "../examples/sample_corpus/pattern.rs"]
mod pattern;
#[path = "../examples/sample_corpus/random.rs"]
mod random;
#[path = "../examples/sample_corpus/readme.rs"]
mod readme;
#[path = "../examples/sample_corpus/tasks.rs"]
mod tasks;
#[path = "../examples/sample_corpus/topics.rs"]
mod topics;

use std::path::Path;

use grammar::Grammar;
use inference::Corruption;
use output::Corpus;
use pairs::PairOptions;

fn grammar() -> (Vec<topics::Topic>, Grammar) {
    let topics = topics::parse(include_str!("../examples/sample_corpus/topics.txt")).unwrap();
    let grammar = Grammar::new(&topics);
    (topics, grammar)
}

#[test]
fn the_committed_sample_is_what_the_generator_makes() {
    let (topics, grammar) = grammar();
    let corpus = Corpus::new(&grammar);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
    let texts = corpus.files.into_iter().map(|(name, text)| (format!("sample/{name}"), text));
    let tasks = tasks::files(&topics, &grammar, output::SEED);
    let tasks = tasks.into_iter().map(|(name, text)| (format!("tasks/{name}"), text));
    for (name, text) in texts.chain(tasks) {
        let committed = std::fs::read_to_string(data.join(&name)).unwrap_or_default();
        assert!(committed == text, "data/{name} is not up to date: run {}", readme::COMMAND);
    }
}

#[test]
fn every_state_of_the_grammar_is_a_distribution() {
    let (_, grammar) = grammar();
    let sums_to_one = |probabilities: &mut dyn Iterator<Item = f64>| {
        let total: f64 = probabilities.sum();
        assert!((total - 1.0).abs() < 1e-9, "sums to {total}");
    };
    for class in &grammar.classes {
        for state in &class.states {
            sums_to_one(&mut state.words.iter().map(|(_, p)| *p));
            if !state.is_last() {
                sums_to_one(&mut state.next.iter().map(|(_, p)| *p));
            }
        }
        for pattern in &class.patterns {
            sums_to_one(&mut pattern.starts.iter().map(|(_, p)| *p));
        }
        for follows in &class.follows {
            sums_to_one(&mut follows.iter().copied());
        }
        sums_to_one(&mut class.opening.iter().copied());
    }
}

#[test]
fn the_ideal_reader_is_calibrated_on_the_sample() {
    let (_, grammar) = grammar();
    let corpus = Corpus::new(&grammar);
    let corruption =
        Corruption { rate: 0.15, mask: 0.8, random: 0.1, vocabulary: 1400, words: grammar.words.list.len() };
    let fresh = floor::documents(&grammar, 100, output::SENTENCES, 7, 2);
    let others = floor::documents(&grammar, 500, output::SENTENCES, 7, 3);
    let options = PairOptions { seq_len: 64, short_seq_prob: 0.1 };
    let floor = floor::measure(&grammar, corruption, options, &corpus.frequencies, (&fresh, &others), (150, 1, 7));
    // The loss it makes is the loss it expects, and far below that of the word frequencies.
    let error = floor.mlm_loss.error + floor.expected_loss.error;
    assert!((floor.mlm_loss.mean - floor.expected_loss.mean).abs() < 4.0 * error, "{floor:?}");
    assert!(floor.mlm_loss.mean < 1.0 && floor.unigram_loss.mean > 4.0, "{floor:?}");
    assert!(floor.nsp_accuracy.mean > 0.85, "{floor:?}");
}
