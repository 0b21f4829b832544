//! The affine map y = x W^T + b.

mod cpu;
#[cfg(any(kernels, test))]
pub(crate) mod cuda;
mod reference;

pub(crate) use cpu::{add_column_sums, add_column_sums_to};
pub use reference::reference;

#[cfg(kernels)]
use crate::timing::Part;
use crate::{Parameter, has_fast_form, node};
use candle_core::{Result, Tensor};
use std::ops::Range;

/// x [T, in], weight [out, in], bias [out] -> [T, out], differentiable.
pub fn linear(x: &Tensor, weight: &Parameter, bias: &Parameter) -> Result<Tensor> {
    if !has_fast_form(x) {
        return reference(x, weight, bias);
    }
    let input = x.detach().contiguous()?;
    let y = forward(&input, weight, bias)?;
    let (weight, bias) = (weight.clone(), bias.clone());
    node::join(x, y, move |dy| backward(&input, &weight, &bias, dy, None).map(Some))
}

/// x [T, in] -> [T, out], without a graph.
pub fn forward(x: &Tensor, weight: &Parameter, bias: &Parameter) -> Result<Tensor> {
    forward_part(x, weight, bias, 0..weight.value().dim(0)?)
}

/// Adds the gradients of weight and bias to the parameters and returns that of x [T, in].
///
/// `bias` may be `None` where its gradient comes from elsewhere: norms and activations can sum the columns of dy while they make it.
/// With `onto`, the gradient of x is added to that tensor in place, and the tensor returned.
pub fn backward<'a>(
    x: &Tensor,
    weight: &Parameter,
    bias: impl Into<Option<&'a Parameter>>,
    dy: &Tensor,
    onto: Option<&Tensor>,
) -> Result<Tensor> {
    backward_part(x, weight, bias, 0..weight.value().dim(0)?, dy, onto)
}

/// [`backward`] for a range of the outputs.
pub fn backward_part<'a>(
    x: &Tensor,
    weight: &Parameter,
    bias: impl Into<Option<&'a Parameter>>,
    outputs: Range<usize>,
    dy: &Tensor,
    onto: Option<&Tensor>,
) -> Result<Tensor> {
    backward_parameters(x, weight, bias, outputs.clone(), dy)?;
    backward_input(weight, outputs, dy, onto)
}

/// [`forward`] for a range of the outputs: rows of the weight.
pub fn forward_part(x: &Tensor, weight: &Parameter, bias: &Parameter, outputs: Range<usize>) -> Result<Tensor> {
    #[cfg(kernels)]
    if crate::on_cuda(x) {
        return Part::Linear.on(x, || cuda::forward_part(x, weight, bias, outputs));
    }
    cpu::forward_part(x, weight, bias, outputs)
}

/// The first half of [`backward`]: adds the gradients of a range of the outputs to weight and bias.
pub fn backward_parameters<'a>(
    x: &Tensor,
    weight: &Parameter,
    bias: impl Into<Option<&'a Parameter>>,
    outputs: Range<usize>,
    dy: &Tensor,
) -> Result<()> {
    #[cfg(kernels)]
    if crate::on_cuda(x) {
        return Part::Linear.on(x, || cuda::backward_parameters(x, weight, bias, outputs, dy));
    }
    cpu::backward_parameters(x, weight, bias, outputs, dy)
}

/// The second half of [`backward`]: the gradient of x [T, in], which only needs the weight.
pub fn backward_input(weight: &Parameter, outputs: Range<usize>, dy: &Tensor, onto: Option<&Tensor>) -> Result<Tensor> {
    #[cfg(kernels)]
    if crate::on_cuda(dy) {
        return Part::Linear.on(dy, || cuda::backward_input(weight, outputs, dy, onto));
    }
    cpu::backward_input(weight, outputs, dy, onto)
}
