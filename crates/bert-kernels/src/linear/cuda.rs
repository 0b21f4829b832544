use crate::Parameter;
use crate::cuda::product::{Factor, multiply, multiply_onto};
use crate::cuda::{Argument, Grid, THREADS, add_partials, at, empty, launch, typed};
use candle_core::{DType, Result, Tensor};
use std::ops::Range;

/// Rows `outputs` of the weight, or that part of the bias, in the type of the activations.
pub(crate) fn weight_rows(weight: &Parameter, outputs: &Range<usize>, dtype: DType) -> Result<Tensor> {
    weight.value_as(dtype)?.narrow(0, outputs.start, outputs.len())
}

pub(crate) fn forward_part(x: &Tensor, weight: &Parameter, bias: &Parameter, outputs: Range<usize>) -> Result<Tensor> {
    let (weight, bias) = (weight_rows(weight, &outputs, x.dtype())?, weight_rows(bias, &outputs, x.dtype())?);
    multiply(Factor::plain(x), Factor::turned(&weight), Some(&bias))
}

pub(crate) fn backward_parameters(
    x: &Tensor,
    weight: &Parameter,
    bias: &Parameter,
    outputs: Range<usize>,
    dy: &Tensor,
) -> Result<()> {
    add_column_sums(dy, &bias.grad().narrow(0, outputs.start, outputs.len())?, 1.0)?;
    backward_weight(x, weight, outputs, dy)
}

/// The gradient of the weight alone, straight into its f32.
pub(crate) fn backward_weight(x: &Tensor, weight: &Parameter, outputs: Range<usize>, dy: &Tensor) -> Result<()> {
    let gradient = weight.grad().narrow(0, outputs.start, outputs.len())?;
    multiply_onto(&gradient, 1.0, Factor::turned(dy), Factor::plain(x))
}

pub(crate) fn backward_input(
    weight: &Parameter,
    outputs: Range<usize>,
    dy: &Tensor,
    onto: Option<&Tensor>,
) -> Result<Tensor> {
    let weight = weight_rows(weight, &outputs, dy.dtype())?;
    match onto {
        Some(dx) => multiply_onto(dx, 1.0, Factor::plain(dy), Factor::plain(&weight)).map(|()| dx.clone()),
        None => multiply(Factor::plain(dy), Factor::plain(&weight), None),
    }
}

/// `sums += scale * (sum over the rows of x [T, H])`, sums [H] in f32; the same bits on every run.
pub(crate) fn add_column_sums(x: &Tensor, sums: &Tensor, scale: f32) -> Result<()> {
    let (rows, width) = x.dims2()?;
    let block_rows = rows.div_ceil(64).max(32);
    let blocks = rows.div_ceil(block_rows);
    let partial = empty((blocks, width), DType::F32, x.device())?;
    let grid = Grid { blocks: ((width as u32).div_ceil(THREADS), blocks as u32), threads: THREADS, shared: 0 };
    let arguments = [
        at(x)?,
        at(&partial)?,
        Argument::U32(rows as u32),
        Argument::U32(width as u32),
        Argument::U32(block_rows as u32),
    ];
    launch(x.device(), "linear", &typed("column_sums", x.dtype())?, grid, &arguments)?;
    add_partials(&partial, sums, blocks, (width, 0), scale)
}
