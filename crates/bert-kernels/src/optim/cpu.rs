use super::AdamWStep;
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
