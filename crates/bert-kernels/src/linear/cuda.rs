use crate::Parameter;
use crate::cuda::{Argument, Grid, THREADS, add_partials, add_scaled, at, empty, launch, typed};
use candle_core::{DType, Result, Tensor};
use std::ops::Range;

/// Rows `outputs` of the weight in the type of the activations.
pub(crate) fn weight_rows(weight: &Parameter, outputs: &Range<usize>, dtype: DType) -> Result<Tensor> {
    weight.value_as(dtype)?.narrow(0, outputs.start, outputs.len())
}

pub(crate) fn forward_part(x: &Tensor, weight: &Parameter, bias: &Parameter, outputs: Range<usize>) -> Result<Tensor> {
    let y = x.matmul(&weight_rows(weight, &outputs, x.dtype())?.t()?)?;
    let bias = bias.value().detach().narrow(0, outputs.start, outputs.len())?;
    let arguments = [at(&y)?, at(&bias)?, Argument::U64(y.elem_count() as u64), Argument::U32(outputs.len() as u32)];
    launch(x.device(), "linear", &typed("add_bias", x.dtype())?, Grid::striding(y.elem_count()), &arguments)?;
    Ok(y)
}

pub(crate) fn backward_parameters(
    x: &Tensor,
    weight: &Parameter,
    bias: &Parameter,
    outputs: Range<usize>,
    dy: &Tensor,
) -> Result<()> {
    add_column_sums(dy, &bias.grad().narrow(0, outputs.start, outputs.len())?, 1.0)?;
    add_scaled(&weight.grad().narrow(0, outputs.start, outputs.len())?, &dy.t()?.matmul(x)?, 1.0)
}

pub(crate) fn backward_input(
    weight: &Parameter,
    outputs: Range<usize>,
    dy: &Tensor,
    onto: Option<&Tensor>,
) -> Result<Tensor> {
    let dx = dy.matmul(&weight_rows(weight, &outputs, dy.dtype())?)?;
    onto.map_or(Ok(dx.clone()), |onto| onto + &dx)
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
