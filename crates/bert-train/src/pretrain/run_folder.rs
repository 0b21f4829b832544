//! The folder of a run: whether it may be used, and where the run starts.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use bert_data::manifest::MANIFEST_FILE;
use serde::{Deserialize, Serialize};

use super::micro_batch;
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::config::{PretrainConfig, changed_keys};
use crate::error::{Error, Result};
use crate::files::{create_folder, read_json, replace};

const KIND: &str = "bert-train pretrain";
const LOCK_FILE: &str = ".lock";

/// What to do with a run that was interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// Go on from its newest sound checkpoint, or start if there is none.
    Auto,
    /// Start; refuse a folder that already holds a run.
    Never,
    /// Go on from this checkpoint.
    From(PathBuf),
}

impl From<&str> for Resume {
    fn from(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            "never" => Self::Never,
            path => Self::From(path.into()),
        }
    }
}

/// `run.json`.
#[derive(Debug, Serialize, Deserialize)]
struct RunFile {
    kind: String,
    finished: bool,
    configuration: PretrainConfig,
}

/// A folder that was checked to be this run's, or made.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    start: Option<Checkpoint>,
    is_new: bool,
    config: PretrainConfig,
    /// Held as long as the run writes here; the system lets go of it when the process ends, however it ends.
    _lock: File,
}

impl RunFolder {
    /// Opens or makes the folder at `path` for a run of `config`.
    ///
    /// # Errors
    /// [`Error::Request`] when it holds something else, a finished run or one of another configuration; then nothing
    /// has been changed.
    pub fn open(path: &Path, resume: &Resume, mut config: PretrainConfig) -> Result<Self> {
        let existing = read_run(path)?;
        if let Some(run) = &existing {
            micro_batch::adopt(&mut config, &run.configuration);
            refuse_unfit(path, run, resume, &config)?;
        } else {
            create_folder(path)?;
        }
        let lock = lock(path)?;
        let start = match resume {
            Resume::Never => None,
            Resume::From(checkpoint) => Some(Checkpoint::open(checkpoint)?),
            Resume::Auto => newest_sound(&Checkpoints::new(path.join("checkpoints"), usize::MAX))?,
        };
        if let Some(checkpoint) = &start {
            micro_batch::adopt(&mut config, &checkpoint.configuration()?);
            checkpoint.check_configuration(&config)?;
            eprintln!("going on from {}", checkpoint.path().display());
        }
        let is_new = existing.is_none();
        let folder = Self { path: path.to_owned(), start, is_new, config, _lock: lock };
        if is_new {
            folder.write_run(false)?;
        }
        folder.write_config()?;
        Ok(folder)
    }

    /// Removes the folder when it was made for this run and no examples were built in it: a corrected request can then
    /// use its name. Datasets, which may have taken hours, stay.
    pub fn discard_unless_begun(&self) {
        let is_dataset = |entry: std::fs::DirEntry| entry.path().join(MANIFEST_FILE).exists();
        let has_dataset = std::fs::read_dir(self.data()).is_ok_and(|entries| entries.flatten().any(is_dataset));
        if self.is_new && !has_dataset {
            // The error that led here is the one to tell, not that of cleaning up after it.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }

    /// The configuration, with the sizes of forward passes that the run has found before.
    pub fn config(&self) -> &PretrainConfig {
        &self.config
    }

    /// Writes down what the run found out about its configuration.
    pub fn settle(&mut self, config: &PretrainConfig) -> Result<()> {
        if self.config == *config {
            return Ok(());
        }
        self.config = config.clone();
        self.write_run(false)?;
        self.write_config()
    }

    /// The checkpoint to start from; none: from the beginning.
    pub fn start(&self) -> Option<&Checkpoint> {
        self.start.as_ref()
    }

    /// Where vocabulary and examples are built.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Where the finished model goes.
    pub fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// The lines of metrics.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The checkpoints.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.path.join("checkpoints"), self.config.checkpoint.keep)
    }

    /// Marks the run as finished: from now on nothing writes here.
    pub fn finish(&self) -> Result<()> {
        self.write_run(true)
    }

    fn write_run(&self, finished: bool) -> Result<()> {
        let path = self.path.join("run.json");
        let run = RunFile { kind: KIND.into(), finished, configuration: self.config.clone() };
        let text = serde_json::to_string_pretty(&run)
            .map_err(|error| Error::File { path: path.clone(), problem: format!("has no JSON form: {error}") })?;
        replace(&path, &(text + "\n"))
    }

    fn write_config(&self) -> Result<()> {
        let path = self.path.join("config.toml");
        let text = toml::to_string(&self.config)
            .map_err(|error| Error::File { path: path.clone(), problem: format!("has no TOML form: {error}") })?;
        replace(&path, &text)
    }
}

/// Takes the folder for this process.
///
/// # Errors
/// [`Error::Request`] when another process trains in it.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK_FILE);
    let file = File::create(&path).map_err(Error::io(&path, "create"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Request(format!(
            "--output {}: another process is training in this folder; wait for it, or choose another folder",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(Error::io(&path, "lock")(error)),
    }
}

/// What a folder holds: nothing, or a run of this program. Anything else is refused.
fn read_run(path: &Path) -> Result<Option<RunFile>> {
    let shown = path.display();
    let mut entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Error::Request(format!(
                "--output {shown}: cannot be used as a folder ({error}); choose another one"
            )));
        }
    };
    // A lock alone is left of a run that was stopped before it wrote anything.
    if entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == LOCK_FILE)) {
        return Ok(None);
    }
    let foreign = || {
        Error::Request(format!(
            "--output {shown}: holds something that is not a pre-training run; choose another folder"
        ))
    };
    let file = path.join("run.json");
    if !file.exists() {
        return Err(foreign());
    }
    let run: RunFile = read_json(&file)?;
    if run.kind == KIND { Ok(Some(run)) } else { Err(foreign()) }
}

fn refuse_unfit(path: &Path, run: &RunFile, resume: &Resume, new: &PretrainConfig) -> Result<()> {
    let shown = path.display();
    if run.finished {
        return Err(Error::Request(format!(
            "--output {shown}: holds a finished run; choose another folder, or remove this one"
        )));
    }
    if *resume == Resume::Never {
        return Err(Error::Request(format!(
            "--output {shown}: holds a run that was not finished; continue it with --resume auto, choose another \
             folder, or remove this one"
        )));
    }
    let changed = changed_keys(&run.configuration, new);
    if changed.is_empty() {
        return Ok(());
    }
    Err(Error::Request(format!(
        "--output {shown}: holds a run with another configuration ({}); give those keys their old values, or choose \
         another folder",
        changed.join(", ")
    )))
}

/// The newest checkpoint whose files are sound; each damaged one is told about.
fn newest_sound(checkpoints: &Checkpoints) -> Result<Option<Checkpoint>> {
    let all = checkpoints.list()?;
    let mut damage = None;
    for checkpoint in all.into_iter().rev() {
        match checkpoint.verify() {
            Ok(()) => return Ok(Some(checkpoint)),
            Err(error) => {
                eprintln!("warning: {error}; trying the checkpoint before it");
                damage = Some(error);
            }
        }
    }
    // Starting anew over damaged checkpoints would throw work away without being asked to.
    damage.map_or(Ok(None), Err)
}
