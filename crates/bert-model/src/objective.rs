//! Losses as sums with weights, and the backward pass.

use crate::{ParameterStore, Result};
use candle_core::Tensor;

/// One part of an objective before it is normalised.
#[derive(Clone, Debug)]
pub struct LossPart {
    /// `mlm`, `nsp` or `task`.
    pub name: &'static str,
    /// Sum over the targets: a scalar of the graph, in f32. On a GPU the host waits when it reads it.
    pub sum: Tensor,
    /// Number of targets.
    pub weight: f64,
    /// Number of targets predicted right, a scalar of f32 beside the sum; none for regression.
    pub correct: Option<Tensor>,
}

/// Runs the backward pass: adds the gradient of `loss` to that of every parameter it depends on.
///
/// The fast operations add to [`Parameter::grad`](bert_kernels::Parameter::grad) in place while candle walks the
/// graph; gradients of parameters in plain candle operations come back from candle and are added here.
pub fn backward(loss: &Tensor, store: &ParameterStore) -> Result<()> {
    let grads = loss.backward()?;
    for parameter in store.iter() {
        if let Some(grad) = grads.get(parameter.value()) {
            parameter.add_grad(grad)?;
        }
    }
    Ok(())
}
