//! Settings of the optimiser and of the learning rate over time.

use serde::{Deserialize, Serialize};

use super::checks::Checks;

/// `[optimizer]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// `adamw` or `lamb`.
    #[serde(skip_serializing_if = "OptimizerKind::is_adamw")]
    pub kind: OptimizerKind,
    /// Peak learning rate.
    pub lr: f64,
    /// Decay rates of the two moments.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay, times the learning rate; none on biases and LayerNorm.
    pub weight_decay: f64,
    /// False gives the original BERT's form, which leaves the bias correction of the moments out.
    pub bias_correction: bool,
    /// Gradients are scaled down to this global norm; 0 turns clipping off.
    pub clip_norm: f64,
}

/// The update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay (Loshchilov & Hutter, 2019).
    #[default]
    Adamw,
    /// AdamW's update scaled to the norm of each matrix, for batches of tens of thousands (You et al., 2020). The gradient is
    /// normalised beforehand by `clip_norm`, as in NVIDIA's code: divided by its global norm where that is above 1.
    Lamb,
}

impl OptimizerKind {
    /// Whether this is the default, which settings leave out.
    pub fn is_adamw(&self) -> bool {
        *self == Self::Adamw
    }
}

impl Default for OptimizerConfig {
    /// The values of the BERT paper and its code.
    fn default() -> Self {
        let kind = OptimizerKind::Adamw;
        Self {
            kind,
            lr: 1e-4,
            betas: [0.9, 0.999],
            eps: 1e-6,
            weight_decay: 0.01,
            bias_correction: true,
            clip_norm: 1.0,
        }
    }
}

impl OptimizerConfig {
    pub(super) fn check(&self, checks: &Checks<'_>) -> crate::Result<()> {
        checks.positive("optimizer.lr", self.lr)?;
        checks.positive("optimizer.eps", self.eps)?;
        checks.not_negative("optimizer.weight_decay", self.weight_decay)?;
        checks.not_negative("optimizer.clip_norm", self.clip_norm)?;
        for beta in self.betas {
            checks.that(
                (0.0..1.0).contains(&beta),
                "optimizer.betas",
                || format!("{beta} is not in [0, 1)"),
                "give two numbers such as [0.9, 0.999]",
            )?;
        }
        Ok(())
    }
}

/// How the rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// In a straight line to zero at the end.
    Linear,
    /// Not at all.
    Constant,
}

/// `[schedule]`: spans all phases, unless a phase has a `schedule` of its own, which restarts there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The fall after the warm-up.
    #[serde(default = "linear")]
    pub kind: ScheduleKind,
    /// Steps of the linear rise from zero.
    pub warmup_steps: u64,
    /// Peak rate of this schedule; left out: `optimizer.lr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
}

fn linear() -> ScheduleKind {
    ScheduleKind::Linear
}

impl Default for ScheduleConfig {
    /// Linear decay, no warm-up.
    fn default() -> Self {
        Self { kind: ScheduleKind::Linear, warmup_steps: 0, lr: None }
    }
}
