use crate::Parameter;
use crate::cpu::{Matrix, Start, gemm, vectorised};
use crate::storage::{tensor, with_slice_mut, with_slices};
use crate::timing::{Part, timed};
use candle_core::{Result, Tensor};
use rayon::prelude::*;
use std::ops::Range;

pub(super) fn forward_part(x: &Tensor, weight: &Parameter, bias: &Parameter, outputs: Range<usize>) -> Result<Tensor> {
    let (rows, inputs) = x.dims2()?;
    let count = outputs.len();
    timed(Part::Linear, || {
        with_slices([x, weight.value(), bias.value()], |[x, weight, bias]| {
            let bias = &bias[outputs.clone()];
            let weight = Matrix::new(&weight[outputs.start * inputs..], count, inputs);
            tensor((rows, count), |y| {
                gemm(y, Start::Row(bias), 1.0, Matrix::new(x, rows, inputs), weight.t());
            })
        })?
    })
}

pub(super) fn backward_parameters<'a>(
    x: &Tensor,
    weight: &Parameter,
    bias: impl Into<Option<&'a Parameter>>,
    outputs: Range<usize>,
    dy: &Tensor,
) -> Result<()> {
    let (rows, inputs) = x.dims2()?;
    let elements = outputs.start * inputs..outputs.end * inputs;
    timed(Part::Linear, || {
        with_slices([dy, x], |[dy, x]| {
            if let Some(bias) = bias.into() {
                with_slice_mut(&bias.grad(), |db| add_column_sums(dy, &mut db[outputs.clone()], 1.0))?;
            }
            let (dy, x) = (Matrix::new(dy, rows, outputs.len()), Matrix::new(x, rows, inputs));
            let is_whole = elements.len() == weight.value().elem_count();
            let (space, counts) = if is_whole { weight.grad_space()? } else { (weight.grad(), true) };
            let start = if counts { Start::Keep } else { Start::Zero };
            with_slice_mut(&space, |dw| gemm(&mut dw[elements], start, 1.0, dy.t(), x))
        })?
    })
}

pub(super) fn backward_input(
    weight: &Parameter,
    outputs: Range<usize>,
    dy: &Tensor,
    onto: Option<&Tensor>,
) -> Result<Tensor> {
    let (rows, inputs) = (dy.dim(0)?, weight.value().dim(1)?);
    timed(Part::Linear, || {
        with_slices([dy, weight.value()], |[dy, matrix]| {
            let dy = Matrix::new(dy, rows, outputs.len());
            let matrix = Matrix::new(&matrix[outputs.start * inputs..], outputs.len(), inputs);
            match onto {
                Some(dx) => {
                    with_slice_mut(dx, |dx| gemm(dx, Start::Keep, 1.0, dy, matrix))?;
                    Ok(dx.clone())
                }
                None => tensor((rows, inputs), |dx| gemm(dx, Start::Zero, 1.0, dy, matrix)),
            }
        })?
    })
}

/// `sums += scale * (sum over the rows of x)`. Each column is summed by one task, row after row.
pub(crate) fn add_column_sums(x: &[f32], sums: &mut [f32], scale: f32) {
    let columns = sums.len();
    let width = (columns / 8).clamp(16, 512);
    sums.par_chunks_mut(width).enumerate().for_each(|(block, sums)| {
        let from = block * width;
        vectorised(
            #[inline(always)]
            || {
                for row in x.chunks_exact(columns) {
                    for (sum, value) in sums.iter_mut().zip(&row[from..]) {
                        *sum += scale * value;
                    }
                }
            },
        );
    });
}

/// The gradient of a bias [H] from that of the rows [T, H] it was added to.
pub(crate) fn add_column_sums_to(bias: &Parameter, dy: &Tensor) -> Result<()> {
    timed(Part::Linear, || {
        with_slices([dy], |[dy]| with_slice_mut(&bias.grad(), |sums| add_column_sums(dy, sums, 1.0)))?
    })
}
