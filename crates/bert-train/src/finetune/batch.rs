//! From encoded task examples to a batch.

use bert_data::tasks::Label;
use bert_model::{Sequences, Targets};

/// One tokenised example of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`.
    pub ids: Vec<u32>,
    /// Index of the first token of B; the length when there is no B.
    pub second_start: usize,
    /// The answer; none in test files.
    pub label: Option<Label>,
}

/// Packs examples on one token axis.
pub(super) fn pack(examples: &[&Encoded]) -> Sequences {
    let items: Vec<_> = examples.iter().map(|e| (e.ids.as_slice(), e.second_start)).collect();
    Sequences::packed(&items)
}

/// The answers of examples that all have one.
pub(super) fn targets(examples: &[&Encoded], regression: bool) -> Targets {
    let labels = examples.iter().filter_map(|example| example.label.as_ref());
    if regression {
        Targets::Scores(labels.map(score).collect())
    } else {
        Targets::Classes(labels.map(class).collect())
    }
}

fn score(label: &Label) -> f32 {
    match label {
        Label::Score(score) => *score as f32,
        Label::Class(class) => *class as f32,
    }
}

fn class(label: &Label) -> u32 {
    match label {
        Label::Class(class) => *class as u32,
        Label::Score(score) => *score as u32,
    }
}
