//! Copies of operands in the order in which the register tile reads them.

use super::{LINE, Lanes, Matrix};
use std::ops::Range;

/// [`Lanes::COLUMNS`] columns of the right operand from `first` on, zeros beyond its edge: `target` [k, COLUMNS].
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn pack_columns<V: Lanes>(b: Matrix, first: usize, k: Range<usize>, target: &mut [f32]) {
    let lines = Lines::of_columns(b, first..(first + V::COLUMNS).min(b.columns));
    // SAFETY: the caller's promise.
    unsafe { lines.pack::<V>(V::COLUMNS, k, target) }
}

/// Rows of the left operand, a piece along k, zeros beyond the last row: `target` [panels, k, ROWS].
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn pack_rows<V: Lanes>(a: Matrix, rows: Range<usize>, k: Range<usize>, target: &mut [f32]) {
    let size = V::ROWS * k.len().max(1);
    // Rows that lie beside each other: as many panels at once as share cache lines, or every line would be loaded once a panel.
    let at_once = if a.row_stride == 1 { (LINE / V::ROWS).max(1) } else { 1 };
    for (first, target) in rows.clone().step_by(at_once * V::ROWS).zip(target.chunks_mut(at_once * size)) {
        let lines = Lines::of_rows(a, first..(first + at_once * V::ROWS).min(rows.end));
        // SAFETY: the caller's promise.
        unsafe { lines.pack::<V>(V::ROWS, k.clone(), target) }
    }
}

/// Several lines that run along k: columns of the right operand, or rows of the left one. As in every [`Matrix`], either the elements of
/// a line or the lines lie beside each other.
pub(super) struct Lines<'a> {
    data: &'a [f32],
    /// The first element of the first line.
    origin: usize,
    count: usize,
    /// From line to line.
    line: usize,
    /// From element to element along k.
    step: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn of_columns(b: Matrix<'a>, columns: Range<usize>) -> Self {
        Self::of_rows(b.t(), columns)
    }

    pub(super) fn of_rows(a: Matrix<'a>, rows: Range<usize>) -> Self {
        let origin = rows.start * a.row_stride;
        Self { data: a.data, origin, count: rows.len(), line: a.row_stride, step: a.column_stride }
    }

    fn at(&self, line: usize, k: usize) -> usize {
        self.origin + line * self.line + k * self.step
    }

    /// Panics where the lines up to `steps` along k are not all in the data, or are none.
    pub(super) fn assert_inside(&self, steps: usize) {
        assert!(self.at(self.count - 1, steps - 1) < self.data.len());
    }

    /// Vectors of up to as many steps, or lines, from `line` and `k.start` on, zeros beyond: a vector is a line's steps (`ALONG` k) or a
    /// step of all lines.
    ///
    /// # Safety
    /// The processor has the instructions, and the lines are inside of the data up to `k.end`.
    #[inline(always)]
    pub(super) unsafe fn square<V: Lanes, const ALONG: bool>(&self, line: usize, k: Range<usize>) -> V::Square {
        let (lines, steps) = (self.count.saturating_sub(line).min(V::COUNT), k.len().min(V::COUNT));
        let runs_along = self.step == 1;
        let (vectors, length, apart) = if runs_along { (lines, steps, self.line) } else { (steps, lines, self.step) };
        let source = self.data.as_ptr().wrapping_add(self.at(line, k.start));
        // SAFETY: the counts keep to the lines and steps there are.
        unsafe {
            let mut square = V::zero_square();
            if vectors == V::COUNT && length == V::COUNT {
                for (i, vector) in square.as_mut().iter_mut().enumerate() {
                    *vector = V::load(source.wrapping_add(i * apart));
                }
            } else {
                for (i, vector) in square.as_mut().iter_mut().enumerate().take(vectors) {
                    *vector = V::load_first(source.wrapping_add(i * apart), length);
                }
            }
            if runs_along == ALONG { square } else { V::transpose(square) }
        }
    }

    /// Writes all lines and zeros up to `width`: `target` [k, width]; of lines beside each other several panels, [panels, k, width].
    #[inline(always)]
    unsafe fn pack<V: Lanes>(&self, width: usize, k: Range<usize>, target: &mut [f32]) {
        assert!(target.len() >= self.count.next_multiple_of(width) * k.len());
        if k.is_empty() {
            return;
        }
        self.assert_inside(k.end);
        // SAFETY: the lines were found to lie in the data.
        unsafe {
            if self.line == 1 {
                self.pack_neighbours::<V>(width, k, target)
            } else {
                self.pack_transposed::<V>(width, k, target)
            }
        }
    }

    /// Lines that lie beside each other: every k is a vector or two a panel in memory already.
    #[inline(always)]
    unsafe fn pack_neighbours<V: Lanes>(&self, width: usize, k: Range<usize>, target: &mut [f32]) {
        let size = width * k.len();
        for (i, k) in k.enumerate() {
            let source = self.data.as_ptr().wrapping_add(self.at(0, k));
            for panel in (0..self.count).step_by(width) {
                let target = target[panel / width * size + i * width..][..width].as_mut_ptr();
                for first in (0..width).step_by(V::COUNT) {
                    let there = self.count.saturating_sub(panel + first).min(V::COUNT).min(width - first);
                    // SAFETY: the counts keep the load inside the lines and the store inside the target.
                    unsafe {
                        let values = V::load_first(source.wrapping_add(panel + first), there);
                        values.store_first(target.add(first), V::COUNT.min(width - first));
                    }
                }
            }
        }
    }

    /// Lines that run along memory: squares of lines by elements are transposed in registers.
    #[inline(always)]
    unsafe fn pack_transposed<V: Lanes>(&self, width: usize, k: Range<usize>, target: &mut [f32]) {
        for start in k.clone().step_by(V::COUNT) {
            let length = V::COUNT.min(k.end - start);
            for first in (0..width).step_by(V::COUNT) {
                // SAFETY: the caller's promise.
                let square = unsafe { self.square::<V, false>(first, start..k.end) };
                for (j, vector) in square.as_ref().iter().enumerate() {
                    if j < length {
                        let target = target[(start - k.start + j) * width + first..].as_mut_ptr();
                        // SAFETY: the count keeps to this row of the target.
                        unsafe { vector.store_first(target, V::COUNT.min(width - first)) };
                    }
                }
            }
        }
    }
}
