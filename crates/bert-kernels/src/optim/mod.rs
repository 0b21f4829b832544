//! The update rules, one parameter at a time and in place, and the norm of all gradients.

mod cpu;
mod reference;

use crate::has_fast_form;
use candle_core::{Result, Tensor};

/// One step of Adam with decoupled weight decay (Loshchilov & Hutter, 2019).
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// Learning rate of this step.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment; 1e-6 for BERT.
    pub eps: f64,
    /// Decay of the weights, times the learning rate.
    pub weight_decay: f64,
    /// Number of this step, from 1.
    pub step: u64,
    /// Whether the moments are divided by 1 - beta^step. The original BERT does not.
    pub bias_correction: bool,
    /// The gradient is multiplied by this first: the factor of clipping.
    pub gradient_scale: f64,
}

impl AdamWStep {
    /// 1 / (1 - beta^step) of both moments, or ones.
    fn corrections(&self) -> (f64, f64) {
        if !self.bias_correction {
            return (1.0, 1.0);
        }
        let correction = |beta: f64| 1.0 / (1.0 - beta.powf(self.step as f64));
        (correction(self.beta1), correction(self.beta2))
    }
}

/// Updates `value` and its moments `m` and `v` in place; all four tensors have the same shape.
///
/// m <- beta1 m + (1 - beta1) g; v <- beta2 v + (1 - beta2) g^2;
/// value <- value - lr (m' / (sqrt(v') + eps) + decay value), with m' and v' corrected or not.
pub fn adamw(value: &Tensor, grad: &Tensor, m: &Tensor, v: &Tensor, step: &AdamWStep) -> Result<()> {
    if has_fast_form(value) { cpu::adamw(value, grad, m, v, step) } else { reference::adamw(value, grad, m, v, step) }
}

/// The L2 norm of all gradients together, each squared and summed in f64 in a fixed order.
pub fn global_norm(grads: impl IntoIterator<Item = Tensor>) -> Result<f64> {
    let mut total = 0.0;
    for grad in grads {
        total += if has_fast_form(&grad) { cpu::sum_of_squares(&grad)? } else { reference::sum_of_squares(&grad)? };
    }
    Ok(total.sqrt())
}
