//! Sums of rows of embedding tables, and selections of rows.

mod cpu;
mod reference;

pub use cpu::{gather, scatter_add};
pub use reference::reference;

use crate::{Parameter, has_fast_form, node};
use candle_core::{DType, Device, Result, Tensor, bail};

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
        return reference(lookups);
    }
    let y = cpu::forward(lookups)?;
    let tables: Vec<(Parameter, Vec<u32>)> = lookups.iter().map(|l| (l.table.clone(), l.ids.to_vec())).collect();
    let leaf = node::root(&Tensor::zeros(1, DType::F32, &Device::Cpu)?)?;
    node::join(&leaf, y, move |dy| cpu::backward(&tables, dy).map(|()| None))
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
    let y = cpu::gather(&x.detach().contiguous()?, rows)?;
    let (shape, rows) = (x.dims2()?, rows.to_vec());
    node::join(x, y, move |dy| cpu::scatter(dy, &rows, shape).map(Some))
}
