use super::{Gradients, LayerNorm, Saved};
use crate::Dropout;
use crate::cuda::{Argument, Grid, SHARED_BYTES, WARP, add_partials, at, at_or_null, empty, launch, typed};
use candle_core::{DType, Result, Tensor, bail};

/// Warps of a block, each with `floats` in shared memory.
fn warps(floats: usize) -> Result<u32> {
    match (SHARED_BYTES / 4) as usize / floats.max(1) {
        0 => bail!("layer norm: a row of {floats} floats does not fit in shared memory"),
        most => Ok(most.min(4) as u32),
    }
}

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
    let warps = warps(width)?;
    let grid =
        Grid { blocks: ((rows as u32).div_ceil(warps), 1), threads: warps * WARP, shared: warps * 4 * width as u32 };
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

pub(crate) fn backward(dy: &Tensor, saved: &Saved, norm: &LayerNorm, dropout: Option<Dropout>) -> Result<Gradients> {
    let ((rows, width), dtype, device) = (dy.dims2()?, dy.dtype(), dy.device());
    let residual = empty((rows, width), dtype, device)?;
    let dropped = dropout.map(|_| empty((rows, width), dtype, device)).transpose()?;
    let warps = warps(3 * width)?;
    // Enough blocks for every multiprocessor, few enough that adding their sums costs little; from the batch alone.
    let block_rows = rows.div_ceil(256).max(16);
    let blocks = rows.div_ceil(block_rows);
    let partial = empty((blocks, 2, width), DType::F32, device)?;
    let grid = Grid { blocks: (blocks as u32, 1), threads: warps * WARP, shared: warps * 3 * 4 * width as u32 };
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
    add_partials(&partial, &norm.weight.grad(), blocks, (2 * width, 0), 1.0)?;
    add_partials(&partial, &norm.bias.grad(), blocks, (2 * width, width), 1.0)?;
    Ok(Gradients { x: dropped.unwrap_or_else(|| residual.clone()), residual })
}
