use super::Loss;
use crate::Parameter;
use candle_core::{D, DType, Result, Tensor};

/// The plain candle form of [`cross_entropy`](super::cross_entropy).
pub fn reference(x: &Tensor, weight: &Parameter, bias: &Parameter, labels: &[u32]) -> Result<Loss> {
    let logits = crate::linear::reference(x, weight, bias)?;
    let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(D::Minus1)?)?;
    let log_sums = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let labels = Tensor::new(labels, x.device())?;
    let chosen = shifted.gather(&labels.unsqueeze(1)?, 1)?;
    let sum = (log_sums - chosen)?.sum_all()?;
    let predicted = logits.detach().argmax(D::Minus1)?;
    let correct = predicted.eq(&labels)?.to_dtype(DType::F32)?.sum_all()?;
    Ok(Loss { sum, correct })
}

/// Sum of squared differences between x [n, 1] and targets: the loss of regression tasks, in plain operations and, where x is of
/// half the width, in f32.
pub fn squared_error(x: &Tensor, targets: &[f32]) -> Result<Tensor> {
    let x = if x.dtype().size_in_bytes() < 4 { x.to_dtype(DType::F32)? } else { x.clone() };
    let targets = Tensor::new(targets, x.device())?.to_dtype(x.dtype())?.reshape(x.shape())?;
    (x - targets)?.sqr()?.sum_all()
}
