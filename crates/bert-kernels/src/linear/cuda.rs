use crate::Parameter;
use crate::cuda::product::{Factor, multiply, multiply_onto};
use crate::cuda::{Argument, Strips, add_partials, at, empty, launch, typed};
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

/// Without a bias only the weight's gradient, straight into its f32.
pub(crate) fn backward_parameters<'a>(
    x: &Tensor,
    weight: &Parameter,
    bias: impl Into<Option<&'a Parameter>>,
    outputs: Range<usize>,
    dy: &Tensor,
) -> Result<()> {
    let part = |gradient: Tensor| gradient.narrow(0, outputs.start, outputs.len());
    if let Some(bias) = bias.into() {
        add_column_sums(dy, &part(bias.grad())?, 1.0)?;
    }
    multiply_onto(&part(weight.grad())?, 1.0, Factor::turned(dy), Factor::plain(x))
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
    let strips = Strips::new(rows, width);
    let partial = empty((strips.blocks, 1, width), DType::F32, x.device())?;
    let sizes = [rows as u32, width as u32, strips.block_rows].map(Argument::U32);
    let arguments = [at(x)?, at(&partial)?, sizes[0], sizes[1], sizes[2]];
    launch(x.device(), "linear", &typed("column_sums", x.dtype())?, strips.grid, &arguments)?;
    add_partials(&partial, [Some(sums), None, None], scale)
}
