//! The folder `RUN/checkpoints`: saving, finding, loading and forgetting checkpoints.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bert_data::tokenizer::Tokenizer;
use bert_model::{BertForPreTraining, load_tensors};
use candle_core::{Device, Tensor};

use super::manifest::Manifest;
use super::state::{State, StateFile};
use crate::config::{PretrainConfig, changed_keys, digest};
use crate::error::{Error, Result};
use crate::files::{create_folder, discard_folder, read_json, write_folder, write_json};
use crate::optimizer::Optimizer;

const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";

/// The checkpoints of one run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    keep: usize,
}

/// One complete checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checkpoint {
    step: u64,
    path: PathBuf,
}

/// What a checkpoint is made of.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// The resolved configuration.
    pub config: &'a PretrainConfig,
    /// What the examples of each phase are, by their manifests' digests.
    pub data: &'a [String],
    /// The model.
    pub model: &'a BertForPreTraining,
    /// The moments.
    pub optimizer: &'a Optimizer,
    /// The vocabulary, so that the folder can be used by itself.
    pub tokenizer: &'a Tokenizer,
    /// Where the run stands.
    pub state: &'a State,
}

impl Checkpoints {
    /// The checkpoints in `folder`, of which the newest `keep` stay.
    pub fn new(folder: PathBuf, keep: usize) -> Self {
        Self { folder, keep }
    }

    /// All checkpoints, oldest first.
    pub fn list(&self) -> Result<Vec<Checkpoint>> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let doing = "list the folder";
        for entry in std::fs::read_dir(&self.folder).map_err(Error::io(&self.folder, doing))? {
            let path = entry.map_err(Error::io(&self.folder, doing))?.path();
            if let Some(step) = step_of(&path) {
                found.push(Checkpoint { step, path });
            }
        }
        found.sort();
        Ok(found)
    }

    /// Writes a checkpoint, whole or not at all, then removes those beyond the newest `keep`.
    pub fn save(&self, snapshot: &Snapshot<'_>) -> Result<Checkpoint> {
        create_folder(&self.folder)?;
        let step = snapshot.state.step;
        let path = self.folder.join(format!("step-{step:08}"));
        write_folder(&path, |aside| snapshot.write(aside))?;
        let all = self.list()?;
        for old in &all[..all.len().saturating_sub(self.keep)] {
            discard_folder(&old.path)?;
        }
        Ok(Checkpoint { step, path })
    }
}

impl Snapshot<'_> {
    fn write(&self, folder: &Path) -> Result<()> {
        crate::export::write_model(folder, self.model)?;
        self.tokenizer.save(folder)?;
        let path = folder.join(OPTIMIZER);
        let moments = self.optimizer.tensors(self.model.parameters());
        candle_core::safetensors::save(&moments, &path)
            .map_err(|error| Error::File { path, problem: format!("cannot be written: {error}") })?;
        let state = StateFile {
            digest: digest(self.config),
            data: self.data.to_vec(),
            state: self.state.clone(),
            configuration: self.config.clone(),
        };
        write_json(&folder.join(STATE), &state)?;
        Manifest::of(folder)?.write(folder)
    }
}

impl Checkpoint {
    /// A checkpoint given by its path, with every file checked against the manifest.
    ///
    /// # Errors
    /// [`Error::Request`] when there is no such folder, [`Error::Checkpoint`] when a file is missing or altered.
    pub fn open(path: &Path) -> Result<Self> {
        let step = step_of(path).filter(|_| path.is_dir()).ok_or_else(|| {
            let shown = path.display();
            Error::Request(format!("{shown}: not a checkpoint; give a folder such as RUN/checkpoints/step-00001000"))
        })?;
        let checkpoint = Self { step, path: path.to_owned() };
        checkpoint.verify()?;
        Ok(checkpoint)
    }

    /// Compares every file with the manifest.
    pub fn verify(&self) -> Result<()> {
        Manifest::verify(&self.path)
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Steps completed when it was written.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The configuration that led to it.
    pub fn configuration(&self) -> Result<PretrainConfig> {
        Ok(self.read_state()?.configuration)
    }

    /// Refuses a checkpoint whose weights came from another configuration, naming the keys.
    pub fn check_configuration(&self, config: &PretrainConfig) -> Result<()> {
        let saved = self.read_state()?;
        if saved.digest == digest(config) {
            return Ok(());
        }
        let keys = changed_keys(&saved.configuration, config).join(", ");
        Err(Error::Request(format!(
            "{} was made with another configuration ({keys}); give those keys their old values, or start another \
             --output",
            self.path.display()
        )))
    }

    /// Loads weights and moments, and says where the run stands.
    ///
    /// # Errors
    /// When the weights or moments do not fit, or the examples are not those it was trained on.
    pub fn restore(&self, data: &[String], model: &BertForPreTraining, optimizer: &mut Optimizer) -> Result<State> {
        let wrong = |file: &str, problem: String| Error::Checkpoint {
            checkpoint: self.path.clone(),
            file: file.into(),
            problem,
        };
        let saved = self.read_state()?;
        if saved.data != data {
            let problem = "was trained on other examples; resume with the data of that run";
            return Err(wrong(STATE, problem.into()));
        }
        let report = model.parameters().load(&load_tensors(&self.path)?)?;
        if !report.new.is_empty() {
            let missing = report.new.join(", ");
            return Err(wrong("model.safetensors", format!("does not hold {missing}")));
        }
        let path = self.path.join(OPTIMIZER);
        let moments: HashMap<String, Tensor> =
            candle_core::safetensors::load(&path, &Device::Cpu).map_err(|error| wrong(OPTIMIZER, error.to_string()))?;
        optimizer
            .load(model.parameters(), &moments, saved.state.updates, saved.state.loss_scale)
            .map_err(|problem| wrong(OPTIMIZER, problem))?;
        Ok(saved.state)
    }

    fn read_state(&self) -> Result<StateFile> {
        read_json(&self.path.join(STATE))
    }
}

/// The step of a folder named `step-N`.
fn step_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()
}
