//! The configuration of a fine-tuning run.

use serde::{Deserialize, Serialize};

use super::builtin::Kind;
use super::checks::Checks;
use super::micro_batch::MicroBatch;
use super::precision::Precision;
use super::raw::Raw;
use super::schedule::{OptimizerConfig, ScheduleKind};
use crate::error::Result;

/// Everything a fine-tuning run follows from, beside the model and the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinetuneConfig {
    /// Seed of the new head's weights, of dropout and of the order of examples.
    #[serde(default)]
    pub seed: u64,
    /// Passes over the training set.
    pub epochs: u64,
    /// Examples an optimiser step.
    pub batch: usize,
    /// Examples a forward pass, a divisor of `batch`; `auto`: the largest that fits into memory; left out: the whole batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<MicroBatch>,
    /// Whether a layer's intermediate values are computed again in the backward pass instead of kept: less memory, about a
    /// quarter more time, the same results.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recompute: bool,
    /// In what type training computes: `f32`, `tf32`, `bf16` or `f16`; all but the first need CUDA.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
    /// Longest input in tokens; longer pairs lose tokens from their longer side.
    pub max_seq_len: usize,
    /// Dropout on hidden states and attention probabilities.
    pub dropout: f64,
    /// AdamW or LAMB.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Learning rate over time.
    #[serde(default)]
    pub schedule: ShareSchedule,
}

/// `[schedule]` of fine-tuning: the warm-up is a share of all steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShareSchedule {
    /// The fall after the warm-up.
    pub kind: ScheduleKind,
    /// Share of the steps that warm up.
    pub warmup: f64,
}

impl Default for ShareSchedule {
    fn default() -> Self {
        Self { kind: ScheduleKind::Linear, warmup: 0.1 }
    }
}

impl FinetuneConfig {
    /// Resolves a name or file with its overrides.
    ///
    /// # Errors
    /// The first key that is unknown, of the wrong type or impossible, with its file and the cure.
    pub fn load(name_or_file: &str, overrides: &[String]) -> Result<Self> {
        let raw = Raw::open(Kind::Finetune, name_or_file, overrides)?;
        let config: Self = raw.typed()?;
        config.check(&Checks(&raw))?;
        Ok(config)
    }

    /// Examples a forward pass.
    pub fn micro_batch(&self) -> usize {
        MicroBatch::resolve(self.micro_batch, self.batch)
    }

    fn check(&self, checks: &Checks<'_>) -> Result<()> {
        checks.at_least_one("epochs", self.epochs)?;
        checks.at_least_one("batch", self.batch as u64)?;
        checks.at_least_one("micro_batch", self.micro_batch() as u64)?;
        checks.that(
            self.batch.is_multiple_of(self.micro_batch()),
            "batch",
            || format!("{} is not a multiple of micro_batch {}", self.batch, self.micro_batch()),
            "change one of them",
        )?;
        checks.that(
            self.max_seq_len >= 8,
            "max_seq_len",
            || format!("{} tokens cannot hold a pair of sentences", self.max_seq_len),
            "give 8 or more",
        )?;
        checks.that(
            (0.0..1.0).contains(&self.dropout),
            "dropout",
            || format!("{} is not in [0, 1)", self.dropout),
            "give a probability such as 0.1",
        )?;
        self.optimizer.check(checks)?;
        checks.share("schedule.warmup", self.schedule.warmup)
    }
}
