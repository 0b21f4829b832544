use super::Activation;
use crate::cpu::{CHUNK, math, vectorised};
use crate::storage::{tensor, with_slice, with_slices};
use crate::timing::{Part, timed};
use candle_core::{Result, Tensor};
use rayon::prelude::*;

/// sqrt(2 / pi), and the cubic coefficient of the tanh form.
const TANH_SCALE: f32 = 0.797_884_6;
const TANH_CUBIC: f32 = 0.044_715;

#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + math::erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
fn gelu_slope(x: f32) -> f32 {
    const INVERSE_SQRT_2PI: f32 = 0.398_942_3;
    let cumulative = 0.5 * (1.0 + math::erf(x * std::f32::consts::FRAC_1_SQRT_2));
    cumulative + x * INVERSE_SQRT_2PI * math::exp(-0.5 * x * x)
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    0.5 * x * (1.0 + math::tanh(TANH_SCALE * (x + TANH_CUBIC * x * x * x)))
}

#[inline(always)]
fn gelu_tanh_slope(x: f32) -> f32 {
    let t = math::tanh(TANH_SCALE * (x + TANH_CUBIC * x * x * x));
    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * TANH_SCALE * (1.0 + 3.0 * TANH_CUBIC * x * x)
}

fn map(out: &mut [f32], x: &[f32], f: impl Fn(f32) -> f32 + Sync) {
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| {
        vectorised(
            #[inline(always)]
            || {
                for (out, &x) in out.iter_mut().zip(x) {
                    *out = f(x);
                }
            },
        )
    });
}

/// `dx = dy * slope(x)`
fn map_backward(dx: &mut [f32], dy: &[f32], x: &[f32], slope: impl Fn(f32) -> f32 + Sync) {
    let operands = dy.par_chunks(CHUNK).zip(x.par_chunks(CHUNK));
    dx.par_chunks_mut(CHUNK).zip(operands).for_each(|(dx, (dy, x))| {
        vectorised(
            #[inline(always)]
            || {
                for (dx, (&dy, &x)) in dx.iter_mut().zip(dy.iter().zip(x)) {
                    *dx = dy * slope(x);
                }
            },
        )
    });
}

#[inline(always)]
fn relu(x: f32) -> f32 {
    x.max(0.0)
}

#[inline(always)]
fn relu_slope(x: f32) -> f32 {
    if x > 0.0 { 1.0 } else { 0.0 }
}

/// The activation of every element, without a graph.
pub fn forward(x: &Tensor, kind: Activation) -> Result<Tensor> {
    timed(Part::Activation, || {
        with_slice(x, |values| {
            tensor(x.shape(), |y| match kind {
                Activation::Gelu => map(y, values, gelu),
                Activation::GeluTanh => map(y, values, gelu_tanh),
                Activation::Relu => map(y, values, relu),
            })
        })?
    })
}

/// dy times the derivative at x.
pub fn backward(x: &Tensor, dy: &Tensor, kind: Activation) -> Result<Tensor> {
    timed(Part::Activation, || {
        with_slices([x, dy], |[values, dy]| {
            tensor(x.shape(), |dx| match kind {
                Activation::Gelu => map_backward(dx, dy, values, gelu_slope),
                Activation::GeluTanh => map_backward(dx, dy, values, gelu_tanh_slope),
                Activation::Relu => map_backward(dx, dy, values, relu_slope),
            })
        })?
    })
}
