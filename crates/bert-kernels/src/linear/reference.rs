use crate::Parameter;
use candle_core::{Result, Tensor};

/// The plain candle form of [`linear`](super::linear).
pub fn reference(x: &Tensor, weight: &Parameter, bias: &Parameter) -> Result<Tensor> {
    x.matmul(&weight.value().t()?)?.broadcast_add(bias.value())
}
