//! Activation functions.

mod cpu;
mod reference;

pub use cpu::{backward, forward, forward_and_backward};
pub use reference::reference;

use crate::{has_fast_form, node};
use candle_core::{Result, Tensor};

/// The activation between the two linear maps of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x Phi(x) with the error function (Hendrycks & Gimpel, 2016): "gelu" in Hugging Face configurations.
    Gelu,
    /// GELU by its tanh approximation, as google-research/bert has it: "gelu_new" or "gelu_pytorch_tanh".
    GeluTanh,
    /// max(x, 0).
    Relu,
}

/// The activation of every element, differentiable.
pub fn activation(x: &Tensor, kind: Activation) -> Result<Tensor> {
    if !has_fast_form(x) {
        return reference(x, kind);
    }
    let input = x.detach().contiguous()?;
    let y = forward(&input, kind)?;
    node::join(x, y, move |dy| backward(&input, dy, kind).map(Some))
}
