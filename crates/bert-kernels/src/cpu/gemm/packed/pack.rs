//! Copies of operands in the order in which the register tile reads them.

use super::{COLUMNS, Matrix, ROWS, mask};
use std::arch::x86_64::*;
use std::ops::Range;

/// 32 columns of the right operand from `first` on, zeros beyond its edge: `target` [k, 32].
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn pack_columns(b: Matrix, first: usize, target: &mut [f32]) {
    let count = COLUMNS.min(b.columns - first);
    let lines = Lines { data: b.data, origin: first * b.column_stride, line: b.column_stride, step: b.row_stride };
    // SAFETY: the columns lie in the matrix.
    unsafe { lines.pack::<COLUMNS>(count, 0..b.rows, target) }
}

/// Rows of the left operand, a piece along k, zeros beyond the last row: `target` [k, 14].
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn pack_rows(a: Matrix, rows: Range<usize>, k: Range<usize>, target: &mut [f32]) {
    let lines = Lines { data: a.data, origin: rows.start * a.row_stride, line: a.row_stride, step: a.column_stride };
    // SAFETY: the rows lie in the matrix.
    unsafe { lines.pack::<ROWS>(rows.len(), k, target) }
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
    fn at(&self, line: usize, k: usize) -> usize {
        self.origin + line * self.line + k * self.step
    }

    /// Writes `count` lines and zeros up to WIDTH: `target` [k, WIDTH].
    #[target_feature(enable = "avx512f")]
    unsafe fn pack<const WIDTH: usize>(&self, count: usize, k: Range<usize>, target: &mut [f32]) {
        assert!(target.len() >= WIDTH * k.len());
        if k.is_empty() {
            return;
        }
        assert!(self.at(count - 1, k.end - 1) < self.data.len());
        if self.line == 1 {
            // SAFETY: the last element was found to lie in the data, and masks keep to the lines there are.
            unsafe { self.pack_neighbours::<WIDTH>(count, k, target) }
        } else if self.step == 1 {
            // SAFETY: as above.
            unsafe { self.pack_transposed::<WIDTH>(count, k, target) }
        } else {
            for (target, k) in target.chunks_exact_mut(WIDTH).zip(k) {
                for (line, value) in target.iter_mut().enumerate() {
                    *value = if line < count { self.data[self.at(line, k)] } else { 0.0 };
                }
            }
        }
    }

    /// Lines that lie beside each other: every k is a vector or two in memory already.
    #[target_feature(enable = "avx512f")]
    unsafe fn pack_neighbours<const WIDTH: usize>(&self, count: usize, k: Range<usize>, target: &mut [f32]) {
        for (target, k) in target.chunks_exact_mut(WIDTH).zip(k) {
            let source = self.data.as_ptr().wrapping_add(self.at(0, k));
            for first in (0..WIDTH).step_by(16) {
                let (load, store) = (mask(count.saturating_sub(first)), mask(WIDTH - first));
                // SAFETY: the masks keep the load inside the lines and the store inside the target.
                unsafe {
                    let values = _mm512_maskz_loadu_ps(load, source.wrapping_add(first));
                    _mm512_mask_storeu_ps(target.as_mut_ptr().add(first), store, values);
                }
            }
        }
    }

    /// Lines that run along memory: blocks of 16 lines by 16 elements are transposed in registers.
    #[target_feature(enable = "avx512f")]
    unsafe fn pack_transposed<const WIDTH: usize>(&self, count: usize, k: Range<usize>, target: &mut [f32]) {
        for start in k.clone().step_by(16) {
            let length = 16.min(k.end - start);
            for first in (0..WIDTH).step_by(16) {
                let mut block = [_mm512_setzero_ps(); 16];
                for (i, vector) in block.iter_mut().enumerate() {
                    if first + i < count {
                        let source = self.data.as_ptr().wrapping_add(self.at(first + i, start));
                        // SAFETY: the mask keeps to the elements of this line.
                        *vector = unsafe { _mm512_maskz_loadu_ps(mask(length), source) };
                    }
                }
                let block = transpose(block);
                let store = mask(WIDTH - first);
                for (j, vector) in block.iter().enumerate() {
                    if j < length {
                        let target = target[(start - k.start + j) * WIDTH + first..].as_mut_ptr();
                        // SAFETY: the mask keeps to this row of the target.
                        unsafe { _mm512_mask_storeu_ps(target, store, *vector) };
                    }
                }
            }
        }
    }
}

/// The transpose of 16 x 16 floats: pairs, then fours, inside the quarters of the vectors, then the quarters.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn transpose(rows: [__m512; 16]) -> [__m512; 16] {
    let mut pairs = rows;
    for i in (0..16).step_by(2) {
        pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    // fours[4 g + c]: column c of each quarter, of the rows 4 g .. 4 g + 4.
    let mut fours = pairs;
    for g in (0..16).step_by(4) {
        let double = |i: usize| _mm512_castps_pd(pairs[g + i]);
        let single = |v: __m512d| _mm512_castpd_ps(v);
        fours[g] = single(_mm512_unpacklo_pd(double(0), double(2)));
        fours[g + 1] = single(_mm512_unpackhi_pd(double(0), double(2)));
        fours[g + 2] = single(_mm512_unpacklo_pd(double(1), double(3)));
        fours[g + 3] = single(_mm512_unpackhi_pd(double(1), double(3)));
    }
    // Columns c, 4 + c, 8 + c and 12 + c are quarters 0 to 3 of fours c, 4 + c, 8 + c and 12 + c.
    let mut columns = fours;
    for c in 0..4 {
        let (f0, f1, f2, f3) = (fours[c], fours[4 + c], fours[8 + c], fours[12 + c]);
        let even_low = _mm512_shuffle_f32x4::<0b10_00_10_00>(f0, f1);
        let odd_low = _mm512_shuffle_f32x4::<0b11_01_11_01>(f0, f1);
        let even_high = _mm512_shuffle_f32x4::<0b10_00_10_00>(f2, f3);
        let odd_high = _mm512_shuffle_f32x4::<0b11_01_11_01>(f2, f3);
        columns[c] = _mm512_shuffle_f32x4::<0b10_00_10_00>(even_low, even_high);
        columns[8 + c] = _mm512_shuffle_f32x4::<0b11_01_11_01>(even_low, even_high);
        columns[4 + c] = _mm512_shuffle_f32x4::<0b10_00_10_00>(odd_low, odd_high);
        columns[12 + c] = _mm512_shuffle_f32x4::<0b11_01_11_01>(odd_low, odd_high);
    }
    columns
}
