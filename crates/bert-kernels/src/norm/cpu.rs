use super::LayerNorm;
use crate::Dropout;
use crate::cpu::{ROWS, math, vectorised};
use crate::storage::{tensor, uninitialised, with_slice_mut, with_slices};
use crate::timing::{Part, timed};
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

/// What the backward pass needs: the normalised rows [T, H] and 1 / deviation of each row [T].
#[derive(Debug)]
pub struct Saved {
    pub(super) normed: Tensor,
    pub(super) inverse_deviation: Tensor,
}

/// Gradients of the two operands, each [T, H]; the same tensor when nothing was dropped.
pub struct Gradients {
    /// Of the operand that dropout was applied to.
    pub x: Tensor,
    /// Of the residual.
    pub residual: Tensor,
}

pub(super) fn forward(
    x: &Tensor,
    residual: Option<&Tensor>,
    norm: &LayerNorm,
    dropout: Option<Dropout>,
) -> Result<(Tensor, Saved)> {
    let (rows, width) = x.dims2()?;
    let mut normed = uninitialised(rows * width);
    let mut inverse_deviation = uninitialised(rows);
    // Without a residual the slot of its slice holds x, unread.
    let operands = [x, residual.unwrap_or(x), norm.weight.value(), norm.bias.value()];
    let y = timed(Part::Norm, || {
        with_slices(operands, |[x, other, weight, bias]| {
            let other = residual.map(|_| other);
            tensor((rows, width), |y| {
                y.par_chunks_mut(ROWS * width)
                    .zip(normed.par_chunks_mut(ROWS * width))
                    .zip(inverse_deviation.par_chunks_mut(ROWS))
                    .enumerate()
                    .for_each(|(chunk, ((y, normed), inverse_deviation))| {
                        let mut mask = vec![1f32; width];
                        vectorised(
                            #[inline(always)]
                            || {
                                let rows = y.chunks_exact_mut(width).zip(normed.chunks_exact_mut(width));
                                for (i, ((y, z), inverse)) in rows.zip(inverse_deviation).enumerate() {
                                    let row = chunk * ROWS + i;
                                    let at = row * width..(row + 1) * width;
                                    if let Some(dropout) = dropout {
                                        dropout.fill(row as u32, &mut mask);
                                    }
                                    sum_operands(z, &x[at.clone()], other.map(|o| &o[at]), &mask);
                                    *inverse = normalise(z, norm.epsilon as f32);
                                    for j in 0..width {
                                        y[j] = z[j].mul_add(weight[j], bias[j]);
                                    }
                                }
                            },
                        );
                    });
            })
        })?
    })?;
    let saved = Saved {
        normed: Tensor::from_vec(normed, (rows, width), &Device::Cpu)?,
        inverse_deviation: Tensor::from_vec(inverse_deviation, rows, &Device::Cpu)?,
    };
    Ok((y, saved))
}

#[inline(always)]
fn sum_operands(z: &mut [f32], x: &[f32], residual: Option<&[f32]>, mask: &[f32]) {
    match residual {
        Some(residual) => {
            for j in 0..z.len() {
                z[j] = x[j].mul_add(mask[j], residual[j]);
            }
        }
        None => {
            for j in 0..z.len() {
                z[j] = x[j] * mask[j];
            }
        }
    }
}

/// Subtracts the mean and divides by the deviation, in place; returns 1 / deviation.
#[inline(always)]
fn normalise(z: &mut [f32], epsilon: f32) -> f32 {
    let width = z.len() as f32;
    let mean = math::sum(z, |v| v) / width;
    let variance = math::sum(z, |v| (v - mean) * (v - mean)) / width;
    let inverse = 1.0 / (variance + epsilon).sqrt();
    for v in z {
        *v = (*v - mean) * inverse;
    }
    inverse
}

pub(super) fn backward(dy: &Tensor, saved: &Saved, norm: &LayerNorm, dropout: Option<Dropout>) -> Result<Gradients> {
    let (rows, width) = dy.dims2()?;
    // Gain and bias gradients: partial sums over blocks of rows, added in the order of the blocks. Their number
    // depends on the batch alone, so that the result does not depend on the threads.
    let block = rows.div_ceil(32).max(ROWS);
    let blocks = rows.div_ceil(block);
    let mut partial = vec![0f32; blocks * 2 * width];
    let mut dropped = dropout.map(|_| uninitialised(rows * width)).unwrap_or_default();
    let operands = [dy, &saved.normed, &saved.inverse_deviation, norm.weight.value()];
    let dz = timed(Part::Norm, || {
        with_slices(operands, |[dy, normed, inverse, weight]| {
            tensor((rows, width), |dz| {
                // Without dropout there is nothing to write: every block gets an empty slice.
                let blocks_of_dropped: Vec<&mut [f32]> = match dropout {
                    Some(_) => dropped.chunks_mut(block * width).collect(),
                    None => (0..blocks).map(|_| <&mut [f32]>::default()).collect(),
                };
                partial
                    .par_chunks_mut(2 * width)
                    .zip(dz.par_chunks_mut(block * width))
                    .zip(blocks_of_dropped)
                    .enumerate()
                    .for_each(|(index, ((partial, dz), dropped))| {
                        let (d_weight, d_bias) = partial.split_at_mut(width);
                        let mut mask = vec![1f32; width];
                        vectorised(
                            #[inline(always)]
                            || {
                                for (i, dz) in dz.chunks_exact_mut(width).enumerate() {
                                    let row = index * block + i;
                                    let at = row * width..(row + 1) * width;
                                    let (dy, normed) = (&dy[at.clone()], &normed[at]);
                                    row_backward(dz, dy, normed, inverse[row], weight, d_weight, d_bias);
                                    if let Some(dropout) = dropout {
                                        dropout.fill(row as u32, &mut mask);
                                        let dropped = &mut dropped[i * width..(i + 1) * width];
                                        for j in 0..width {
                                            dropped[j] = dz[j] * mask[j];
                                        }
                                    }
                                }
                            },
                        );
                    });
            })
        })?
    })?;
    for (parameter, half) in [(&norm.weight, 0), (&norm.bias, 1)] {
        with_slice_mut(&parameter.grad(), |grad| {
            for part in partial.chunks_exact(width).skip(half).step_by(2) {
                grad.iter_mut().zip(part).for_each(|(g, p)| *g += p);
            }
        })?;
    }
    let x = match dropout {
        Some(_) => Tensor::from_vec(dropped, (rows, width), &Device::Cpu)?,
        None => dz.clone(),
    };
    Ok(Gradients { x, residual: dz })
}

#[inline(always)]
fn row_backward(
    dz: &mut [f32],
    dy: &[f32],
    normed: &[f32],
    inverse: f32,
    weight: &[f32],
    d_weight: &mut [f32],
    d_bias: &mut [f32],
) {
    let width = dz.len();
    for j in 0..width {
        d_weight[j] = dy[j].mul_add(normed[j], d_weight[j]);
        d_bias[j] += dy[j];
        dz[j] = dy[j] * weight[j];
    }
    let mean = math::sum(dz, |v| v) / width as f32;
    let slope = math::dot(dz, normed) / width as f32;
    for j in 0..width {
        dz[j] = (dz[j] - mean - normed[j] * slope) * inverse;
    }
}
