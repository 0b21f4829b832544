//! Activation functions.

mod cpu;
#[cfg(any(kernels, test))]
pub(crate) mod cuda;
mod reference;

pub use reference::reference;

#[cfg(kernels)]
use crate::timing::Part;
use crate::{Parameter, has_fast_form, linear, node};
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

/// The activation of every element, without a graph.
pub fn forward(x: &Tensor, kind: Activation) -> Result<Tensor> {
    #[cfg(kernels)]
    if crate::on_cuda(x) {
        return Part::Activation.on(x, || cuda::forward(x, kind));
    }
    cpu::forward(x, kind)
}

/// dy times the derivative at x.
pub fn backward(x: &Tensor, dy: &Tensor, kind: Activation) -> Result<Tensor> {
    #[cfg(kernels)]
    if crate::on_cuda(x) {
        return Part::Activation.on(x, || cuda::backward(x, dy, kind));
    }
    cpu::backward(x, dy, kind)
}

/// The activation at x, and dy times the derivative there: for a caller that did not keep the activation. To `bias_of_x`, the bias of
/// the linear map that made x, it adds the sums of the columns of that gradient, which on a GPU saves a pass over it.
pub fn forward_and_backward(
    x: &Tensor,
    dy: &Tensor,
    kind: Activation,
    bias_of_x: Option<&Parameter>,
) -> Result<(Tensor, Tensor)> {
    #[cfg(kernels)]
    if crate::on_cuda(x) {
        return Part::Activation.on(x, || cuda::forward_and_backward(x, dy, kind, bias_of_x));
    }
    let (y, dx) = cpu::forward_and_backward(x, dy, kind)?;
    if let Some(bias) = bias_of_x {
        linear::add_column_sums_to(bias, &dx)?;
    }
    Ok((y, dx))
}
