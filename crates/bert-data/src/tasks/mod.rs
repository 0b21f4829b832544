//! Fine-tuning tasks in their official files, and texts as model input.

mod encode;
mod glue;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::sample;
use crate::sources::SAMPLE_INPUT;

pub use encode::encode_pair;

/// A task of the GLUE benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Linguistic acceptability of a sentence; Matthews correlation.
    Cola,
    /// Sentiment of a sentence; accuracy.
    Sst2,
    /// Whether two sentences say the same; F1 and accuracy.
    Mrpc,
    /// How similar two sentences are, 0 to 5; Pearson and Spearman correlation.
    StsB,
}

/// Which of a task's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskSplit {
    /// `train.tsv`
    Train,
    /// `dev.tsv`
    Dev,
    /// `test.tsv`, without labels.
    Test,
}

/// What is to be predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Label {
    /// Index into [`Task::labels`].
    Class(usize),
    /// A number to regress to.
    Score(f64),
}

/// One row of a task's file.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskExample {
    /// The sentence, or the first of two.
    pub text_a: String,
    /// The second sentence of a pair.
    pub text_b: Option<String>,
    /// None in the test file.
    pub label: Option<Label>,
}

impl Task {
    /// All tasks.
    pub const ALL: [Task; 4] = [Task::Cola, Task::Sst2, Task::Mrpc, Task::StsB];

    /// The task with this name, however it is written: `sst-2`, `SST2`, `sts_b`.
    ///
    /// # Errors
    /// [`Error::Setting`] for an unknown name.
    pub fn from_name(name: &str) -> Result<Self> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        Task::ALL.into_iter().find(|task| task.name().replace('-', "") == plain).ok_or_else(|| Error::Setting {
            name: "task",
            reason: format!("`{name}` is not known; the tasks are {}", Task::ALL.map(Task::name).join(", ")),
        })
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Task::Cola => "cola",
            Task::Sst2 => "sst-2",
            Task::Mrpc => "mrpc",
            Task::StsB => "sts-b",
        }
    }

    /// The name of the folder GLUE distributes it in.
    pub fn folder(self) -> &'static str {
        match self {
            Task::Cola => "CoLA",
            Task::Sst2 => "SST-2",
            Task::Mrpc => "MRPC",
            Task::StsB => "STS-B",
        }
    }

    /// Names of the classes in the order of their indices, as the files write them; none for regression.
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            Task::Cola | Task::Sst2 | Task::Mrpc => &["0", "1"],
            Task::StsB => &[],
        }
    }

    /// True when a score is predicted and not a class.
    pub fn is_regression(self) -> bool {
        self.labels().is_empty()
    }

    /// True when an example is two sentences.
    pub fn is_pair(self) -> bool {
        matches!(self, Task::Mrpc | Task::StsB)
    }
}

impl TaskSplit {
    /// The file's name.
    pub fn file_name(self) -> &'static str {
        match self {
            TaskSplit::Train => "train.tsv",
            TaskSplit::Dev => "dev.tsv",
            TaskSplit::Test => "test.tsv",
        }
    }
}

/// Reads a file of a task. `dir` is the task's own folder or the one that holds it under its official name.
///
/// # Errors
/// [`Error::Input`] for a missing file; [`Error::Io`], [`Error::NotUtf8`] and [`Error::TaskFile`] name the line, and the column, that does not fit.
pub fn read(task: Task, split: TaskSplit, dir: &Path) -> Result<Vec<TaskExample>> {
    let path = path(task, split, dir);
    if !path.exists() {
        return Err(Error::Input {
            pattern: path.display().to_string(),
            reason: format!(
                "there is no such file. Give the folder that has it, or the one above {0}; `bert-data fetch {1}` makes the folder {0}",
                task.folder(),
                task.name()
            ),
        });
    }
    glue::read(task, split, &path)
}

/// Reads a file of the embedded sample of a task.
///
/// # Errors
/// [`Error::Setting`] for the test split, which the sample does without.
pub fn read_sample(task: Task, split: TaskSplit) -> Result<Vec<TaskExample>> {
    let text = sample::task_file(task, split).ok_or_else(|| Error::Setting {
        name: "split",
        reason: "the embedded sample has `train` and `dev` and no `test`".into(),
    })?;
    let path = Path::new(SAMPLE_INPUT).join(task.folder()).join(split.file_name());
    glue::parse(task, split, &path, text.as_bytes())
}

fn path(task: Task, split: TaskSplit, dir: &Path) -> PathBuf {
    let folder = dir.join(task.folder());
    let folder = if folder.is_dir() { folder } else { dir.to_owned() };
    folder.join(split.file_name())
}
