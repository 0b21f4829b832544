//! Two forms: bf16 and f16 in heads of a multiple of 16 columns on the tensor cores, everything else in float arithmetic.

use super::Saved;
use super::operands::Operands;
use crate::cuda::{Argument, Grid, LayoutArgument, WARP, address, at, at_or_null, empty, launch, tables::Key, typed};
use crate::{Dropout, Selection};
use candle_core::{DType, Result, Tensor, bail};

/// Queries or keys of a block of the plain form: one a warp.
const WARPS: u32 = 8;
/// Keys or queries that the plain form has in shared memory at once.
const TILE: u32 = 32;
/// Keys that share a group of Philox counters: 16 bytes of a drawn mask.
const MASK_GROUP: usize = 128;
/// The largest head of both forms.
const LARGEST_HEAD: usize = 128;

/// The three kernels of an attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kernels {
    /// `kernels/attention.cu`
    Plain,
    /// `kernels/attention_tensor.cu` for heads of at most so many columns.
    Tensor(u32),
}

#[derive(Clone, Copy)]
enum Part {
    Forward,
    BackwardQueries,
    BackwardMemory,
}

impl Kernels {
    fn module(self) -> &'static str {
        if self == Self::Plain { "attention" } else { "attention_tensor" }
    }

    fn name(self, part: Part, dtype: DType) -> Result<String> {
        let part = match part {
            Part::Forward => "forward",
            Part::BackwardQueries => "backward_queries",
            Part::BackwardMemory => "backward_memory",
        };
        match self {
            Self::Plain => typed(&format!("attention_{part}"), dtype),
            Self::Tensor(size) => typed(&format!("attention_tensor_{part}_{size}"), dtype),
        }
    }

    /// Queries, or in the last kernel keys, of a block.
    fn step(self, part: Part) -> u32 {
        match (self, part) {
            (Self::Plain, _) => WARPS,
            (Self::Tensor(_), Part::BackwardMemory) => 128,
            (Self::Tensor(_), _) => 64,
        }
    }

    fn grid(self, part: Part, tiles: u32, operands: &Operands) -> Grid {
        let (threads, shared) = match (self, part) {
            // Two tiles, and vectors of a head for each warp.
            (Self::Plain, part) => {
                let (size, vectors) = (operands.sizes.0 as u32, if matches!(part, Part::Forward) { 1 } else { 2 });
                (WARPS * WARP, 4 * (2 * TILE * (size + 1) + vectors * WARPS * size))
            }
            // 128 rows, each with a gap behind it; in the last kernel also what its head comment lists.
            (Self::Tensor(size), Part::BackwardMemory) => (256, 2 * 128 * (size + 8) + 2 * 32 * (2 * 4 + 16)),
            (Self::Tensor(size), _) => (128, 2 * 128 * (size + 8)),
        };
        Grid { blocks: (tiles, operands.heads as u32), threads, shared }
    }
}

impl Operands {
    /// The tensor cores read 16 bytes at once, so those must not straddle; memory of whole rows never makes them.
    pub(crate) fn kernels(&self) -> Result<Kernels> {
        let size = self.sizes.0;
        let aligned = address(&self.queries)?.is_multiple_of(16) && address(&self.memory)?.is_multiple_of(16);
        let tensor = self.queries.dtype() != DType::F32 && size.is_multiple_of(16) && size <= LARGEST_HEAD && aligned;
        Ok(if tensor { Kernels::Tensor(size.next_multiple_of(32) as u32) } else { Kernels::Plain })
    }

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
            groups: self.spans.longest().div_ceil(MASK_GROUP) as u32,
            scale: 1.0 / (size as f32).sqrt(),
        }
    }

    /// The table of blocks, [tiles, 5]: `step` queries each, or keys. Also how many.
    fn tiles(&self, step: u32, of_keys: bool) -> Result<(Tensor, u32)> {
        let tables = self.selection.as_ref().map_or(self.spans.tables(), Selection::tables);
        let key = if of_keys { Key::Keys(step) } else { Key::Queries(step) };
        let tiles = tables.get(key, self.queries.device(), || {
            let mut tiles = Vec::new();
            for i in 0..self.spans.len() {
                let span = self.spans.get(i);
                let asking = self.selection.as_ref().map_or(span.clone(), |selection| selection.get(i));
                let length = if of_keys { span.len() } else { asking.len() };
                for first in (0..length as u32).step_by(step as usize) {
                    tiles.extend([
                        span.start as u32,
                        span.len() as u32,
                        asking.start as u32,
                        asking.len() as u32,
                        first,
                    ]);
                }
            }
            // Where nobody asks, one block finds nothing to do: there is no memory of no bytes.
            tiles.resize(tiles.len().max(5), 0);
            tiles
        })?;
        let count = tiles.elem_count() as u32 / 5;
        Ok((tiles, count))
    }

    fn positions(&self) -> Result<Option<Tensor>> {
        let Some(selection) = self.selection.as_ref().filter(|s| !s.rows().is_empty()) else { return Ok(None) };
        selection.tables().get(Key::Rows, self.queries.device(), || selection.rows().to_vec()).map(Some)
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
    let kernels = operands.kernels()?;
    let (tiles, count) = operands.tiles(kernels.step(Part::Forward), false)?;
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
    let (kernel, grid) = (kernels.name(Part::Forward, dtype)?, kernels.grid(Part::Forward, count, &operands));
    launch(device, kernels.module(), &kernel, grid, &arguments)?;
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
    // dy is read in the same pieces.
    let kernels = if address(dy)?.is_multiple_of(16) { operands.kernels()? } else { Kernels::Plain };
    // What the tensor cores' first kernel draws of the dropout mask, for the second: a bit for each score, until both are done.
    let drawn = match (kernels, operands.dropout) {
        (Kernels::Tensor(_), Some(_)) => {
            let bits = heads * operands.asking() * operands.spans.longest().next_multiple_of(MASK_GROUP);
            Some(empty((bits / 32).max(1), DType::U32, device)?)
        }
        _ => None,
    };
    let (tiles, count) = operands.tiles(kernels.step(Part::BackwardQueries), false)?;
    let mut arguments = vec![
        at(queries)?,
        at(memory)?,
        at(&tiles)?,
        at_or_null(positions.as_ref())?,
        at(context)?,
        at(log_sums)?,
        at(dy)?,
        at(d_queries)?,
        at(&deltas)?,
    ];
    if kernels != Kernels::Plain {
        arguments.push(at_or_null(drawn.as_ref())?);
    }
    arguments.extend([layout, dropout]);
    let (kernel, grid) =
        (kernels.name(Part::BackwardQueries, dtype)?, kernels.grid(Part::BackwardQueries, count, operands));
    launch(device, kernels.module(), &kernel, grid, &arguments)?;
    let (tiles, count) = operands.tiles(kernels.step(Part::BackwardMemory), true)?;
    let arguments = [
        at(queries)?,
        at(memory)?,
        at(&tiles)?,
        // The plain form draws again and needs to know for which rows.
        at_or_null(if kernels == Kernels::Plain { positions.as_ref() } else { drawn.as_ref() })?,
        at(log_sums)?,
        at(&deltas)?,
        at(dy)?,
        at(d_memory)?,
        layout,
        dropout,
    ];
    let (kernel, grid) =
        (kernels.name(Part::BackwardMemory, dtype)?, kernels.grid(Part::BackwardMemory, count, operands));
    launch(device, kernels.module(), &kernel, grid, &arguments)
}
