//! What hangs off the training loop: metrics, progress, measurements, checkpoints, signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use indicatif::ProgressBar;
use serde::Serialize;

use super::RunOptions;
use super::metrics_log::{FINAL, MetricsLog};
use super::report::{Report, pair_task};
use super::run_folder::RunFolder;
use super::sample::{BestPossible, fill_sentence};
use super::trainer::Trainer;
use super::validation::{Baseline, Measured, Validation};
use crate::checkpoint::{Checkpoints, Meters};
use crate::error::{Error, Result};
use crate::export::save_model;
use crate::optimizer::Outcome;
use crate::progress::step_bar;

/// Everything that watches a run and never changes its weights.
pub(super) struct Hooks<'a> {
    folder: &'a RunFolder,
    checkpoints: Checkpoints,
    log: MetricsLog,
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    /// Held-out examples, and the phase they belong to.
    validation: Option<(usize, Validation)>,
    saved_step: u64,
    /// Since the last line of training metrics.
    since: Instant,
}

/// A line of training metrics: means over the steps since the line before.
#[derive(Serialize)]
struct TrainLine {
    kind: &'static str,
    step: u64,
    phase: usize,
    lr: f64,
    loss: f64,
    mlm_loss: f64,
    mlm_accuracy: f64,
    nsp_loss: f64,
    nsp_accuracy: f64,
    gradient_norm: f64,
    tokens: u64,
    skipped: u64,
    /// Of the next step, where the run computes in f16.
    #[serde(skip_serializing_if = "Option::is_none")]
    loss_scale: Option<f64>,
    /// Timings: the only fields that differ between two runs of one configuration.
    tokens_per_second: f64,
}

/// A line of held-out metrics.
#[derive(Serialize)]
struct ValidationLine {
    kind: &'static str,
    step: u64,
    phase: usize,
    #[serde(flatten)]
    measured: Measured,
    #[serde(flatten)]
    baseline: Baseline,
}

impl<'a> Hooks<'a> {
    pub fn new(folder: &'a RunFolder, trainer: &Trainer, options: &RunOptions) -> Result<Self> {
        let state = trainer.state();
        Ok(Self {
            folder,
            checkpoints: folder.checkpoints(),
            log: MetricsLog::open(&folder.metrics(), state.step)?,
            bar: step_bar(trainer.config().total_steps(), state.step, options.quiet),
            stop: options.stop.clone(),
            validation: None,
            saved_step: state.step,
            since: Instant::now(),
        })
    }

    /// After every step: lines, measurements and checkpoints when they are due.
    pub fn after_step(&mut self, trainer: &mut Trainer, outcome: &Outcome) -> Result<()> {
        let step = trainer.state().step;
        let last = trainer.is_finished();
        if !outcome.applied {
            let norm = outcome.norm;
            let scale = trainer.state().loss_scale;
            let scale =
                scale.map_or_else(String::new, |scale| format!("; the loss is scaled by {} now", scale.factor()));
            self.tell(&format!("step {step}: the gradient's norm is {norm}; the step was skipped{scale}"));
        }
        self.bar.set_position(step);
        let every = trainer.config().evaluation.log_every;
        if step.is_multiple_of(every) || last {
            self.log_training(trainer)?;
        }
        // The measurement at the last step is the final one.
        if due(step, trainer.config().evaluation.every) && !last {
            self.log_validation(trainer, "validation")?;
        }
        let stop = self.stop.load(Ordering::Relaxed);
        if due(step, trainer.config().checkpoint.every) || last || stop {
            self.save(trainer)?;
        }
        if stop && !last {
            self.bar.abandon();
            return Err(Error::Interrupted { step });
        }
        Ok(())
    }

    /// After the last step: the final measurement, the model's folder, the mark that the run is finished.
    pub fn finish(mut self, trainer: &Trainer) -> Result<Report> {
        let (held_out, baseline) = self.log_validation(trainer, FINAL)?;
        self.bar.finish();
        self.log.sync()?;
        let model = self.folder.model();
        save_model(&model, trainer.model(), trainer.tokenizer())?;
        let report = Report {
            steps: trainer.state().step,
            skipped: trainer.state().skipped,
            pairing: trainer.config().data.pairing,
            held_out,
            baseline,
            best_possible: BestPossible::of(trainer)?,
            filled: fill_sentence(trainer)?,
            model,
        };
        self.folder.finish()?;
        Ok(report)
    }

    fn log_training(&mut self, trainer: &mut Trainer) -> Result<()> {
        let meters: Meters = trainer.take_meters();
        let seconds = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        let state = trainer.state();
        let line = TrainLine {
            kind: "train",
            step: state.step,
            phase: phase_of_last_step(trainer),
            lr: trainer.last_rate(),
            loss: meters.mlm_mean() + meters.nsp_mean(),
            mlm_loss: meters.mlm_mean(),
            mlm_accuracy: meters.mlm_accuracy(),
            nsp_loss: meters.nsp_mean(),
            nsp_accuracy: meters.nsp_accuracy(),
            gradient_norm: meters.norms / meters.steps.max(1) as f64,
            tokens: meters.tokens,
            skipped: state.skipped,
            loss_scale: state.loss_scale.map(|scale| scale.factor()),
            tokens_per_second: meters.tokens as f64 / seconds.max(1e-9),
        };
        self.bar.set_message(format!(
            "phase {} loss {:.3} {:.0} tokens/s",
            line.phase + 1,
            line.loss,
            line.tokens_per_second
        ));
        self.log.write(&line)
    }

    fn log_validation(&mut self, trainer: &Trainer, kind: &'static str) -> Result<(Measured, Baseline)> {
        let phase = phase_of_last_step(trainer);
        let validation = match self.validation.take() {
            Some((of, validation)) if of == phase => validation,
            _ => Validation::of_phase(trainer, phase)?,
        };
        let measured = validation.measure(trainer.model())?;
        let baseline = validation.baseline;
        self.validation = Some((phase, validation));
        let step = trainer.state().step;
        let pairs = match measured.pairs {
            0 => String::new(),
            _ => format!(", {} {:.1}% (50%)", pair_task(trainer.config().data.pairing), 100.0 * measured.nsp_accuracy),
        };
        self.tell(&format!(
            "step {step}: held-out masked-token loss {:.3} (frequencies alone {:.3}), accuracy {:.1}% ({:.1}%){pairs}",
            measured.mlm_loss,
            baseline.unigram_loss,
            100.0 * measured.mlm_accuracy,
            100.0 * baseline.unigram_accuracy,
        ));
        self.log.write(&ValidationLine { kind, step, phase, measured, baseline })?;
        // The time it took is not the training's.
        self.since = Instant::now();
        Ok((measured, baseline))
    }

    fn save(&mut self, trainer: &Trainer) -> Result<()> {
        let step = trainer.state().step;
        if step == self.saved_step {
            return Ok(());
        }
        self.log.sync()?;
        self.checkpoints.save(&trainer.snapshot())?;
        self.saved_step = step;
        Ok(())
    }

    /// A line on standard error, above the progress bar.
    fn tell(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }
}

/// Whether something that happens every `every` steps (0: never) happens at `step`.
fn due(step: u64, every: u64) -> bool {
    every > 0 && step.is_multiple_of(every)
}

/// The phase that the last step belonged to; the state has that of the next one.
fn phase_of_last_step(trainer: &Trainer) -> usize {
    let mut end = 0;
    let step = trainer.state().step;
    let phases = &trainer.config().phase;
    let ends = phases.iter().map(|phase| {
        end += phase.steps;
        end
    });
    ends.take_while(|&end| end < step).count().min(phases.len() - 1)
}
