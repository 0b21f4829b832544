//! The sizes of AVX-512 on plain arrays, so that tests walk through them on every processor.

use super::Lanes;

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
