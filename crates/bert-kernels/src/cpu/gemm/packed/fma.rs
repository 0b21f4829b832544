//! Tiles of fused multiply-adds in vector registers.

use super::pack::{pack_columns, pack_rows};
use super::tile::{Left, Place, Right, Sums, Tile};
use super::{Ahead, LINE, Lanes, Matrix};
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::marker::PhantomData;
use std::ops::Range;

/// Steps along k for each line that is fetched of what comes next: one every hundred cycles.
const STEPS: usize = 4;
/// How many steps ahead of their use the floats of a panel are fetched.
const AHEAD: usize = 12;

/// The register tile of vectors: both operands packed [k, lines of the tile].
pub(in super::super) struct Fma<V>(PhantomData<V>);

impl<V: Lanes> Tile for Fma<V> {
    const ROWS: usize = V::ROWS;
    const AT_ONCE: usize = V::ROWS;
    const COLUMNS: usize = V::COLUMNS;
    const STEP: usize = 1;
    const DEPTH: usize = V::DEPTH;
    const BLOCK: usize = V::BLOCK;
    const DIRECT: bool = V::DIRECT;
    const WORTH_PACKING: usize = V::WORTH_PACKING;
    type Lanes = V;

    fn are_there() -> bool {
        V::are_there()
    }
    #[inline(always)]
    unsafe fn run<R>(f: impl FnOnce() -> R) -> R {
        // SAFETY: the caller's promise.
        unsafe { V::run(f) }
    }
    fn packed(lines: usize, steps: usize) -> usize {
        lines * steps
    }
    #[inline(always)]
    unsafe fn pack_columns(b: Matrix, first: usize, k: Range<usize>, target: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe { pack_columns::<V>(b, first, k, target) }
    }
    #[inline(always)]
    unsafe fn pack_rows(a: Matrix, rows: Range<usize>, k: Range<usize>, target: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe { pack_rows::<V>(a, rows, k, target) }
    }
    #[inline(always)]
    unsafe fn multiply<const DIRECT: bool>(
        left: Left,
        right: Right,
        _rows: usize,
        steps: usize,
        sums: &mut Sums,
        place: Place,
        ahead: &mut Ahead,
    ) {
        let last = if DIRECT { (V::ROWS - 1) * left.line + steps } else { steps * V::ROWS };
        assert!(left.data.len() >= last && right.data.len() >= steps * V::COLUMNS);
        place.fetch(V::ROWS, V::COLUMNS);
        // SAFETY: the processor has the vectors, and both pieces are as long as was asserted.
        unsafe {
            V::run(
                #[inline(always)]
                || multiply::<V, DIRECT>(left, right.data.as_ptr(), steps, sums, ahead),
            )
        }
    }
}

/// A register tile over `steps` along k. It runs as a function of its own and its sums go through memory: with more around it, or an
/// index into the sums that is not constant, the compiler would keep them in memory all the time.
///
/// # Safety
/// The processor has the vectors, and both operands have as many steps.
#[inline(always)]
unsafe fn multiply<V: Lanes, const DIRECT: bool>(
    left: Left,
    mut right: *const f32,
    steps: usize,
    sums: &mut Sums,
    ahead: &mut Ahead,
) {
    let (mut data, line) = (left.data.as_ptr(), left.line);
    // SAFETY: the caller's promise; a row of the tile is as long as its vectors together.
    unsafe {
        let mut tile = V::zero_sums();
        for _ in 0..steps / STEPS {
            ahead.fetch();
            for _ in 0..STEPS {
                step::<V, DIRECT>(&mut tile, &mut data, line, &mut right);
            }
        }
        for _ in 0..steps % STEPS {
            step::<V, DIRECT>(&mut tile, &mut data, line, &mut right);
        }
        for (row, target) in tile.as_ref().iter().zip(sums.0.chunks_exact_mut(V::COLUMNS)) {
            for (sum, target) in row.as_ref().iter().zip(target.chunks_exact_mut(V::COUNT)) {
                sum.store_first(target.as_mut_ptr(), V::COUNT);
            }
        }
    }
}

/// One step along k: a column of the left piece times a row of the right one.
///
/// # Safety
/// The processor has the vectors, and a step is left of both pieces.
#[inline(always)]
unsafe fn step<V: Lanes, const DIRECT: bool>(
    sums: &mut V::Sums,
    left: &mut *const f32,
    line: usize,
    right: &mut *const f32,
) {
    let (l, r) = (*left, *right);
    // SAFETY: the caller's promise; fetching ahead may point anywhere.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(r.wrapping_add(AHEAD * V::COLUMNS).cast());
        if V::COLUMNS > LINE {
            _mm_prefetch::<_MM_HINT_T0>(r.wrapping_add(AHEAD * V::COLUMNS + LINE).cast());
        }
        let columns = V::load_row(r);
        for (i, sums) in sums.as_mut().iter_mut().enumerate() {
            let row = V::splat(*l.add(if DIRECT { i * line } else { i }));
            for (sum, &column) in sums.as_mut().iter_mut().zip(columns.as_ref()) {
                *sum = row.multiply_add(column, *sum);
            }
        }
        *left = l.add(if DIRECT { 1 } else { V::ROWS });
        *right = r.add(V::COLUMNS);
    }
}
