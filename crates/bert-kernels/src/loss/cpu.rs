use super::Forward;
use crate::Parameter;
use crate::cpu::{Matrix, Start, gemm, math, vectorised};
use crate::linear::add_column_sums;
use crate::storage::{tensor, with_slice_mut, with_slices};
use crate::timing::{Part, timed};
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

pub(super) fn forward(x: &Tensor, weight: &Parameter, bias: &Parameter, labels: &[u32]) -> Result<Forward> {
    timed(Part::Loss, || {
        let d_logits = crate::linear::forward(x, weight, bias)?;
        let (_, classes) = d_logits.dims2()?;
        let per_row: Vec<(f64, bool)> = with_slice_mut(&d_logits, |logits| {
            logits
                .par_chunks_mut(classes)
                .zip(labels)
                .map(|(row, &label)| {
                    vectorised(
                        #[inline(always)]
                        || softmax_row(row, label as usize),
                    )
                })
                .collect()
        })?;
        let sum: f64 = per_row.iter().map(|(loss, _)| loss).sum();
        let correct = per_row.iter().filter(|(_, correct)| *correct).count();
        let scalar = |value: f32| Tensor::new(value, &Device::Cpu);
        Ok(Forward { sum: scalar(sum as f32)?, correct: scalar(correct as f32)?, d_logits })
    })
}

/// Turns logits into softmax - one-hot; returns the loss and whether the label had the highest logit.
#[inline(always)]
fn softmax_row(row: &mut [f32], label: usize) -> (f64, bool) {
    let largest = math::max(row);
    let chosen = row[label];
    let correct = chosen == largest && row.iter().position(|&v| v == largest) == Some(label);
    for v in row.iter_mut() {
        *v = math::exp(*v - largest);
    }
    // f32 sums of a thousand, then f64: a vocabulary is too long for one f32 sum.
    let sum: f64 = row.chunks(1024).map(|c| f64::from(math::sum(c, |v| v))).sum();
    let inverse = (1.0 / sum) as f32;
    for v in row.iter_mut() {
        *v *= inverse;
    }
    row[label] -= 1.0;
    (sum.ln() - f64::from(chosen - largest), correct)
}

pub(super) fn backward(
    x: &Tensor,
    weight: &Parameter,
    bias: &Parameter,
    d_logits: &Tensor,
    scale: f32,
) -> Result<Tensor> {
    let (rows, hidden) = x.dims2()?;
    let (_, classes) = d_logits.dims2()?;
    timed(Part::Loss, || {
        with_slices([d_logits, x, weight.value()], |[d_logits, x, matrix]| {
            with_slice_mut(&bias.grad(), |db| add_column_sums(d_logits, db, scale))?;
            let (d_logits, x) = (Matrix::new(d_logits, rows, classes), Matrix::new(x, rows, hidden));
            let (space, counts) = weight.grad_space()?;
            let start = if counts { Start::Keep } else { Start::Zero };
            with_slice_mut(&space, |dw| gemm(dw, start, scale, d_logits.t(), x))?;
            let matrix = Matrix::new(matrix, classes, hidden);
            tensor((rows, hidden), |dx| gemm(dx, Start::Zero, scale, d_logits, matrix))
        })?
    })
}
