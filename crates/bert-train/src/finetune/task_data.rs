//! The examples of a task, tokenised.

use std::path::Path;

use bert_data::tasks::{Task, TaskExample, TaskSplit, encode_pair, read, read_sample};
use bert_data::tokenizer::Tokenizer;

use super::batch::Encoded;
use crate::error::Result;

/// Where a task's files are.
#[derive(Debug, Clone, Copy)]
pub enum TaskInputs<'a> {
    /// The embedded sample of the task.
    Sample,
    /// A folder with the official files, or one that holds the task's folder.
    Folder(&'a Path),
}

impl<'a> TaskInputs<'a> {
    /// `sample` is the embedded sample, all else a folder.
    pub fn from_argument(argument: &'a str) -> Self {
        match argument {
            "sample" => Self::Sample,
            folder => Self::Folder(Path::new(folder)),
        }
    }

    /// Reads one split.
    pub fn read(self, task: Task, split: TaskSplit) -> Result<Vec<TaskExample>> {
        match self {
            Self::Sample => Ok(read_sample(task, split)?),
            Self::Folder(folder) => Ok(read(task, split, folder)?),
        }
    }
}

/// Tokenises examples, cut to `max_len` tokens.
pub fn encode(examples: &[TaskExample], tokenizer: &Tokenizer, max_len: usize) -> Vec<Encoded> {
    examples
        .iter()
        .map(|example| {
            let second = example.text_b.as_deref();
            let (ids, second_start) = encode_pair(tokenizer, &example.text_a, second, max_len);
            Encoded { ids, second_start, label: example.label }
        })
        .collect()
}
