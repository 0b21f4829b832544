use super::Lookup;
use crate::Parameter;
use crate::cpu::{ROWS, Shared};
use crate::storage::{tensor, with_slice, with_slice_mut};
use crate::timing::{Part, timed};
use candle_core::{Result, Tensor};
use rayon::prelude::*;

pub(super) fn forward(lookups: &[Lookup]) -> Result<Tensor> {
    let (rows, width) = (lookups[0].ids.len(), lookups[0].table.value().dim(1)?);
    timed(Part::Embedding, || {
        let sum = tensor((rows, width), |sum| sum.fill(0.0))?;
        for Lookup { table, ids } in lookups {
            with_slice(table.value(), |table| {
                with_slice_mut(&sum, |sum| {
                    sum.par_chunks_mut(ROWS * width).zip(ids.par_chunks(ROWS)).for_each(|(sum, ids)| {
                        for (row, &id) in sum.chunks_exact_mut(width).zip(ids) {
                            let source = &table[id as usize * width..][..width];
                            row.iter_mut().zip(source).for_each(|(s, v)| *s += v);
                        }
                    });
                })
            })??;
        }
        Ok(sum)
    })
}

pub(super) fn backward(tables: &[(Parameter, Vec<u32>)], dy: &Tensor) -> Result<()> {
    let (_, width) = dy.dims2()?;
    timed(Part::Embedding, || {
        for (table, ids) in tables {
            with_slice(dy, |dy| with_slice_mut(&table.grad(), |grad| add_rows(grad, ids, dy, width)))??;
        }
        Ok(())
    })
}

pub(super) fn gather(x: &Tensor, rows: &[u32]) -> Result<Tensor> {
    let (_, width) = x.dims2()?;
    with_slice(x, |x| {
        tensor((rows.len(), width), |y| {
            for (y, &row) in y.chunks_exact_mut(width).zip(rows) {
                y.copy_from_slice(&x[row as usize * width..][..width]);
            }
        })
    })?
}

pub(super) fn scatter_add(x: &Tensor, rows: &[u32], source: &Tensor) -> Result<()> {
    let (_, width) = x.dims2()?;
    with_slice(source, |source| with_slice_mut(x, |x| add_rows(x, rows, source, width)))?
}

pub(super) fn scatter(dy: &Tensor, rows: &[u32], shape: (usize, usize)) -> Result<Tensor> {
    with_slice(dy, |dy| {
        tensor(shape, |dx| {
            dx.fill(0.0);
            add_rows(dx, rows, dy, shape.1);
        })
    })?
}

/// `target[ids[i]] += source[i]`. A task takes some columns of all rows, so rows that meet are added in order.
fn add_rows(target: &mut [f32], ids: &[u32], source: &[f32], width: usize) {
    const COLUMNS: usize = 128;
    let target = Shared::new(target);
    (0..width.div_ceil(COLUMNS)).into_par_iter().for_each(|block| {
        let from = block * COLUMNS;
        let columns = COLUMNS.min(width - from);
        for (&id, row) in ids.iter().zip(source.chunks_exact(width)) {
            // SAFETY: ids were checked against the table, and these columns belong to this task.
            let target = unsafe { std::slice::from_raw_parts_mut(target.at(id as usize * width + from), columns) };
            target.iter_mut().zip(&row[from..]).for_each(|(t, s)| *t += s);
        }
    });
}
