//! Layer norm (Ba et al., 2016) fused with the dropout and the residual addition in front of it.

mod cpu;
#[cfg(any(kernels, test))]
pub(crate) mod cuda;
mod reference;

pub use cpu::{Gradients, Saved};
pub use reference::reference;

#[cfg(kernels)]
use crate::timing::Part;
use crate::{Dropout, Parameter, has_fast_form, linear, node};
use candle_core::{Result, Tensor};

/// Gain and bias of a layer norm, each [H], and the epsilon added to the variance.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// The gain.
    pub weight: Parameter,
    /// The bias.
    pub bias: Parameter,
    /// Added to the variance; 1e-12 for BERT.
    pub epsilon: f64,
}

/// LayerNorm(x), x [T, H], differentiable. Blocks with a residual use [`forward`] and [`backward`].
pub fn layer_norm(x: &Tensor, norm: &LayerNorm) -> Result<Tensor> {
    if !has_fast_form(x) {
        return reference(x, None, norm, None);
    }
    let (y, saved) = forward(&x.detach().contiguous()?, None, norm, None)?;
    let norm = norm.clone();
    node::join(x, y, move |dy| backward(dy, &saved, &norm, None, None).map(|grads| Some(grads.x)))
}

/// LayerNorm(dropout(x) + residual) without a graph: x and residual [T, H].
pub fn forward(
    x: &Tensor,
    residual: Option<&Tensor>,
    norm: &LayerNorm,
    dropout: Option<Dropout>,
) -> Result<(Tensor, Saved)> {
    #[cfg(kernels)]
    if crate::on_cuda(x) {
        return Part::Norm.on(x, || cuda::forward(x, residual, norm, dropout));
    }
    cpu::forward(x, residual, norm, dropout)
}

/// Adds the gradients of gain and bias to the parameters and returns those of the operands. To `bias_of_x`, the bias of the linear map
/// that made x, it adds the sums of the columns of x's gradient, which on a GPU saves a pass over it.
pub fn backward(
    dy: &Tensor,
    saved: &Saved,
    norm: &LayerNorm,
    dropout: Option<Dropout>,
    bias_of_x: Option<&Parameter>,
) -> Result<Gradients> {
    #[cfg(kernels)]
    if crate::on_cuda(dy) {
        return Part::Norm.on(dy, || cuda::backward(dy, saved, norm, dropout, bias_of_x));
    }
    let gradients = cpu::backward(dy, saved, norm, dropout)?;
    if let Some(bias) = bias_of_x {
        linear::add_column_sums_to(bias, &gradients.x)?;
    }
    Ok(gradients)
}
