//! The fine-tuning loop.

use std::path::PathBuf;

use bert_data::order::Permutation;
use bert_data::tasks::{Task, TaskSplit};
use bert_model::{BertConfig, BertForSequenceClassification, Pass, backward, save_pretrained};
use candle_core::Device;
use serde::Serialize;

use super::batch::{Encoded, pack, targets};
use super::evaluate::{Evaluation, evaluate};
use super::task_data::{TaskInputs, encode};
use crate::config::{FinetuneConfig, MicroBatch};
use crate::error::{Error, Result};
use crate::export::refuse_existing;
use crate::files::{create_folder, write_folder, write_json};
use crate::memory::{PassSize, Training, free};
use crate::model_folder::{ModelFolder, print_load};
use crate::optimizer::Optimizer;
use crate::progress::step_bar;
use crate::schedule::Schedule;

/// What to fine-tune, on what, and where to.
#[derive(Debug)]
pub struct FinetuneOptions<'a> {
    /// The task.
    pub task: Task,
    /// Its files.
    pub inputs: TaskInputs<'a>,
    /// The model to start from.
    pub model: ModelFolder,
    /// Take the model's shape and vocabulary only and start from random weights: what pre-training is compared with.
    pub from_scratch: bool,
    /// The new folder.
    pub output: PathBuf,
    /// No progress on standard error.
    pub quiet: bool,
    /// Where it runs.
    pub device: Device,
}

/// What fine-tuning reached on the dev split.
#[derive(Debug, Serialize)]
pub struct FinetuneReport {
    /// The task's folder name, such as `SST-2`.
    pub task: String,
    /// Examples trained on in every epoch.
    pub train_examples: usize,
    /// Dev scores after each epoch; the last is the result.
    pub epochs: Vec<Evaluation>,
    /// Epoch, counted from 1, with the best mean of the metrics.
    pub best_epoch: usize,
    /// The saved model: that of the last epoch.
    pub model: PathBuf,
}

impl std::fmt::Display for FinetuneReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last = self.epochs.len();
        for (label, epoch) in [("last", last), ("best", self.best_epoch)] {
            if let Some(scores) = self.epochs.get(epoch.wrapping_sub(1)) {
                writeln!(f, "{} dev, {label} epoch ({epoch} of {last}): {scores}", self.task)?;
            }
        }
        write!(f, "model: {}", self.model.display())
    }
}

/// Fine-tunes and saves `OUTPUT/model`, `OUTPUT/results.json` and `OUTPUT/config.toml`, all or nothing.
///
/// # Errors
/// A device without the precision asked for, an output that exists, a model or task file that does not fit.
pub fn finetune(config: &FinetuneConfig, options: &FinetuneOptions<'_>) -> Result<FinetuneReport> {
    let task = options.task;
    config.precision.set_up(&options.device)?;
    refuse_existing(&options.output)?;
    let mut shape = options.model.config()?;
    shape.hidden_dropout_prob = config.dropout;
    shape.attention_probs_dropout_prob = config.dropout;
    shape.classifier_dropout = None;
    if config.max_seq_len > shape.max_position_embeddings {
        let (asked, most) = (config.max_seq_len, shape.max_position_embeddings);
        return Err(Error::Request(format!(
            "max_seq_len {asked} is above the model's max_position_embeddings {most}; shorten it with --set max_seq_len={most}"
        )));
    }
    let tokenizer = options.model.tokenizer()?;
    let read = |split| -> Result<Vec<Encoded>> {
        let examples = options.inputs.read(task, split)?;
        Ok(encode(&examples, &tokenizer, config.max_seq_len))
    };
    let (train, dev) = (read(TaskSplit::Train)?, read(TaskSplit::Dev)?);

    let outputs = task.labels().len().max(1);
    let model = BertForSequenceClassification::new(&shape, outputs, config.seed, &options.device)?;
    if options.from_scratch {
        eprintln!("starting from random weights");
    } else {
        print_load(&model.parameters().load(&options.model.tensors()?)?);
    }
    let config = &settle_micro_batch(config, model.config(), &train, options)?;
    // Found now, not after the training: whether the folder can be made.
    create_folder(&options.output)?;

    let epochs = train_epochs(config, task, &model, &train, &dev, options.quiet)?;
    let best = |best: usize, i: usize| if epochs[i].score() > epochs[best].score() { i } else { best };
    let report = FinetuneReport {
        task: task.folder().to_owned(),
        train_examples: train.len(),
        best_epoch: (0..epochs.len()).reduce(best).map_or(0, |index| index + 1),
        epochs,
        model: options.output.join("model"),
    };
    write_folder(&options.output, |folder| {
        let place = folder.join("model");
        create_folder(&place)?;
        let architecture = "BertForSequenceClassification";
        save_pretrained(&place, model.config(), model.parameters(), architecture, task.labels())?;
        tokenizer.save(&place)?;
        write_json(&folder.join("results.json"), &report)?;
        let path = folder.join("config.toml");
        let text = toml::to_string(config)
            .map_err(|error| Error::File { path: path.clone(), problem: format!("has no TOML form: {error}") })?;
        std::fs::write(&path, text).map_err(Error::io(&path, "write"))
    })?;
    Ok(report)
}

/// The configuration with the largest forward pass that fits in the place of `auto`. The model is there already and counts twice,
/// once as what is not free any more: of what a pass takes that is little.
fn settle_micro_batch(
    config: &FinetuneConfig,
    model: &BertConfig,
    train: &[Encoded],
    options: &FinetuneOptions<'_>,
) -> Result<FinetuneConfig> {
    let mut config = config.clone();
    if config.micro_batch == Some(MicroBatch::Auto) {
        let longest = train.iter().map(|example| example.ids.len()).max().unwrap_or(config.max_seq_len);
        let training = Training { model, precision: config.precision, recompute: config.recompute };
        let found = training.largest_pass("micro_batch", config.batch, free(&options.device)?, |micro| {
            let accumulates = micro < config.batch;
            Some(PassSize { tokens: micro * longest, masked: 0, sequences: micro, accumulates })
        })?;
        if !options.quiet {
            eprintln!("micro_batch: {found} of {} examples", config.batch);
        }
        config.micro_batch = Some(MicroBatch::Size(found));
    }
    Ok(config)
}

/// Trains for all epochs; dev scores after each.
fn train_epochs(
    config: &FinetuneConfig,
    task: Task,
    model: &BertForSequenceClassification,
    train: &[Encoded],
    dev: &[Encoded],
    quiet: bool,
) -> Result<Vec<Evaluation>> {
    let regression = task.is_regression();
    let classes: Vec<usize> = (0..task.labels().len().max(1)).collect();
    let store = model.parameters();
    let mut optimizer = Optimizer::new(&config.optimizer, config.precision, store)?;
    let steps = config.epochs * train.len().div_ceil(config.batch) as u64;
    let warmup = (config.schedule.warmup * steps as f64).round() as u64;
    let schedule = Schedule::single(config.schedule.kind, config.optimizer.lr, warmup, steps);
    let bar = step_bar(steps, 0, quiet);
    let (mut step, mut passes) = (0, 0);
    let mut scores = Vec::new();
    for epoch in 0..config.epochs {
        let order = Permutation::new(train.len() as u64, config.seed, epoch);
        let order: Vec<&Encoded> = (0..train.len() as u64).map(|i| &train[order.at(i) as usize]).collect();
        for batch in order.chunks(config.batch) {
            let mut losses = Vec::new();
            for micro in batch.chunks(config.micro_batch()) {
                let pass = Pass::train(config.seed, passes)
                    .recomputing(config.recompute)
                    .computing_in(config.precision.dtype());
                let part = model.loss(&pack(micro), &targets(micro, regression), &pass)?;
                let mean = (&part.sum / batch.len() as f64)?;
                losses.push(mean.detach());
                backward(&optimizer.scaled(mean)?, store)?;
                passes += 1;
            }
            step += 1;
            let (outcome, losses) = optimizer.step_reading(store, schedule.rate(step), &losses)?;
            if !outcome.applied {
                let norm = outcome.norm;
                let line = format!("step {step}: the gradient's norm is {norm}; the step was skipped");
                bar.suspend(|| eprintln!("{line}"));
            }
            bar.set_position(step);
            bar.set_message(format!("epoch {} loss {:.3}", epoch + 1, losses.iter().sum::<f64>()));
        }
        let dev_scores = evaluate(model, task, &classes, dev)?;
        bar.suspend(|| eprintln!("epoch {}: dev {dev_scores}", epoch + 1));
        scores.push(dev_scores);
    }
    bar.finish();
    Ok(scores)
}
