//! The configuration of a pre-training run.

use bert_data::build::Pairing;
use bert_data::masking::MaskKind;
use bert_data::sources::Format;
use bert_model::BertConfig;
use serde::{Deserialize, Serialize};

use super::builtin::Kind;
use super::checks::Checks;
use super::micro_batch::MicroBatch;
use super::model;
use super::precision::Precision;
use super::raw::Raw;
use super::schedule::{OptimizerConfig, ScheduleConfig};
use crate::error::Result;

/// Everything a pre-training run follows from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainConfig {
    /// Seed of everything random: weights, dropout, order, masks, pairs.
    #[serde(default)]
    pub seed: u64,
    /// A model to start from, as `--model` of fine-tuning names it: a folder, a run's folder or an id on the Hub; left out: random
    /// weights. Its vocabulary may have grown since (`bert-data vocab --extend`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// In what type training computes: `f32`, `tf32`, `bf16` or `f16`; all but the first need CUDA.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
    /// Where the text comes from and how examples are made of it.
    pub data: DataConfig,
    /// What is masked.
    #[serde(default)]
    pub masking: MaskingConfig,
    /// AdamW or LAMB.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Learning rate over time, all phases together.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// Held-out measurements.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
    /// Checkpoints.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// The model's shape, with the vocabulary's size possibly still open (0).
    pub model: BertConfig,
    /// Stretches of the run, one after the other.
    pub phase: Vec<PhaseConfig>,
}

/// `[data]`: from text to examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Files or patterns; `sample` is the embedded sample.
    pub input: Vec<String>,
    /// Format of the files; left out: seen from each file's beginning.
    #[serde(default)]
    pub format: Format,
    /// A vocabulary folder to use; left out: that of the phases' data, or else of the model in `init`, or else one is trained
    /// from the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// Size of the vocabulary to train.
    #[serde(default = "bert_vocabulary")]
    pub vocab_size: usize,
    /// Lower-case and strip accents.
    #[serde(default = "yes")]
    pub lowercase: bool,
    /// Share of documents held out.
    #[serde(default = "hundredth")]
    pub validation: f64,
    /// Share of examples built shorter than the sequence length.
    #[serde(default = "tenth")]
    pub short_seq_prob: f64,
    /// How examples are made: pairs for next-sentence (`nsp`) or sentence-order prediction (`sop`), or `full-sentences` and
    /// `doc-sentences`, where masked tokens are all there is to predict. Data that are given must be of this kind.
    #[serde(default, skip_serializing_if = "Pairing::is_nsp")]
    pub pairing: Pairing,
    /// When masks are drawn: anew in every epoch (`dynamic`), or once while the given data were built (`static`), which then must
    /// agree with `[masking]`. As `--masking` of `bert-data build`.
    #[serde(default, skip_serializing_if = "Masking::is_dynamic")]
    pub masking: Masking,
}

/// When masks are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Masking {
    /// While loading, anew in every epoch.
    #[default]
    Dynamic,
    /// While building.
    Static,
}

impl Masking {
    /// Whether this is the default, which settings leave out.
    pub fn is_dynamic(&self) -> bool {
        *self == Self::Dynamic
    }
}

fn bert_vocabulary() -> usize {
    30_522
}
fn yes() -> bool {
    true
}
fn hundredth() -> f64 {
    0.01
}
fn tenth() -> f64 {
    0.1
}

/// `[masking]`: shares, as the paper has them by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskingConfig {
    /// Share of the tokens that are predicted.
    pub rate: f64,
    /// Share of those replaced by `[MASK]`.
    pub mask: f64,
    /// Share of those replaced by a random token; the rest stays as it is.
    pub random: f64,
    /// What is chosen together: `token`, `whole-word`, `n-gram`, `span`, `frequency-weighted`.
    #[serde(skip_serializing_if = "MaskKind::is_token")]
    pub kind: MaskKind,
}

impl Default for MaskingConfig {
    fn default() -> Self {
        Self { rate: 0.15, mask: 0.8, random: 0.1, kind: MaskKind::Token }
    }
}

/// `[[phase]]`: a stretch of steps at one sequence length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseConfig {
    /// Longest sequence in tokens, specials included.
    pub seq_len: usize,
    /// Optimiser steps.
    pub steps: u64,
    /// Sequences an optimiser step, or tokens (`batch_unit`).
    pub batch: usize,
    /// What `batch` and `micro_batch` count: `sequences`, or `tokens`, where as many sequences go into a forward pass as have room
    /// in `micro_batch`.
    #[serde(default, skip_serializing_if = "BatchUnit::is_sequences")]
    pub batch_unit: BatchUnit,
    /// Sequences or tokens a forward pass, a divisor of `batch`; `auto`: the largest that fits into memory; left out: the whole batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<MicroBatch>,
    /// Whether a layer's intermediate values are computed again in the backward pass instead of kept: less memory, about a
    /// quarter more time, the same results.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recompute: bool,
    /// Most predictions in a sequence.
    pub max_predictions: usize,
    /// A folder of examples built with `bert-data build`; left out: built from `[data]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// A schedule of its own, which starts with this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleConfig>,
}

/// What the size of a batch counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchUnit {
    /// Examples, whatever their lengths.
    #[default]
    Sequences,
    /// Tokens: examples of unequal length are packed by best fit.
    Tokens,
}

impl BatchUnit {
    /// Whether this is the default, which settings leave out.
    pub fn is_sequences(&self) -> bool {
        *self == Self::Sequences
    }
}

impl PhaseConfig {
    /// Sequences or tokens a forward pass.
    pub fn micro_batch(&self) -> usize {
        MicroBatch::resolve(self.micro_batch, self.batch)
    }

    /// Sequences that surely fit into a forward pass.
    pub fn micro_sequences(&self) -> usize {
        match self.batch_unit {
            BatchUnit::Sequences => self.micro_batch(),
            BatchUnit::Tokens => (self.micro_batch() / self.seq_len).max(1),
        }
    }
}

/// `[evaluation]`: measurements on held-out examples. They do not change the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// Steps between held-out measurements; 0: only at the end.
    pub every: u64,
    /// Most held-out examples a measurement takes.
    pub examples: usize,
    /// Steps between two lines of training metrics.
    pub log_every: u64,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self { every: 1000, examples: 1000, log_every: 10 }
    }
}

/// `[checkpoint]`. Does not change the weights either.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Steps between checkpoints; 0: only at the end.
    pub every: u64,
    /// Newest checkpoints to keep.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: 1000, keep: 2 }
    }
}

impl PretrainConfig {
    /// Resolves a name or file with its overrides.
    ///
    /// # Errors
    /// The first key that is unknown, of the wrong type or impossible, with its file and the cure.
    pub fn load(name_or_file: &str, overrides: &[String]) -> Result<Self> {
        Self::resolve(Raw::open(Kind::Pretrain, name_or_file, overrides)?)
    }

    /// Resolves what was read.
    pub fn resolve(mut raw: Raw) -> Result<Self> {
        model::expand(&mut raw)?;
        let config: Self = raw.typed()?;
        config.check(&Checks(&raw))?;
        Ok(config)
    }

    /// Optimiser steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.phase.iter().map(|phase| phase.steps).sum()
    }

    fn check(&self, checks: &Checks<'_>) -> Result<()> {
        model::check(&self.model, checks)?;
        self.optimizer.check(checks)?;
        self.check_data(checks)?;
        checks.share("masking.rate", self.masking.rate)?;
        checks.positive("masking.rate", self.masking.rate)?;
        checks.that(
            self.masking.kind != MaskKind::Permutation,
            "masking.kind",
            || "permutation targets need a model with two streams of attention (XLNet), which there is none of".into(),
            "give token, whole-word, n-gram, span or frequency-weighted",
        )?;
        checks.share("masking.mask", self.masking.mask)?;
        checks.share("masking.random", self.masking.random)?;
        checks.that(
            self.masking.mask + self.masking.random <= 1.0 + 1e-9,
            "masking.random",
            || "masking.mask + masking.random is above 1".into(),
            "lower one of them",
        )?;
        checks.that(
            !self.phase.is_empty(),
            "phase",
            || "there is no phase".into(),
            "add a [[phase]] table with seq_len, steps, batch and max_predictions",
        )?;
        for (index, phase) in self.phase.iter().enumerate() {
            self.check_phase(index, phase, checks)?;
        }
        self.check_schedules(checks)?;
        checks.at_least_one("evaluation.examples", self.evaluation.examples as u64)?;
        checks.at_least_one("evaluation.log_every", self.evaluation.log_every)?;
        checks.at_least_one("checkpoint.keep", self.checkpoint.keep as u64)
    }

    fn check_data(&self, checks: &Checks<'_>) -> Result<()> {
        let data = &self.data;
        checks.share("data.short_seq_prob", data.short_seq_prob)?;
        checks.that(
            data.validation > 0.0 && data.validation < 1.0,
            "data.validation",
            || format!("{} is not between 0 and 1", data.validation),
            "give the share of documents to hold out, such as 0.01",
        )?;
        let all_built = self.phase.iter().all(|phase| phase.data.is_some());
        checks.that(
            !data.input.is_empty() || all_built,
            "data.input",
            || "there is no input".into(),
            "name files or patterns, \"sample\" for the embedded sample, or give every phase its data",
        )
    }

    fn check_phase(&self, index: usize, phase: &PhaseConfig, checks: &Checks<'_>) -> Result<()> {
        let key = |name: &str| format!("phase.{index}.{name}");
        checks.at_least_one(&key("steps"), phase.steps)?;
        checks.at_least_one(&key("batch"), phase.batch as u64)?;
        checks.at_least_one(&key("micro_batch"), phase.micro_batch() as u64)?;
        checks.at_least_one(&key("max_predictions"), phase.max_predictions as u64)?;
        checks.that(
            phase.batch.is_multiple_of(phase.micro_batch()),
            &key("batch"),
            || format!("{} is not a multiple of micro_batch {}", phase.batch, phase.micro_batch()),
            "change one of them",
        )?;
        checks.that(
            phase.batch_unit.is_sequences() || phase.micro_batch() >= phase.seq_len,
            &key("batch"),
            || {
                let (micro, seq_len) = (phase.micro_batch(), phase.seq_len);
                format!("a forward pass of {micro} tokens (batch_unit) cannot hold a sequence of {seq_len}")
            },
            "raise batch and micro_batch: both count tokens",
        )?;
        checks.that(
            self.data.masking.is_dynamic() || phase.data.is_some(),
            "data.masking",
            || format!("static masks are drawn while building, and phase.{index} names no data"),
            "build them with `bert-data build --masking static` and name them as the phase's data, or leave the key out",
        )?;
        checks.that(
            phase.seq_len >= 8,
            &key("seq_len"),
            || format!("{} tokens cannot hold two sentences and the specials", phase.seq_len),
            "give 8 or more",
        )?;
        let positions = self.model.max_position_embeddings;
        checks.that(
            phase.seq_len <= positions,
            &key("seq_len"),
            || format!("{} is above model.max_position_embeddings {positions}", phase.seq_len),
            "shorten the phase or give the model more positions",
        )
    }

    fn check_schedules(&self, checks: &Checks<'_>) -> Result<()> {
        let mut owner = "schedule".to_owned();
        let mut schedule = &self.schedule;
        let mut steps = 0;
        let check = |owner: &str, schedule: &ScheduleConfig, steps: u64| {
            let warmup = schedule.warmup_steps;
            if let Some(lr) = schedule.lr {
                checks.positive(&format!("{owner}.lr"), lr)?;
            }
            checks.that(
                warmup < steps.max(1),
                &format!("{owner}.warmup_steps"),
                || format!("{warmup} steps of warm-up do not fit into the {steps} steps of the schedule"),
                "shorten the warm-up or train for longer",
            )
        };
        for (index, phase) in self.phase.iter().enumerate() {
            if let Some(own) = &phase.schedule {
                if index > 0 {
                    check(&owner, schedule, steps)?;
                }
                owner = format!("phase.{index}.schedule");
                schedule = own;
                steps = 0;
            }
            steps += phase.steps;
        }
        check(&owner, schedule, steps)
    }
}
