use super::{Gradients, LayerNorm, Saved};
use crate::cuda::{Argument, Grid, Teams, add_partials, at, at_or_null, empty, launch, typed};
use crate::{Dropout, Parameter};
use candle_core::{DType, Result, Tensor};

pub(crate) fn forward(
    x: &Tensor,
    residual: Option<&Tensor>,
    norm: &LayerNorm,
    dropout: Option<Dropout>,
) -> Result<(Tensor, Saved)> {
    let ((rows, width), dtype, device) = (x.dims2()?, x.dtype(), x.device());
    let y = empty((rows, width), dtype, device)?;
    let normed = empty((rows, width), dtype, device)?;
    let inverse_deviation = empty(rows, DType::F32, device)?;
    let teams = Teams::new(width)?;
    // The grid strides: a block reads gain and bias once for all its rows.
    let grid = Grid::new((rows as u32).div_ceil(teams.count).min(1056), teams.threads);
    let arguments = [
        at(x)?,
        at_or_null(residual)?,
        at(norm.weight.value())?,
        at(norm.bias.value())?,
        at(&y)?,
        at(&normed)?,
        at(&inverse_deviation)?,
        Argument::U32(rows as u32),
        Argument::U32(width as u32),
        Argument::F32(norm.epsilon as f32),
        Dropout::argument(dropout),
    ];
    launch(device, "norm", &typed("norm_forward", dtype)?, grid, &arguments)?;
    Ok((y, Saved { normed, inverse_deviation }))
}

pub(crate) fn backward(
    dy: &Tensor,
    saved: &Saved,
    norm: &LayerNorm,
    dropout: Option<Dropout>,
    bias_of_x: Option<&Parameter>,
) -> Result<Gradients> {
    let ((rows, width), dtype, device) = (dy.dims2()?, dy.dtype(), dy.device());
    let residual = empty((rows, width), dtype, device)?;
    let dropped = dropout.map(|_| empty((rows, width), dtype, device)).transpose()?;
    let teams = Teams::new(width)?;
    // Enough blocks for every multiprocessor, few enough that adding their sums costs little; from the batch alone.
    let block_rows = rows.div_ceil(528).next_multiple_of(teams.count as usize).max(16);
    let blocks = rows.div_ceil(block_rows);
    let partial = empty((blocks, 3, width), DType::F32, device)?;
    let shared = if teams.count > 1 { 3 * 4 * width as u32 } else { 0 };
    let grid = Grid { blocks: (blocks as u32, 1), threads: teams.threads, shared };
    let arguments = [
        at(dy)?,
        at(&saved.normed)?,
        at(&saved.inverse_deviation)?,
        at(norm.weight.value())?,
        at(&residual)?,
        at_or_null(dropped.as_ref())?,
        at(&partial)?,
        Argument::U32(rows as u32),
        Argument::U32(width as u32),
        Argument::U32(block_rows as u32),
        Dropout::argument(dropout),
    ];
    launch(device, "norm", &typed("norm_backward", dtype)?, grid, &arguments)?;
    let (weight, bias, of_x) = (norm.weight.grad(), norm.bias.grad(), bias_of_x.map(Parameter::grad));
    add_partials(&partial, [Some(&weight), Some(&bias), of_x.as_ref()], 1.0)?;
    Ok(Gradients { x: dropped.unwrap_or_else(|| residual.clone()), residual })
}
