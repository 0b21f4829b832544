use super::Lookup;
use crate::Parameter;
use crate::cuda::{Argument, Grid, THREADS, WARP, at, empty, launch, typed, upload};
use candle_core::{DType, Device, Result, Tensor, bail};

/// Tables that one launch adds up.
const TABLES: usize = 4;
/// Rows of one id that a block adds; more are cut, so that a frequent token does not keep one block busy for long.
const CHUNK: usize = 64;

/// Rows in the type given.
pub(crate) fn forward(lookups: &[Lookup], dtype: DType) -> Result<Tensor> {
    let (rows, width) = (lookups[0].ids.len(), lookups[0].table.value().dim(1)?);
    let device = lookups[0].table.value().device();
    if lookups.len() > TABLES {
        bail!("embedding: {} tables, of which the CUDA form adds up to {TABLES}", lookups.len())
    }
    let mut addresses = [0u64; TABLES];
    for (address, Lookup { table, .. }) in addresses.iter_mut().zip(lookups) {
        *address = crate::cuda::address(table.value())?;
    }
    let addresses = upload(addresses.iter().flat_map(|&a| [a as u32, (a >> 32) as u32]).collect(), device)?;
    let ids = upload(lookups.iter().flat_map(|lookup| lookup.ids).copied().collect(), device)?;
    let y = empty((rows, width), dtype, device)?;
    let arguments = [at(&addresses)?, at(&ids)?, at(&y)?, Argument::U32(rows as u32), Argument::U32(width as u32)];
    launch(
        device,
        "embedding",
        &typed("embedding_forward", dtype)?,
        Grid::striding(rows * width.div_ceil(8)),
        &arguments,
    )?;
    Ok(y)
}

/// Where rows of one id lie in the order of ids: `Chunk` in `kernels/embedding.cu`.
struct Sorted {
    /// [T]: places of the rows, by id and then in their order.
    order: Vec<u32>,
    /// [chunks, 4]: pieces of at most [`CHUNK`] rows.
    chunks: Vec<u32>,
    /// [ids in several pieces, 4]: their partial sums.
    combined: Vec<u32>,
    /// Number of partial sums.
    partials: u32,
}

impl Sorted {
    fn new(ids: &[u32], chunk: usize) -> Self {
        let order = by_id(ids);
        let (mut chunks, mut combined, mut partials) = (Vec::new(), Vec::new(), 0u32);
        let mut start = 0;
        for same in order.chunk_by(|&a, &b| ids[a as usize] == ids[b as usize]) {
            let (id, end) = (ids[same[0] as usize], start + same.len());
            let whole = same.len() <= chunk;
            let first = partials;
            for from in (start..end).step_by(chunk) {
                let target = if whole { id } else { partials };
                partials += u32::from(!whole);
                chunks.extend([from as u32, (from + chunk).min(end) as u32, target, u32::from(whole)]);
            }
            if !whole {
                combined.extend([first, partials, id, 1]);
            }
            start = end;
        }
        Self { order, chunks, combined, partials }
    }
}

/// Places of the rows, by id and then in their order: a counting sort, since ids are small and rows many.
fn by_id(ids: &[u32]) -> Vec<u32> {
    let mut next = vec![0u32; ids.iter().max().map_or(0, |&most| most as usize + 1)];
    ids.iter().for_each(|&id| next[id as usize] += 1);
    let mut sum = 0;
    for count in &mut next {
        sum += *count;
        *count = sum - *count;
    }
    let mut order = vec![0; ids.len()];
    for (row, &id) in ids.iter().enumerate() {
        order[next[id as usize] as usize] = row as u32;
        next[id as usize] += 1;
    }
    order
}

/// Blocks of a table of chunks: one a chunk, and as many beside it as the width needs with so many columns to a thread.
fn grid(table: &[u32], width: usize, columns: u32) -> Grid {
    let threads = (width as u32).div_ceil(columns).next_multiple_of(WARP).min(THREADS);
    Grid { blocks: (table.len() as u32 / 4, (width as u32).div_ceil(columns * threads)), threads, shared: 0 }
}

pub(crate) fn backward(tables: &[(Parameter, Vec<u32>)], dy: &Tensor) -> Result<()> {
    let (width, device) = (dy.dim(1)?, dy.device());
    let width_argument = Argument::U32(width as u32);
    for (table, ids) in tables {
        let sorted = Sorted::new(ids, CHUNK);
        let (grad, partial) = (table.grad(), empty((sorted.partials.max(1) as usize, width), DType::F32, device)?);
        let (first, second) = (grid(&sorted.chunks, width, 8), grid(&sorted.combined, width, 1));
        let (chunks, order) = (upload(sorted.chunks, device)?, upload(sorted.order, device)?);
        let arguments = [at(&chunks)?, at(&order)?, at(dy)?, at(&grad)?, at(&partial)?, width_argument];
        launch(device, "embedding", &typed("embedding_backward", dy.dtype())?, first, &arguments)?;
        if second.blocks.0 > 0 {
            let combined = upload(sorted.combined, device)?;
            let arguments = [at(&combined)?, at(&partial)?, at(&grad)?, width_argument];
            launch(device, "embedding", "embedding_combine", second, &arguments)?;
        }
    }
    Ok(())
}

pub(crate) fn gather(x: &Tensor, rows: &[u32]) -> Result<Tensor> {
    let (width, device) = (x.dim(1)?, x.device());
    let y = empty((rows.len(), width), x.dtype(), device)?;
    let count = rows.len() as u32;
    let rows = upload(rows.to_vec(), device)?;
    let arguments = [at(x)?, at(&rows)?, at(&y)?, Argument::U32(count), Argument::U32(width as u32)];
    launch(
        device,
        "embedding",
        &typed("gather", x.dtype())?,
        Grid::striding(y.dim(0)? * width.div_ceil(8)),
        &arguments,
    )?;
    Ok(y)
}

/// Adds in float and rounds once a row, however often the row was gathered.
pub(crate) fn scatter_add(x: &Tensor, rows: &[u32], source: &Tensor) -> Result<()> {
    let (width, device): (usize, &Device) = (x.dim(1)?, x.device());
    let sorted = Sorted::new(rows, rows.len().max(1));
    let grid = grid(&sorted.chunks, width, 8);
    let (chunks, order) = (upload(sorted.chunks, device)?, upload(sorted.order, device)?);
    let arguments = [at(&chunks)?, at(&order)?, at(source)?, at(x)?, Argument::U32(width as u32)];
    launch(device, "embedding", &typed("scatter_add", x.dtype())?, grid, &arguments)
}
