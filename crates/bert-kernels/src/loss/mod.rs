//! Cross-entropy over classes with the projection to them: the vocabulary of the masked-language model, the two
//! classes of next-sentence prediction, the labels of a task.

mod cpu;
#[cfg(any(kernels, test))]
pub(crate) mod cuda;
mod reference;

pub use reference::{reference, squared_error};

#[cfg(kernels)]
use crate::timing::Part;
use crate::{Parameter, has_fast_form, node};
use candle_core::{Result, Tensor, bail};
use std::sync::{Mutex, PoisonError};

/// A loss before it is normalised. Both are scalars on the device of x: who reads one on a GPU waits for it.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Sum over the targets, of the graph; f32 in the fast forms, whatever the type of x.
    pub sum: Tensor,
    /// Number of targets whose class got the highest score, in f32 and without a graph; of several equal ones the first counts.
    pub correct: Tensor,
}

/// What the fast forms compute of a loss, all without a graph.
pub(crate) struct Forward {
    pub sum: Tensor,
    pub correct: Tensor,
    /// [n, classes]: softmax - one-hot, the gradient of the sum with respect to the logits.
    pub d_logits: Tensor,
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
    let (weight, bias) = (weight.clone(), bias.clone());
    // Taken by the backward pass: the largest tensor of a step makes room for the gradients, and a GPU scales it where it stands.
    let kept = Mutex::new(Some(forward.d_logits));
    let sum = node::join(x, forward.sum, move |d_sum| {
        let Some(d_logits) = kept.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            bail!("cross-entropy: the backward pass of a graph runs once")
        };
        backward(&input, &weight, &bias, &d_logits, d_sum).map(Some)
    })?;
    Ok(Loss { sum, correct: forward.correct })
}

fn forward(x: &Tensor, weight: &Parameter, bias: &Parameter, labels: &[u32]) -> Result<Forward> {
    #[cfg(kernels)]
    if crate::on_cuda(x) {
        return Part::Loss.on(x, || cuda::forward(x, weight, bias, labels));
    }
    cpu::forward(x, weight, bias, labels)
}

/// `d_sum` is a scalar of f32 on the device; the gradient of the logits is used up.
fn backward(x: &Tensor, weight: &Parameter, bias: &Parameter, d_logits: &Tensor, d_sum: &Tensor) -> Result<Tensor> {
    #[cfg(kernels)]
    if crate::on_cuda(x) {
        return Part::Loss.on(x, || cuda::backward(x, weight, bias, d_logits, d_sum));
    }
    cpu::backward(x, weight, bias, d_logits, d_sum.to_scalar::<f32>()?)
}
