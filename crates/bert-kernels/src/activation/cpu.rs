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

fn map(out: &mut [f32], x: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) {
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| {
        vectorised(
            #[inline(always)]
            || {
                for (out, &x) in out.iter_mut().zip(x) {
                    *out = f(*out, x);
                }
            },
        )
    });
}

/// The activation of every element, without a graph.
pub fn forward(x: &Tensor, kind: Activation) -> Result<Tensor> {
    timed(Part::Activation, || {
        with_slice(x, |x_values| {
            tensor(x.shape(), |y| match kind {
                Activation::Gelu => map(
                    y,
                    x_values,
                    #[inline(always)]
                    |_, x| gelu(x),
                ),
                Activation::GeluTanh => map(
                    y,
                    x_values,
                    #[inline(always)]
                    |_, x| gelu_tanh(x),
                ),
                Activation::Relu => map(
                    y,
                    x_values,
                    #[inline(always)]
                    |_, x| x.max(0.0),
                ),
            })
        })?
    })
}

/// dy times the derivative at x.
pub fn backward(x: &Tensor, dy: &Tensor, kind: Activation) -> Result<Tensor> {
    timed(Part::Activation, || {
        with_slices([x, dy], |[x_values, dy]| {
            tensor(x.shape(), |dx| {
                dx.copy_from_slice(dy);
                match kind {
                    Activation::Gelu => map(
                        dx,
                        x_values,
                        #[inline(always)]
                        |d, x| d * gelu_slope(x),
                    ),
                    Activation::GeluTanh => map(
                        dx,
                        x_values,
                        #[inline(always)]
                        |d, x| d * gelu_tanh_slope(x),
                    ),
                    Activation::Relu => map(
                        dx,
                        x_values,
                        #[inline(always)]
                        |d, x| if x > 0.0 { d } else { 0.0 },
                    ),
                }
            })
        })?
    })
}
