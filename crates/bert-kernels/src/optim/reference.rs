use super::{AdamWStep, Update, trust_ratio};
use crate::storage::copy_into;
use candle_core::{DType, Device, Result, Tensor};

pub(super) fn adamw(value: &Tensor, grad: &Tensor, m: &Tensor, v: &Tensor, step: &AdamWStep) -> Result<()> {
    let (correction1, correction2) = step.corrections();
    let old = value.detach();
    let grad = (grad.detach() * step.gradient_scale)?;
    let new_m = ((m.detach() * step.beta1)? + (&grad * (1.0 - step.beta1))?)?;
    let new_v = ((v.detach() * step.beta2)? + (grad.sqr()? * (1.0 - step.beta2))?)?;
    let update = (&new_m * correction1)?.div(&((&new_v * correction2)?.sqrt()? + step.eps)?)?;
    let update = (update + (&old * step.weight_decay)?)?;
    copy_into(value, &(&old - (update * step.lr)?)?)?;
    copy_into(m, &new_m)?;
    copy_into(v, &new_v)
}

pub(super) fn lamb(update: &Update, step: &AdamWStep) -> Result<()> {
    let Update { value, grad, m, v, decays, .. } = update;
    let (correction1, correction2) = step.corrections();
    let old = value.detach();
    let grad = (grad.detach() * step.gradient_scale)?;
    let new_m = ((m.detach() * step.beta1)? + (&grad * (1.0 - step.beta1))?)?;
    let new_v = ((v.detach() * step.beta2)? + (grad.sqr()? * (1.0 - step.beta2))?)?;
    let mut change = (&new_m * correction1)?.div(&((&new_v * correction2)?.sqrt()? + step.eps)?)?;
    let mut rate = step.lr;
    if *decays {
        change = (change + (&old * step.weight_decay)?)?;
        rate *= trust_ratio(sum_of_squares(&old)?, sum_of_squares(&change)?);
    }
    copy_into(value, &(&old - (change * rate)?)?)?;
    copy_into(m, &new_m)?;
    copy_into(v, &new_v)
}

pub(super) fn sum_of_squares(grad: &Tensor) -> Result<f64> {
    // Metal has no f64.
    let wide = if grad.device().is_metal() { DType::F32 } else { DType::F64 };
    grad.detach().to_dtype(wide)?.sqr()?.sum_all()?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar::<f64>()
}
