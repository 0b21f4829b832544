//! Cross-entropy over classes with the projection to them: the vocabulary of the masked-language model, the two
//! classes of next-sentence prediction, the labels of a task.

mod cpu;
#[cfg(any(feature = "cuda", test))]
pub(crate) mod cuda;
mod reference;

pub use reference::{reference, squared_error};

#[cfg(feature = "cuda")]
use crate::timing::{Part, count_product};
use crate::{Parameter, has_fast_form, node};
use candle_core::{Result, Tensor, bail};
use cpu::Forward;
use std::sync::Arc;

/// A loss before it is normalised.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Sum over the targets: a scalar of the graph.
    pub sum: Tensor,
    /// Number of targets whose class got the highest score; of several equal ones the first counts.
    pub correct: usize,
}

/// -sum log softmax(x W^T + b)[label], over the rows of x.
///
/// x [n, H], weight [classes, H], bias [classes], labels n. Differentiable. The logits are not kept as a node
/// of the graph: the fast form turns them into their gradient in place.
///
/// # Errors
/// A number of labels other than n, or a label that is no class.
pub fn cross_entropy(x: &Tensor, weight: &Parameter, bias: &Parameter, labels: &[u32]) -> Result<Loss> {
    let (rows, _) = x.dims2()?;
    let (classes, _) = weight.value().dims2()?;
    if labels.len() != rows {
        bail!("cross-entropy: {} labels for {rows} rows", labels.len())
    }
    if let Some(label) = labels.iter().find(|&&l| l as usize >= classes) {
        bail!("cross-entropy: label {label} with {classes} classes")
    }
    if !has_fast_form(x) {
        return reference(x, weight, bias, labels);
    }
    let input = x.detach().contiguous()?;
    let forward = forward(&input, weight, bias, labels)?;
    let value = Tensor::new(forward.sum as f32, x.device())?;
    let (weight, bias, d_logits) = (weight.clone(), bias.clone(), Arc::new(forward.d_logits));
    let sum = node::join(x, value, move |d_sum| {
        let scale = d_sum.to_scalar::<f32>()?;
        backward(&input, &weight, &bias, &d_logits, scale).map(Some)
    })?;
    Ok(Loss { sum, correct: forward.correct })
}

fn forward(x: &Tensor, weight: &Parameter, bias: &Parameter, labels: &[u32]) -> Result<Forward> {
    #[cfg(feature = "cuda")]
    if crate::on_cuda(x) {
        count_product(x.dim(0)?, x.dim(1)?, weight.value().dim(0)?);
        return Part::Loss.on(x, || cuda::forward(x, weight, bias, labels));
    }
    cpu::forward(x, weight, bias, labels)
}

fn backward(x: &Tensor, weight: &Parameter, bias: &Parameter, d_logits: &Tensor, scale: f32) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if crate::on_cuda(x) {
        count_product(2 * x.dim(0)?, x.dim(1)?, weight.value().dim(0)?);
        return Part::Loss.on(x, || cuda::backward(x, weight, bias, d_logits, scale));
    }
    cpu::backward(x, weight, bias, d_logits, scale)
}
