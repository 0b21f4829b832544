//! The update rules, in place, one parameter at a time or all together, and the norm of all gradients.

mod cpu;
#[cfg(any(kernels, test))]
pub(crate) mod cuda;
mod reference;

use crate::has_fast_form;
use crate::storage::copy_into;
#[cfg(kernels)]
use crate::timing::Part;
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
    /// The gradient is multiplied by this first: the factor of clipping, and 1 by the scale of the loss in f16.
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
    #[cfg(kernels)]
    if crate::on_cuda(value) {
        let update = Update { value, grad: grad.clone(), m, v, decays: true, copy: None };
        return Part::Optimizer.on(value, || cuda::adamw(&[update], step));
    }
    if has_fast_form(value) { cpu::adamw(value, grad, m, v, step) } else { reference::adamw(value, grad, m, v, step) }
}

/// One parameter of an update: value, gradient and moments of the same shape.
#[derive(Clone, Debug)]
pub struct Update<'a> {
    /// The weights.
    pub value: &'a Tensor,
    /// Their gradient.
    pub grad: Tensor,
    /// First moment.
    pub m: &'a Tensor,
    /// Second moment.
    pub v: &'a Tensor,
    /// Whether weight decay applies.
    pub decays: bool,
    /// The copy in another type that training computes with ([`Parameter::copy`](crate::Parameter::copy)); it follows the value.
    pub copy: Option<Tensor>,
}

impl Update<'_> {
    /// Where no kernel does it on the way: writes the copy anew.
    fn write_copy(&self) -> Result<()> {
        match &self.copy {
            Some(copy) => copy_into(copy, &self.value.detach().to_dtype(copy.dtype())?),
            None => Ok(()),
        }
    }
}

/// [`adamw`] for all parameters of a model: on CUDA one launch. Weight decay is that of `step` where a parameter decays.
pub fn adamw_all(updates: &[Update], step: &AdamWStep) -> Result<()> {
    #[cfg(kernels)]
    if let Some(first) = updates.first().filter(|update| crate::on_cuda(update.value)) {
        return Part::Optimizer.on(first.value, || cuda::adamw(updates, step));
    }
    for update in updates {
        let weight_decay = if update.decays { step.weight_decay } else { 0.0 };
        adamw(update.value, &update.grad, update.m, update.v, &AdamWStep { weight_decay, ..*step })?;
        update.write_copy()?;
    }
    Ok(())
}

/// One step of LAMB (You et al., "Large Batch Optimization for Deep Learning", 2020) for all parameters of a model: AdamW's update,
/// for parameters that decay scaled to the norm of their value. The fast forms overwrite the gradients.
pub fn lamb_all(updates: &[Update], step: &AdamWStep) -> Result<()> {
    #[cfg(kernels)]
    if let Some(first) = updates.first().filter(|update| crate::on_cuda(update.value)) {
        return Part::Optimizer.on(first.value, || cuda::lamb(updates, step));
    }
    for update in updates {
        if has_fast_form(update.value) {
            cpu::lamb(update, step)?
        } else {
            reference::lamb(update, step)?
        }
        update.write_copy()?;
    }
    Ok(())
}

/// How far LAMB moves a parameter of these sums of squares, as a share of the learning rate: |value| / |update|, and 1 where one of
/// them is 0.
fn trust_ratio(of_value: f64, of_update: f64) -> f64 {
    if of_value > 0.0 && of_update > 0.0 { (of_value / of_update).sqrt() } else { 1.0 }
}

/// The L2 norm of all gradients together, each squared and summed in f64 in a fixed order.
pub fn global_norm(grads: impl IntoIterator<Item = Tensor>) -> Result<f64> {
    Ok(global_norm_and(grads, &[])?.0)
}

/// [`global_norm`], and the values of f32 scalars such as the losses of a step. On a GPU all of it comes in one copy, for which the
/// host waits once.
pub fn global_norm_and(grads: impl IntoIterator<Item = Tensor>, scalars: &[Tensor]) -> Result<(f64, Vec<f64>)> {
    let grads: Vec<Tensor> = grads.into_iter().collect();
    #[cfg(kernels)]
    if let Some(first) = grads.first().filter(|grad| crate::on_cuda(grad)) {
        return Part::Optimizer.on(first, || cuda::norm_and(&grads, scalars, first.device()));
    }
    let mut total = 0.0;
    for grad in &grads {
        total += if has_fast_form(grad) { cpu::sum_of_squares(grad)? } else { reference::sum_of_squares(grad)? };
    }
    let scalars = scalars.iter().map(|scalar| scalar.to_scalar::<f32>().map(f64::from)).collect::<Result<_>>()?;
    Ok((total.sqrt(), scalars))
}
