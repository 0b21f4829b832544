//! `state.json`: what the next step depends on besides weights and moments.

use bert_data::loader::Cursor;
use bert_model::LossPart;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::config::PretrainConfig;
use crate::error::Result;
use crate::loss_scale::LossScale;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Optimiser steps completed, skipped ones included.
    pub step: u64,
    /// The phase of the next step, counted from 0.
    pub phase: usize,
    /// The next example of that phase.
    pub cursor: Cursor,
    /// Forward passes completed in training: dropout is a function of this number.
    pub passes: u64,
    /// Steps that changed the weights: what the bias correction counts.
    pub updates: u64,
    /// Steps skipped because the gradient was not finite.
    pub skipped: u64,
    /// The scale of the next step's loss, where the run computes in f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
    /// Sums since the last line of training metrics.
    pub meters: Meters,
}

/// Sums over the steps since the last line of training metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Meters {
    /// Steps in the sums.
    pub steps: u64,
    /// Sum of the masked-token cross-entropies, in nats.
    pub mlm_loss: f64,
    /// Masked tokens.
    pub mlm_targets: f64,
    /// Masked tokens predicted right.
    pub mlm_correct: f64,
    /// Sum of the next-sentence cross-entropies, in nats.
    pub nsp_loss: f64,
    /// Sentence pairs.
    pub nsp_targets: f64,
    /// Sentence pairs told right.
    pub nsp_correct: f64,
    /// Sum of the steps' gradient norms before clipping; steps that were skipped are left out.
    pub norms: f64,
    /// Tokens read, specials included.
    pub tokens: u64,
}

/// The file: the state, and the configuration that led to it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StateFile {
    /// Digest of the keys that the weights depend on.
    pub digest: String,
    /// What the examples of each phase were, by their manifest.
    pub data: Vec<String>,
    pub state: State,
    pub configuration: PretrainConfig,
}

/// Losses of a step's micro batches that nobody has read. On a GPU they may not even be computed yet: reading them one by one
/// would make it wait for the host after every pass.
#[derive(Debug, Default)]
pub struct Unread {
    /// Name and number of targets of each part.
    parts: Vec<(&'static str, f64)>,
    /// Two of each part: the sum, and the targets predicted right.
    scalars: Vec<Tensor>,
}

impl Unread {
    /// Adds the losses of one micro batch, without its graph.
    pub fn add(&mut self, parts: &[LossPart]) -> Result<()> {
        for part in parts {
            self.parts.push((part.name, part.weight));
            self.scalars.push(part.sum.detach());
            self.scalars.push(part.correct.clone().map_or_else(|| part.sum.detach().zeros_like(), Ok)?);
        }
        Ok(())
    }

    /// What is to be read, f32 scalars.
    pub fn scalars(&self) -> &[Tensor] {
        &self.scalars
    }

    /// The sums, from the values of [`Unread::scalars`].
    pub fn meters(&self, values: &[f64]) -> Meters {
        let mut meters = Meters::default();
        for ((name, weight), values) in self.parts.iter().zip(values.chunks_exact(2)) {
            let (loss, targets, correct) = match *name {
                "mlm" => (&mut meters.mlm_loss, &mut meters.mlm_targets, &mut meters.mlm_correct),
                _ => (&mut meters.nsp_loss, &mut meters.nsp_targets, &mut meters.nsp_correct),
            };
            *loss += values[0];
            *targets += weight;
            *correct += values[1];
        }
        meters
    }
}

impl Meters {
    /// Adds the sums of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.steps += other.steps;
        self.mlm_loss += other.mlm_loss;
        self.mlm_targets += other.mlm_targets;
        self.mlm_correct += other.mlm_correct;
        self.nsp_loss += other.nsp_loss;
        self.nsp_targets += other.nsp_targets;
        self.nsp_correct += other.nsp_correct;
        self.norms += other.norms;
        self.tokens += other.tokens;
    }

    /// Mean masked-token loss in nats.
    pub fn mlm_mean(&self) -> f64 {
        self.mlm_loss / self.mlm_targets.max(1.0)
    }

    /// Share of masked tokens predicted right.
    pub fn mlm_accuracy(&self) -> f64 {
        self.mlm_correct / self.mlm_targets.max(1.0)
    }

    /// Mean next-sentence loss in nats.
    pub fn nsp_mean(&self) -> f64 {
        self.nsp_loss / self.nsp_targets.max(1.0)
    }

    /// Share of sentence pairs told right.
    pub fn nsp_accuracy(&self) -> f64 {
        self.nsp_correct / self.nsp_targets.max(1.0)
    }
}
