//! Tiles written to the result.

use super::super::Start;
use super::Lanes;
use super::tile::{Place, Sums};
use crate::cpu::Shared;
use std::ops::Range;

/// The result of a product, and what it starts from.
pub(in super::super) struct Output<'a> {
    pub out: Shared,
    pub row_stride: usize,
    pub start: Start<'a>,
    pub scale: f32,
    /// Whether the transpose is written: rows of the tiles are columns of the result.
    pub swapped: bool,
}

impl Output<'_> {
    /// Where tiles that begin at this row and column go.
    pub(super) fn place(&self, row: usize, column: usize) -> Place {
        let (row, column, tile_stride) = match self.swapped {
            true => (column, row, 1),
            false => (row, column, self.row_stride),
        };
        // SAFETY: the tiles lie in the result.
        let first = unsafe { self.out.at(row * self.row_stride + column) };
        Place { first, row_stride: self.row_stride, tile_stride }
    }

    /// Adds a tile, `width` floats to a row of it, to what the pieces before it along k left, or to what the product starts from.
    ///
    /// # Safety
    /// The processor has the vectors, and the rows and columns of the result belong to the caller.
    #[inline(always)]
    pub(super) unsafe fn add<V: Lanes>(
        &self,
        sums: &Sums,
        width: usize,
        rows: Range<usize>,
        columns: Range<usize>,
        is_first: bool,
    ) {
        if !self.swapped {
            for (i, row) in rows.enumerate() {
                for part in (0..columns.len()).step_by(V::COUNT) {
                    let count = V::COUNT.min(columns.len() - part);
                    // SAFETY: the caller's promise; a row of a tile is whole vectors.
                    unsafe {
                        let sum = V::load(sums.0[i * width + part..][..V::COUNT].as_ptr());
                        self.add_vector(row, columns.start + part, count, sum, is_first)
                    }
                }
            }
            return;
        }
        for i in (0..rows.len()).step_by(V::COUNT) {
            let count = V::COUNT.min(rows.len() - i);
            for part in (0..columns.len()).step_by(V::COUNT) {
                // SAFETY: the caller's promise.
                unsafe {
                    let mut square = V::zero_square();
                    for (line, vector) in square.as_mut().iter_mut().enumerate() {
                        if line < count {
                            *vector = V::load(sums.0[(i + line) * width + part..][..V::COUNT].as_ptr());
                        }
                    }
                    let square = V::transpose(square);
                    for (j, &sum) in square.as_ref().iter().enumerate() {
                        if part + j < columns.len() {
                            self.add_vector(columns.start + part + j, rows.start + i, count, sum, is_first)
                        }
                    }
                }
            }
        }
    }

    /// Up to a vector of neighbours in a row of the result.
    ///
    /// # Safety
    /// As [`Output::add`].
    #[inline(always)]
    unsafe fn add_vector<V: Lanes>(&self, row: usize, column: usize, count: usize, sum: V, is_first: bool) {
        // SAFETY: the count keeps to elements of the result that belong to the caller, and to the row to start from.
        unsafe {
            let target = self.out.at(row * self.row_stride).wrapping_add(column);
            let before = match self.start {
                Start::Row(values) if is_first => V::load_first(values.as_ptr().wrapping_add(column), count),
                Start::Zero if is_first => V::zero(),
                _ => V::load_first(target, count),
            };
            sum.multiply_add(V::splat(self.scale), before).store_first(target, count);
        }
    }
}
