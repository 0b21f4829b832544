//! Copies of operands in the order in which the register tile reads them.

use super::{LINE, Lanes, Matrix};
use std::ops::Range;

/// [`Lanes::COLUMNS`] columns of the right operand from `first` on, zeros beyond its edge: `target` [k, COLUMNS].
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn pack_columns<V: Lanes>(b: Matrix, first: usize, k: Range<usize>, target: &mut [f32]) {
    let count = V::COLUMNS.min(b.columns - first);
    let lines = Lines { data: b.data, origin: first * b.column_stride, line: b.column_stride, step: b.row_stride };
    // SAFETY: the columns lie in the matrix.
    unsafe { lines.pack::<V>(V::COLUMNS, count, k, target) }
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
        let count = (at_once * V::ROWS).min(rows.end - first);
        let lines = Lines { data: a.data, origin: first * a.row_stride, line: a.row_stride, step: a.column_stride };
        // SAFETY: the rows lie in the matrix.
        unsafe { lines.pack::<V>(V::ROWS, count, k.clone(), target) }
    }
}

/// Several lines that run along k: columns of the right operand, or rows of the left one.
struct Lines<'a> {
    data: &'a [f32],
    /// The first element of the first line.
    origin: usize,
    /// From line to line.
    line: usize,
    /// From element to element along k.
    step: usize,
}

impl Lines<'_> {
    #[inline(always)]
    fn at(&self, line: usize, k: usize) -> usize {
        self.origin + line * self.line + k * self.step
    }

    /// Writes `count` lines and zeros up to `width`: `target` [k, width]; of lines beside each other several panels, [panels, k, width].
    #[inline(always)]
    unsafe fn pack<V: Lanes>(&self, width: usize, count: usize, k: Range<usize>, target: &mut [f32]) {
        assert!(target.len() >= count.next_multiple_of(width) * k.len());
        if k.is_empty() {
            return;
        }
        assert!(self.at(count - 1, k.end - 1) < self.data.len());
        if self.line == 1 {
            // SAFETY: the last element was found to lie in the data, and counts keep to the lines there are.
            unsafe { self.pack_neighbours::<V>(width, count, k, target) }
        } else if self.step == 1 {
            // SAFETY: as above.
            unsafe { self.pack_transposed::<V>(width, count, k, target) }
        } else {
            for (target, k) in target.chunks_exact_mut(width).zip(k) {
                for (line, value) in target.iter_mut().enumerate() {
                    *value = if line < count { self.data[self.at(line, k)] } else { 0.0 };
                }
            }
        }
    }

    /// Lines that lie beside each other: every k is a vector or two a panel in memory already.
    #[inline(always)]
    unsafe fn pack_neighbours<V: Lanes>(&self, width: usize, count: usize, k: Range<usize>, target: &mut [f32]) {
        let size = width * k.len();
        for (i, k) in k.enumerate() {
            let source = self.data.as_ptr().wrapping_add(self.at(0, k));
            for panel in (0..count).step_by(width) {
                let target = target[panel / width * size + i * width..][..width].as_mut_ptr();
                for first in (0..width).step_by(V::COUNT) {
                    let there = count.saturating_sub(panel + first).min(V::COUNT).min(width - first);
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
    unsafe fn pack_transposed<V: Lanes>(&self, width: usize, count: usize, k: Range<usize>, target: &mut [f32]) {
        for start in k.clone().step_by(V::COUNT) {
            let length = V::COUNT.min(k.end - start);
            for first in (0..width).step_by(V::COUNT) {
                // SAFETY: the processor has the instructions.
                let mut square = unsafe { V::zero_square() };
                for (i, vector) in square.as_mut().iter_mut().enumerate() {
                    if first + i < count {
                        let source = self.data.as_ptr().wrapping_add(self.at(first + i, start));
                        // SAFETY: the count keeps to the elements of this line.
                        *vector = unsafe { V::load_first(source, length) };
                    }
                }
                // SAFETY: the processor has the instructions.
                let square = unsafe { V::transpose(square) };
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
