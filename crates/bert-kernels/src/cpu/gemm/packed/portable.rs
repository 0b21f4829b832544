//! The sizes of AVX-512 and of AMX on plain arrays, so that tests walk through them on every processor.

use super::tile::{Left, Place, Right, Sums, Tile};
use super::{Ahead, Lanes, Matrix};
use std::ops::Range;

/// 16 floats.
#[derive(Clone, Copy)]
pub(in super::super) struct Portable([f32; 16]);

// No method needs more of a processor than any has, or does more with a pointer than its name says.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Portable {
    const COUNT: usize = 16;
    const ROWS: usize = 14;
    const VECTORS: usize = 2;
    const DEPTH: usize = 768;
    const BLOCK: usize = 6 * Self::ROWS;
    const DIRECT: bool = false;
    const WORTH_PACKING: usize = 0;
    type Row = [Self; 2];
    type Sums = [Self::Row; 14];
    type Square = [Self; 16];

    fn are_there() -> bool {
        true
    }
    unsafe fn run<R>(f: impl FnOnce() -> R) -> R {
        f()
    }
    unsafe fn zero() -> Self {
        Self([0.0; 16])
    }
    unsafe fn zero_sums() -> Self::Sums {
        [[Self([0.0; 16]); 2]; 14]
    }
    unsafe fn zero_square() -> Self::Square {
        [Self([0.0; 16]); 16]
    }
    unsafe fn splat(value: f32) -> Self {
        Self([value; 16])
    }
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self::load_first(from, 16) }
    }
    unsafe fn load_row(from: *const f32) -> Self::Row {
        unsafe { [Self::load(from), Self::load(from.add(16))] }
    }
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        Self(std::array::from_fn(|i| if i < count { unsafe { *from.add(i) } } else { 0.0 }))
    }
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), to, count) }
    }
    unsafe fn multiply_add(self, by: Self, onto: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * by.0[i] + onto.0[i]))
    }
    unsafe fn transpose(rows: Self::Square) -> Self::Square {
        std::array::from_fn(|i| Self(std::array::from_fn(|j| rows[j].0[i])))
    }
}

/// Several tiles at once and padded steps, as with AMX. Operands are packed [k, 32].
pub(in super::super) struct Tall;

// As above.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Tile for Tall {
    const ROWS: usize = 32;
    const AT_ONCE: usize = 192;
    const COLUMNS: usize = 32;
    const STEP: usize = 32;
    const DEPTH: usize = 768;
    const BLOCK: usize = 192;
    const DIRECT: bool = false;
    const WORTH_PACKING: usize = 0;
    type Lanes = Portable;

    fn are_there() -> bool {
        true
    }
    unsafe fn run<R>(f: impl FnOnce() -> R) -> R {
        f()
    }
    fn packed(lines: usize, steps: usize) -> usize {
        lines.next_multiple_of(32) * steps.next_multiple_of(32)
    }
    unsafe fn pack_columns(b: Matrix, first: usize, k: Range<usize>, target: &mut [f32]) {
        let columns = first..(first + 32).min(b.columns);
        unsafe { Self::pack_rows(b.t(), columns, k, target) }
    }
    unsafe fn pack_rows(a: Matrix, rows: Range<usize>, k: Range<usize>, target: &mut [f32]) {
        let size = Self::packed(32, k.len());
        for (i, target) in target[..Self::packed(rows.len(), k.len())].iter_mut().enumerate() {
            let (row, step) = (rows.start + i / size * 32 + i % 32, k.start + i % size / 32);
            let is_there = row < rows.end && step < k.end;
            *target = if is_there { a.data[row * a.row_stride + step * a.column_stride] } else { 0.0 };
        }
    }
    unsafe fn multiply<const DIRECT: bool>(
        left: Left,
        right: Right,
        rows: usize,
        steps: usize,
        sums: &mut Sums,
        _: Place,
        _: &mut Ahead,
    ) {
        for (row, sums) in sums.0.chunks_exact_mut(32).take(rows).enumerate() {
            let left = left.data[Self::packed(row / 32 * 32, steps) + row % 32..].iter().step_by(32);
            sums.fill(0.0);
            for (left, right) in left.zip(right.data.chunks_exact(32)).take(Self::packed(32, steps) / 32) {
                sums.iter_mut().zip(right).for_each(|(sum, right)| *sum += left * right);
            }
        }
    }
}
