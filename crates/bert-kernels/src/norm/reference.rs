use super::LayerNorm;
use crate::{Dropout, dropout};
use candle_core::{D, Result, Tensor};

/// The plain candle form: LayerNorm(dropout(x) + residual), x and residual [T, H].
pub fn reference(x: &Tensor, residual: Option<&Tensor>, norm: &LayerNorm, dropout: Option<Dropout>) -> Result<Tensor> {
    let x = dropout::reference(x, dropout)?;
    let z = match residual {
        Some(residual) => (x + residual)?,
        None => x,
    };
    let centred = z.broadcast_sub(&z.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + norm.epsilon)?.sqrt()?)?;
    normed.broadcast_mul(norm.weight.value())?.broadcast_add(norm.bias.value())
}
