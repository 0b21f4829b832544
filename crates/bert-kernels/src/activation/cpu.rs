use super::Activation;
use crate::cpu::{CHUNK, math, vectorised};
use crate::storage::{tensor, uninitialised, with_slice, with_slices};
use crate::timing::{Part, timed};
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

/// sqrt(2 / pi), and the cubic coefficient of the tanh form.
const TANH_SCALE: f32 = 0.797_884_6;
const TANH_CUBIC: f32 = 0.044_715;

// Each activation gives its value and its slope; what a caller does not use, the compiler leaves out.

#[inline(always)]
fn gelu(x: f32) -> [f32; 2] {
    const INVERSE_SQRT_2PI: f32 = 0.398_942_3;
    let cumulative = 0.5 * (1.0 + math::erf(x * std::f32::consts::FRAC_1_SQRT_2));
    [x * cumulative, cumulative + x * INVERSE_SQRT_2PI * math::exp(-0.5 * x * x)]
}

#[inline(always)]
fn gelu_tanh(x: f32) -> [f32; 2] {
    let t = math::tanh(TANH_SCALE * (x + TANH_CUBIC * x * x * x));
    let slope = 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * TANH_SCALE * (1.0 + 3.0 * TANH_CUBIC * x * x);
    [0.5 * x * (1.0 + t), slope]
}

#[inline(always)]
fn relu(x: f32) -> [f32; 2] {
    [x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }]
}

fn map(y: &mut [f32], x: &[f32], f: impl Fn(f32) -> [f32; 2] + Sync) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        vectorised(
            #[inline(always)]
            || {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = f(x)[0];
                }
            },
        )
    });
}

/// `dx = dy * slope(x)`
fn map_backward(dx: &mut [f32], dy: &[f32], x: &[f32], f: impl Fn(f32) -> [f32; 2] + Sync) {
    let operands = dy.par_chunks(CHUNK).zip(x.par_chunks(CHUNK));
    dx.par_chunks_mut(CHUNK).zip(operands).for_each(|(dx, (dy, x))| {
        vectorised(
            #[inline(always)]
            || {
                for (dx, (&dy, &x)) in dx.iter_mut().zip(dy.iter().zip(x)) {
                    *dx = dy * f(x)[1];
                }
            },
        )
    });
}

/// [`map`] and [`map_backward`] in one go.
fn map_both(y: &mut [f32], dx: &mut [f32], dy: &[f32], x: &[f32], f: impl Fn(f32) -> [f32; 2] + Sync) {
    let results = y.par_chunks_mut(CHUNK).zip(dx.par_chunks_mut(CHUNK));
    results.zip(dy.par_chunks(CHUNK).zip(x.par_chunks(CHUNK))).for_each(|((y, dx), (dy, x))| {
        vectorised(
            #[inline(always)]
            || {
                for ((y, dx), (&dy, &x)) in y.iter_mut().zip(dx).zip(dy.iter().zip(x)) {
                    let [value, slope] = f(x);
                    *y = value;
                    *dx = dy * slope;
                }
            },
        )
    });
}

pub(super) fn forward(x: &Tensor, kind: Activation) -> Result<Tensor> {
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

pub(super) fn backward(x: &Tensor, dy: &Tensor, kind: Activation) -> Result<Tensor> {
    timed(Part::Activation, || {
        with_slices([x, dy], |[values, dy]| {
            tensor(x.shape(), |dx| match kind {
                Activation::Gelu => map_backward(dx, dy, values, gelu),
                Activation::GeluTanh => map_backward(dx, dy, values, gelu_tanh),
                Activation::Relu => map_backward(dx, dy, values, relu),
            })
        })?
    })
}

pub(super) fn forward_and_backward(x: &Tensor, dy: &Tensor, kind: Activation) -> Result<(Tensor, Tensor)> {
    timed(Part::Activation, || {
        with_slices([x, dy], |[values, dy]| {
            let mut y = uninitialised(values.len());
            let dx = tensor(x.shape(), |dx| match kind {
                Activation::Gelu => map_both(&mut y, dx, dy, values, gelu),
                Activation::GeluTanh => map_both(&mut y, dx, dy, values, gelu_tanh),
                Activation::Relu => map_both(&mut y, dx, dy, values, relu),
            })?;
            Ok((Tensor::from_vec(y, x.shape(), &Device::Cpu)?, dx))
        })?
    })
}
