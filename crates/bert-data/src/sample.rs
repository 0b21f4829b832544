//! The embedded sample: a small corpus and small tasks that are part of the program, so that a first run needs no download.
//!
//! A grammar of this project's own wrote them (`data/README.md`), so the best that any model can reach on the corpus is
//! known: [`floors`].

use std::path::PathBuf;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::tasks::{Task, TaskSplit};

/// The text of a file in the project's `data` folder.
macro_rules! sample_file {
    ($name:literal) => {
        include_str!(concat!("../../../data/", $name))
    };
}

/// The sample corpus as (file name, text) pairs, in the `text` format, one sentence a line.
pub fn corpus() -> &'static [(&'static str, &'static str)] {
    &[
        ("stories-1.txt", sample_file!("sample/stories-1.txt")),
        ("stories-2.txt", sample_file!("sample/stories-2.txt")),
        ("stories-3.txt", sample_file!("sample/stories-3.txt")),
        ("stories-4.txt", sample_file!("sample/stories-4.txt")),
    ]
}

/// The text of a sample task's file in its official layout; none for the test split, which the sample does without.
pub(crate) fn task_file(task: Task, split: TaskSplit) -> Option<&'static str> {
    match (task, split) {
        (Task::Cola, TaskSplit::Train) => Some(sample_file!("tasks/CoLA/train.tsv")),
        (Task::Cola, TaskSplit::Dev) => Some(sample_file!("tasks/CoLA/dev.tsv")),
        (Task::Sst2, TaskSplit::Train) => Some(sample_file!("tasks/SST-2/train.tsv")),
        (Task::Sst2, TaskSplit::Dev) => Some(sample_file!("tasks/SST-2/dev.tsv")),
        (Task::Mrpc, TaskSplit::Train) => Some(sample_file!("tasks/MRPC/train.tsv")),
        (Task::Mrpc, TaskSplit::Dev) => Some(sample_file!("tasks/MRPC/dev.tsv")),
        (Task::StsB, TaskSplit::Train) => Some(sample_file!("tasks/STS-B/train.tsv")),
        (Task::StsB, TaskSplit::Dev) => Some(sample_file!("tasks/STS-B/dev.tsv")),
        (_, TaskSplit::Test) => None,
    }
}

/// The best that any model can reach on pairs of the sample corpus up to some length, worked out by exact inference in its
/// grammar (`data/sample/README.md`). Losses in nats for each predicted token or pair, accuracies as shares.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Floor {
    /// Longest example in tokens.
    pub seq_len: usize,
    /// Least loss of masked tokens.
    pub mlm_loss: f64,
    /// Its standard error.
    pub mlm_loss_error: f64,
    /// Accuracy of the best prediction of masked tokens.
    pub mlm_accuracy: f64,
    /// Loss of predicting masked tokens by the frequency of words alone.
    pub unigram_loss: f64,
    /// Accuracy of always predicting the most frequent token.
    pub unigram_accuracy: f64,
    /// Least loss of next-sentence prediction.
    pub nsp_loss: f64,
    /// Accuracy of the best next-sentence prediction.
    pub nsp_accuracy: f64,
}

/// The floors that are known, by ascending length.
///
/// # Errors
/// [`Error::Damaged`] when the embedded file is not what it should be; a test sees to it that it is.
pub fn floors() -> Result<Vec<Floor>> {
    #[derive(Deserialize)]
    struct File {
        context: Vec<Floor>,
    }
    let file: File = toml::from_str(sample_file!("sample/floor.toml"))
        .map_err(|e| Error::Damaged { path: PathBuf::from("data/sample/floor.toml"), reason: e.to_string() })?;
    let mut floors = file.context;
    floors.sort_by_key(|floor| floor.seq_len);
    Ok(floors)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::tasks;

    #[test]
    fn the_corpus_has_documents_of_several_sentences() {
        for (name, text) in corpus() {
            let documents: Vec<&str> = text.split("\n\n").collect();
            assert!(documents.len() > 50, "{name} has {} documents", documents.len());
            assert!(documents.iter().all(|document| document.trim().lines().count() > 2), "{name}");
        }
    }

    #[test]
    fn every_task_has_examples_of_every_class() {
        for task in Task::ALL {
            for (split, expected) in [(TaskSplit::Train, 400), (TaskSplit::Dev, 100)] {
                let examples = tasks::read_sample(task, split).unwrap();
                assert_eq!(examples.len(), expected, "{task:?} {split:?}");
                for class in 0..task.labels().len() {
                    assert!(examples.iter().any(|e| e.label == Some(tasks::Label::Class(class))), "{task:?}");
                }
            }
            assert!(tasks::read_sample(task, TaskSplit::Test).unwrap_err().is_request());
        }
    }

    #[test]
    fn longer_examples_have_lower_floors_and_all_are_below_the_unigram() {
        let floors = floors().unwrap();
        assert!(floors.len() >= 2);
        assert!(floors.windows(2).all(|pair| pair[0].seq_len < pair[1].seq_len && pair[0].mlm_loss > pair[1].mlm_loss));
        assert!(floors.iter().all(|floor| floor.mlm_loss < floor.unigram_loss && floor.nsp_accuracy > 0.5));
    }
}
