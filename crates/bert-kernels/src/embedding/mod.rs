//! Sums of rows of embedding tables, and selections of rows.

mod cpu;
#[cfg(any(kernels, test))]
pub(crate) mod cuda;
mod reference;

pub use reference::reference;

#[cfg(kernels)]
use crate::timing::Part;
use crate::{Parameter, has_fast_form, node};
use candle_core::{DType, Result, Tensor, bail};

/// One table [rows, H] and the row of it that each token takes.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    /// The table.
    pub table: &'a Parameter,
    /// One index a token.
    pub ids: &'a [u32],
}

/// Sum over the tables of the row that each token looks up -> [T, H]. Differentiable: the first node of a network.
///
/// # Errors
/// Tables of different widths, index lists of different lengths, an index beyond its table.
pub fn embedding(lookups: &[Lookup]) -> Result<Tensor> {
    let dtype = lookups.first().map_or(DType::F32, |first| first.table.value().dtype());
    embedding_as(lookups, dtype)
}

/// [`embedding`] with rows of the type given; the tables stay f32. The CPU form has f32 only.
///
/// # Errors
/// As for [`embedding`].
pub fn embedding_as(lookups: &[Lookup], dtype: DType) -> Result<Tensor> {
    let Some(first) = lookups.first() else { bail!("embedding: no table") };
    for Lookup { table, ids } in lookups {
        let (rows, width) = table.value().dims2()?;
        if width != first.table.value().dim(1)? || ids.len() != first.ids.len() {
            bail!("embedding: {} has another width or number of ids than {}", table.name(), first.table.name())
        }
        if let Some(id) = ids.iter().find(|&&id| id as usize >= rows) {
            bail!("embedding: id {id} in a table of {rows} rows ({})", table.name())
        }
    }
    if !has_fast_form(first.table.value()) {
        return reference(lookups)?.to_dtype(dtype);
    }
    let device = first.table.value().device();
    let y = forward(lookups, dtype)?;
    let tables: Vec<(Parameter, Vec<u32>)> = lookups.iter().map(|l| (l.table.clone(), l.ids.to_vec())).collect();
    let leaf = node::root(&Tensor::zeros(1, DType::F32, device)?)?;
    node::join(&leaf, y, move |dy| backward(&tables, dy).map(|()| None))
}

/// Rows of x [T, H] -> [n, H], differentiable; a row may be selected more than once.
///
/// # Errors
/// A row beyond the end of x.
pub fn select_rows(x: &Tensor, rows: &[u32]) -> Result<Tensor> {
    let (count, _) = x.dims2()?;
    if let Some(row) = rows.iter().find(|&&row| row as usize >= count) {
        bail!("row {row} of {count}")
    }
    if !has_fast_form(x) {
        return x.contiguous()?.index_select(&Tensor::new(rows, x.device())?, 0);
    }
    let y = gather(&x.detach().contiguous()?, rows)?;
    let (shape, rows) = (x.dims2()?, rows.to_vec());
    node::join(x, y, move |dy| scatter(dy, &rows, shape).map(Some))
}

#[cfg_attr(not(kernels), expect(unused_variables, reason = "the CPU form has one type"))]
fn forward(lookups: &[Lookup], dtype: DType) -> Result<Tensor> {
    #[cfg(kernels)]
    if crate::on_cuda(lookups[0].table.value()) {
        return Part::Embedding.on(lookups[0].table.value(), || cuda::forward(lookups, dtype));
    }
    cpu::forward(lookups)
}

fn backward(tables: &[(Parameter, Vec<u32>)], dy: &Tensor) -> Result<()> {
    #[cfg(kernels)]
    if crate::on_cuda(dy) {
        return Part::Embedding.on(dy, || cuda::backward(tables, dy));
    }
    cpu::backward(tables, dy)
}

/// Rows of x [T, H] -> [n, H], without a graph. The rows are known to lie in x.
pub fn gather(x: &Tensor, rows: &[u32]) -> Result<Tensor> {
    #[cfg(kernels)]
    if crate::on_cuda(x) {
        return Part::Embedding.on(x, || cuda::gather(x, rows));
    }
    cpu::gather(x, rows)
}

/// Adds the rows of `source` [n, H] to those of x [T, H] that they were gathered from, in place.
pub fn scatter_add(x: &Tensor, rows: &[u32], source: &Tensor) -> Result<()> {
    #[cfg(kernels)]
    if crate::on_cuda(x) {
        return Part::Embedding.on(x, || cuda::scatter_add(x, rows, source));
    }
    cpu::scatter_add(x, rows, source)
}

fn scatter(dy: &Tensor, rows: &[u32], shape: (usize, usize)) -> Result<Tensor> {
    #[cfg(kernels)]
    if crate::on_cuda(dy) {
        let dx = Tensor::zeros(shape, dy.dtype(), dy.device())?;
        cuda::scatter_add(&dx, rows, dy)?;
        return Ok(dx);
    }
    cpu::scatter(dy, rows, shape)
}
