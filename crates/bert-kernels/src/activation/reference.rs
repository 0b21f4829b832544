use super::Activation;
use candle_core::{Result, Tensor};

/// The plain candle form of [`activation`](super::activation).
///
/// GELU with the error function is exact in the forward; candle's own derivative of it uses six-digit constants.
pub fn reference(x: &Tensor, kind: Activation) -> Result<Tensor> {
    match kind {
        Activation::Gelu => ((x / std::f64::consts::SQRT_2)?.erf()? + 1.0)? * (x * 0.5)?,
        Activation::GeluTanh => {
            let inner = ((x + (x.sqr()? * x)? * 0.044715)? * (2.0 / std::f64::consts::PI).sqrt())?;
            (inner.tanh()? + 1.0)? * (x * 0.5)?
        }
        Activation::Relu => x.relu(),
    }
}
