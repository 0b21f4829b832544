use super::Saved;
use super::operands::Operands;
use crate::cuda::{Argument, Grid, LayoutArgument, WARP, at, at_or_null, empty, launch, typed, upload};
use crate::{Dropout, Selection};
use candle_core::{DType, Result, Tensor, bail};

/// Queries or keys of a block of the plain form: one a warp.
const WARPS: u32 = 8;
/// Keys or queries that the plain form has in shared memory at once.
const TILE: u32 = 32;
/// The largest head of the plain form.
const LARGEST_HEAD: usize = 128;

impl Operands {
    fn layout(&self) -> LayoutArgument {
        let ((size, _), [_, keys, values]) = (self.sizes, self.columns());
        let (query_stride, memory_stride) = self.strides();
        LayoutArgument {
            query_stride: query_stride as u32,
            memory_stride: memory_stride as u32,
            keys: keys as u32,
            values: values as u32,
            heads: self.heads as u32,
            size: size as u32,
            asking: self.asking() as u32,
            rows: self.spans.rows() as u32,
            scale: 1.0 / (size as f32).sqrt(),
        }
    }

    /// The table of blocks, [tiles, 5]: `step` queries each, or keys.
    fn tiles(&self, step: u32, of_keys: bool) -> Result<(Tensor, u32)> {
        let mut tiles = Vec::new();
        for i in 0..self.spans.len() {
            let span = self.spans.get(i);
            let asking = self.selection.as_ref().map_or(span.clone(), |selection| selection.get(i));
            let length = if of_keys { span.len() } else { asking.len() };
            for first in (0..length as u32).step_by(step as usize) {
                tiles.extend([span.start as u32, span.len() as u32, asking.start as u32, asking.len() as u32, first]);
            }
        }
        let count = tiles.len() as u32 / 5;
        tiles.resize(tiles.len().max(5), 0);
        Ok((upload(tiles, self.queries.device())?, count))
    }

    fn positions(&self) -> Result<Option<Tensor>> {
        let rows = self.selection.as_ref().map(Selection::rows);
        rows.filter(|rows| !rows.is_empty()).map(|rows| upload(rows.to_vec(), self.queries.device())).transpose()
    }

    /// `vectors` of a head in shared memory for each warp, beside the two tiles.
    fn grid(&self, tiles: u32, vectors: u32) -> Grid {
        let size = self.sizes.0 as u32;
        let shared = 4 * (2 * TILE * (size + 1) + vectors * WARPS * size);
        Grid { blocks: (tiles, self.heads as u32), threads: WARPS * WARP, shared }
    }

    /// Memory for gradients: zeros where some rows belong to no sequence.
    fn gradient(&self, like: &Tensor) -> Result<Tensor> {
        if self.spans.has_padding() { like.zeros_like() } else { empty(like.shape(), like.dtype(), like.device()) }
    }
}

pub(crate) fn forward(operands: Operands) -> Result<(Tensor, Saved)> {
    let Operands { queries, memory, heads, sizes: (size, hidden), dropout, .. } = &operands;
    if *size > LARGEST_HEAD {
        bail!("attention: heads of {size}, of which the CUDA form takes up to {LARGEST_HEAD}")
    }
    let (asking, device, dtype) = (operands.asking(), queries.device(), queries.dtype());
    let silent = operands.selection.is_none() && operands.spans.has_padding();
    let context = match silent {
        true => Tensor::zeros((asking, *hidden), dtype, device)?,
        false => empty((asking, *hidden), dtype, device)?,
    };
    let log_sums = empty(heads * asking, DType::F32, device)?;
    let (tiles, count) = operands.tiles(WARPS, false)?;
    let positions = operands.positions()?;
    let arguments = [
        at(queries)?,
        at(memory)?,
        at(&tiles)?,
        at_or_null(positions.as_ref())?,
        at(&context)?,
        at(&log_sums)?,
        Argument::Layout(operands.layout()),
        Dropout::argument(*dropout),
    ];
    let kernel = typed("attention_forward", dtype)?;
    launch(device, "attention", &kernel, operands.grid(count, 1), &arguments)?;
    Ok((context.clone(), Saved { operands, context, log_sums }))
}

/// The gradient of qkv in one tensor.
pub(crate) fn backward(saved: &Saved, dy: &Tensor) -> Result<Tensor> {
    let gradient = saved.operands.gradient(&saved.operands.queries)?;
    run_backward(saved, dy, &gradient, &gradient)?;
    Ok(gradient)
}

/// The gradients of queries and of keys and values.
pub(crate) fn backward_at(saved: &Saved, dy: &Tensor) -> Result<(Tensor, Tensor)> {
    let Operands { queries, memory, .. } = &saved.operands;
    let d_queries = empty(queries.shape(), queries.dtype(), queries.device())?;
    let d_memory = saved.operands.gradient(memory)?;
    run_backward(saved, dy, &d_queries, &d_memory)?;
    Ok((d_queries, d_memory))
}

fn run_backward(saved: &Saved, dy: &Tensor, d_queries: &Tensor, d_memory: &Tensor) -> Result<()> {
    let Saved { operands, context, log_sums } = saved;
    let Operands { queries, memory, heads, dropout, .. } = operands;
    let (device, dtype) = (queries.device(), queries.dtype());
    let deltas = empty(heads * operands.asking(), DType::F32, device)?;
    let positions = operands.positions()?;
    let (layout, dropout) = (Argument::Layout(operands.layout()), Dropout::argument(*dropout));
    let (tiles, count) = operands.tiles(WARPS, false)?;
    let arguments = [
        at(queries)?,
        at(memory)?,
        at(&tiles)?,
        at_or_null(positions.as_ref())?,
        at(context)?,
        at(log_sums)?,
        at(dy)?,
        at(d_queries)?,
        at(&deltas)?,
        layout,
        dropout,
    ];
    let kernel = typed("attention_backward_queries", dtype)?;
    launch(device, "attention", &kernel, operands.grid(count, 2), &arguments)?;
    let (tiles, count) = operands.tiles(WARPS, true)?;
    let arguments = [
        at(queries)?,
        at(memory)?,
        at(&tiles)?,
        at_or_null(positions.as_ref())?,
        at(log_sums)?,
        at(&deltas)?,
        at(dy)?,
        at(d_memory)?,
        layout,
        dropout,
    ];
    let kernel = typed("attention_backward_memory", dtype)?;
    launch(device, "attention", &kernel, operands.grid(count, 2), &arguments)
}
