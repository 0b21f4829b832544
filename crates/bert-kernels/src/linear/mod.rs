//! The affine map y = x W^T + b.

mod cpu;
mod reference;

pub(crate) use cpu::add_column_sums;
pub use cpu::{backward, backward_input, backward_parameters, backward_part, forward, forward_part};
pub use reference::reference;

use crate::{Parameter, has_fast_form, node};
use candle_core::{Result, Tensor};

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
