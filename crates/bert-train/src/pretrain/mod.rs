//! Pre-training: masked tokens and next sentences.
//!
//! ```text
//! RUN/run.json        what this folder is, its configuration, whether it is finished
//! RUN/config.toml     the resolved configuration, usable as --config
//! RUN/data/           vocabulary and examples, built from [data] where the configuration gives no folders
//! RUN/metrics.jsonl   a line of JSON per measurement
//! RUN/checkpoints/    see [`crate::checkpoint`]
//! RUN/model/          the finished model, in Hugging Face's layout
//! ```
//!
//! [`trainer::Trainer::step`] is the training step; [`pretrain`] runs it to the end and hangs measurements, progress and
//! checkpoints off it.

mod batch;
mod data;
mod feed;
mod hooks;
mod init;
mod metrics_log;
mod micro_batch;
mod report;
mod run_folder;
mod sample;
pub mod trainer;
mod unigram;
mod validation;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use batch::{Targets, collate};
pub use data::PhaseData;
pub use report::Report;
pub use run_folder::Resume;
pub use sample::BestPossible;
pub use validation::{Baseline, Measured, Validation};

use candle_core::Device;

use crate::config::PretrainConfig;
use crate::error::Result;
use hooks::Hooks;
use init::Parent;
use run_folder::RunFolder;
use trainer::Trainer;

/// Where a run writes, and how it starts.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The run's folder.
    pub output: PathBuf,
    /// What to do with a run that was interrupted.
    pub resume: Resume,
    /// Set by a signal: finish the step, write a checkpoint, return [`crate::Error::Interrupted`].
    pub stop: Arc<AtomicBool>,
    /// No progress on standard error.
    pub quiet: bool,
    /// Where it runs.
    pub device: Device,
}

/// Runs a configuration to its end, from the beginning or from a checkpoint.
///
/// # Errors
/// A device without the precision asked for, a folder that is not this run's, text that cannot be built into examples, a damaged checkpoint, an interruption.
/// Nothing that stood in the output folder before is overwritten.
pub fn pretrain(config: PretrainConfig, options: &RunOptions) -> Result<Report> {
    config.precision.set_up(&options.device)?;
    let mut folder = RunFolder::open(&options.output, &options.resume, config)?;
    let mut config = folder.config().clone();
    // A run that goes on has its weights, and the model it began from may be gone.
    let init = config.init.as_deref().filter(|_| folder.start().is_none());
    let parent = init.map(|name| Parent::find(name, &config.model)).transpose();
    let parent = parent.inspect_err(|_| folder.discard_unless_begun())?;
    let (tokenizer, phases) = data::prepare(&config, &folder.data(), parent.as_ref(), options.quiet)
        .inspect_err(|_| folder.discard_unless_begun())?;
    micro_batch::settle(&mut config, &tokenizer, &options.device, options.quiet)
        .inspect_err(|_| folder.discard_unless_begun())?;
    folder.settle(&config)?;

    let mut trainer = Trainer::new(config, tokenizer, phases, &options.device)?;
    if let Some(parent) = &parent {
        parent.load_into(trainer.model(), trainer.tokenizer()).inspect_err(|_| folder.discard_unless_begun())?;
    }
    if let Some(checkpoint) = folder.start() {
        trainer.restore(checkpoint)?;
    }
    let mut hooks = Hooks::new(&folder, &trainer, options)?;
    while !trainer.is_finished() {
        let outcome = trainer.step()?;
        hooks.after_step(&mut trainer, &outcome)?;
    }
    hooks.finish(&trainer)
}
