use super::{AdamWStep, Update, trust_ratio};
use crate::cpu::{CHUNK, math, vectorised};
use crate::storage::{with_slice, with_slice_mut};
use crate::timing::{Part, timed};
use candle_core::{Result, Tensor};
use rayon::prelude::*;

pub(super) fn adamw(value: &Tensor, grad: &Tensor, m: &Tensor, v: &Tensor, step: &AdamWStep) -> Result<()> {
    timed(Part::Optimizer, || {
        with_slice(grad, |grad| {
            with_slice_mut(value, |value| with_slice_mut(m, |m| with_slice_mut(v, |v| update(value, grad, m, v, step))))
        })????;
        Ok(())
    })
}

fn update(value: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32], step: &AdamWStep) {
    let (correction1, correction2) = step.corrections();
    let (beta1, beta2, eps) = (step.beta1 as f32, step.beta2 as f32, step.eps as f32);
    let (rest1, rest2) = ((1.0 - step.beta1) as f32, (1.0 - step.beta2) as f32);
    let scale = step.gradient_scale as f32;
    let keep = (1.0 - step.lr * step.weight_decay) as f32;
    let rate = (step.lr * correction1) as f32;
    let correction2 = correction2 as f32;
    value
        .par_chunks_mut(CHUNK)
        .zip(grad.par_chunks(CHUNK))
        .zip(m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)))
        .for_each(|((value, grad), (m, v))| {
            vectorised(
                #[inline(always)]
                || {
                    for j in 0..value.len() {
                        let g = grad[j] * scale;
                        m[j] = beta1 * m[j] + rest1 * g;
                        v[j] = beta2 * v[j] + rest2 * g * g;
                        value[j] = keep * value[j] - rate * m[j] / ((v[j] * correction2).sqrt() + eps);
                    }
                },
            )
        });
}

/// The gradient becomes the update: two passes need it, and its memory is there.
pub(super) fn lamb(update: &Update, step: &AdamWStep) -> Result<()> {
    let Update { value, grad, m, v, decays, .. } = update;
    let decay = if *decays { step.weight_decay } else { 0.0 };
    timed(Part::Optimizer, || {
        let (of_value, of_update) = with_slice(value, |value| {
            with_slice_mut(grad, |grad| {
                with_slice_mut(m, |m| with_slice_mut(v, |v| lamb_update(value, grad, m, v, step, decay as f32)))
            })
        })????;
        let ratio = if *decays { trust_ratio(of_value, of_update) } else { 1.0 };
        let rate = (step.lr * ratio) as f32;
        with_slice(grad, |update| {
            with_slice_mut(value, |value| {
                value.par_chunks_mut(CHUNK).zip(update.par_chunks(CHUNK)).for_each(|(value, update)| {
                    value.iter_mut().zip(update).for_each(|(value, update)| *value -= rate * update);
                });
            })
        })?
    })
}

/// New moments, and the update in place of the gradient; the sums of squares of value and update, chunk after chunk.
fn lamb_update(
    value: &[f32],
    grad: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    step: &AdamWStep,
    decay: f32,
) -> (f64, f64) {
    let (correction1, correction2) = step.corrections();
    let (correction1, correction2) = (correction1 as f32, correction2 as f32);
    let (beta1, beta2, eps) = (step.beta1 as f32, step.beta2 as f32, step.eps as f32);
    let (rest1, rest2) = ((1.0 - step.beta1) as f32, (1.0 - step.beta2) as f32);
    let scale = step.gradient_scale as f32;
    let chunks = value
        .par_chunks(CHUNK)
        .zip(grad.par_chunks_mut(CHUNK))
        .zip(m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)));
    let sums: Vec<(f64, f64)> = chunks
        .map(|((value, grad), (m, v))| {
            vectorised(
                #[inline(always)]
                || {
                    for j in 0..value.len() {
                        let g = grad[j] * scale;
                        m[j] = beta1 * m[j] + rest1 * g;
                        v[j] = beta2 * v[j] + rest2 * g * g;
                        grad[j] = correction1 * m[j] / ((v[j] * correction2).sqrt() + eps) + decay * value[j];
                    }
                    let squares = |x: &[f32]| f64::from(math::sum(x, |v| v * v));
                    (squares(value), squares(grad))
                },
            )
        })
        .collect();
    sums.into_iter().fold((0.0, 0.0), |sum, chunk| (sum.0 + chunk.0, sum.1 + chunk.1))
}

pub(super) fn sum_of_squares(grad: &Tensor) -> Result<f64> {
    timed(Part::Optimizer, || {
        with_slice(grad, |grad| {
            let parts: Vec<f64> = grad
                .par_chunks(CHUNK)
                .map(|chunk| {
                    f64::from(vectorised(
                        #[inline(always)]
                        || math::sum(chunk, |v| v * v),
                    ))
                })
                .collect();
            parts.iter().sum()
        })
    })
}
