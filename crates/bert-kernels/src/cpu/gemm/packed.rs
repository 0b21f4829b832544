//! Matrix multiplication on packed operands in register tiles (Goto & van de Geijn, 2008), for AVX-512 and for AVX2.
//!
//! Each element of the result is summed over k in one fixed order, whatever the threads and however the work is cut.

use super::{Matrix, Start};
use crate::cpu::Shared;
use ahead::Ahead;
use buffer::{Buffer, LEFT, RIGHT};
use pack::{pack_columns, pack_rows};
use rayon::prelude::*;
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::ops::Range;

mod ahead;
mod buffer;
mod lanes;
mod pack;
#[cfg(test)]
mod portable;

pub(super) use lanes::{Avx2, Avx512, Lanes};
#[cfg(test)]
pub(super) use portable::Portable;

/// Steps along k for each line that is fetched of what comes next: one every hundred cycles.
const STEPS: usize = 4;
/// How many steps ahead of their use the floats of a panel are fetched.
const AHEAD: usize = 12;
/// Floats in a cache line.
const LINE: usize = 16;
/// Floats of the right operand that are packed at once, for all tasks: 8 MiB, a share of the last-level cache.
const SHARED_FLOATS: usize = 2 << 20;

/// What multiplies on this processor where the smaller of a product's inner and outer size is `least`; none where packing costs more
/// than it gains, or there are no vectors to gain with.
pub(super) fn of_this_processor(least: usize) -> Option<super::Multiply> {
    if Avx512::are_there() {
        (least >= Avx512::WORTH_PACKING).then_some(multiply::<Avx512> as super::Multiply)
    } else {
        (least >= Avx2::WORTH_PACKING && Avx2::are_there()).then_some(multiply::<Avx2> as super::Multiply)
    }
}

/// `out = start + scale * a b` with up to `threads` tasks at once.
///
/// # Safety
/// The processor has the vectors, and the a.rows x b.columns elements at `out`, rows `row_stride` apart, belong to the caller.
pub(super) unsafe fn multiply<V: Lanes>(
    out: *mut f32,
    row_stride: usize,
    start: Start,
    scale: f32,
    a: Matrix,
    b: Matrix,
    threads: usize,
) {
    // The right operand is packed whole and read again from the last-level cache; of the left one each task packs pieces that stay in
    // its own. So the larger one had better be the left one (measured, `docs/performance.md`).
    let swapped = a.rows < b.columns;
    let product = Product { out: Shared::from_pointer(out), row_stride, start, scale, threads, swapped };
    // SAFETY: the caller's promise.
    unsafe { if swapped { product.compute::<V>(b.t(), a.t()) } else { product.compute::<V>(a, b) } }
}

/// What a product is for.
pub(super) struct Product<'a> {
    pub out: Shared,
    pub row_stride: usize,
    pub start: Start<'a>,
    pub scale: f32,
    pub threads: usize,
    /// Whether the transpose is written: the operands are `b^T` and `a^T`.
    pub swapped: bool,
}

impl Product<'_> {
    /// # Safety
    /// As [`multiply`].
    pub(super) unsafe fn compute<V: Lanes>(&self, a: Matrix, b: Matrix) {
        let depth = a.columns;
        let piece = depth.div_ceil(depth.div_ceil(V::DEPTH).max(1)).max(1); // all of equal length
        let columns_at_once = (SHARED_FLOATS / piece / V::COLUMNS).max(1) * V::COLUMNS;
        let padded = columns_at_once.min(b.columns.next_multiple_of(V::COLUMNS));
        let slab = (SHARED_FLOATS / (piece * padded.max(1))).max(1) * piece;
        let mut packed = Buffer::take(&RIGHT, slab.min(depth) * padded);
        for first in (0..b.columns).step_by(columns_at_once) {
            let columns = columns_at_once.min(b.columns - first);
            // Without depth there is nothing to multiply, but still something to start from.
            for k in (0..depth.max(1)).step_by(slab) {
                let k = k..(k + slab).min(depth);
                let right = &mut packed.floats()[..columns.next_multiple_of(V::COLUMNS) * k.len()];
                // SAFETY: the caller's promise.
                unsafe { self.add_slab::<V>(a, b, Slab { first, columns, k, piece }, right) }
            }
        }
        packed.give_back(&RIGHT);
    }

    /// Packs a slab of the right operand and adds its product with all of the left one.
    ///
    /// # Safety
    /// As [`multiply`].
    unsafe fn add_slab<V: Lanes>(&self, a: Matrix, b: Matrix, slab: Slab, right: &mut [f32]) {
        let pack = |(panel, target): (usize, &mut [f32])| {
            // SAFETY: the processor has the vectors.
            unsafe {
                V::run(
                    #[inline(always)]
                    || pack_columns::<V>(b, slab.first + panel * V::COLUMNS, slab.k.clone(), target),
                )
            }
        };
        let panel_size = (V::COLUMNS * slab.k.len()).max(1);
        if self.threads > 1 {
            right.par_chunks_mut(panel_size).enumerate().for_each(pack);
        } else {
            right.chunks_mut(panel_size).enumerate().for_each(pack);
        }
        let grid = Grid::new::<V>(a.rows, slab.columns.div_ceil(V::COLUMNS), self.threads);
        let tiles = Tiles { product: self, right: &*right, slab: &slab };
        let task = |index: usize| {
            let (rows, panels) = grid.task(index);
            // SAFETY: the processor has the vectors, and tasks write tiles that do not overlap.
            unsafe {
                V::run(
                    #[inline(always)]
                    || tiles.compute::<V>(a, rows, panels),
                )
            }
        };
        if self.threads > 1 {
            (0..grid.tasks()).into_par_iter().for_each(task);
        } else {
            (0..grid.tasks()).for_each(task);
        }
    }
}

/// The part of the right operand that is packed at once.
struct Slab {
    /// Its first column in the result, and how many there are.
    first: usize,
    columns: usize,
    k: Range<usize>,
    /// Length of the pieces along k.
    piece: usize,
}

/// How the result is cut into tasks: blocks of rows, and where those are too few, groups of column panels instead.
struct Grid {
    rows: usize,
    row_panels: usize,
    /// Rows of the register tile.
    tile: usize,
    panels: usize,
    blocks: usize,
    groups: usize,
}

impl Grid {
    fn new<V: Lanes>(rows: usize, panels: usize, threads: usize) -> Self {
        let row_panels = rows.div_ceil(V::ROWS);
        let blocks = rows.div_ceil(V::BLOCK).max(1);
        // Equal shares for all threads, so that none waits for another's last piece.
        let (blocks, groups) = match row_panels >= 8 * threads {
            true => (blocks.next_multiple_of(threads), 1),
            false if threads > 1 => (blocks, panels.min(4 * threads)),
            false => (blocks, 1),
        };
        Self { rows, row_panels, tile: V::ROWS, panels, blocks, groups }
    }

    fn tasks(&self) -> usize {
        self.blocks * self.groups
    }

    /// Rows of the result, and panels of the right operand.
    fn task(&self, index: usize) -> (Range<usize>, Range<usize>) {
        let (block, group) = (index / self.groups, index % self.groups);
        let row = |block: usize| (block * self.row_panels / self.blocks * self.tile).min(self.rows);
        let panel = |group: usize| group * self.panels / self.groups;
        (row(block)..row(block + 1), panel(group)..panel(group + 1))
    }
}

/// What all tasks of a slab share.
struct Tiles<'a> {
    product: &'a Product<'a>,
    /// Panels of columns, each [k of the slab, COLUMNS].
    right: &'a [f32],
    slab: &'a Slab,
}

/// The left operand's share of a tile: packed [k, ROWS], or rows where they lie, `line` apart.
struct Left<'a> {
    data: &'a [f32],
    line: usize,
}

impl Tiles<'_> {
    #[inline(always)]
    unsafe fn compute<V: Lanes>(&self, a: Matrix, rows: Range<usize>, panels: Range<usize>) {
        let mut left = Buffer::take(&LEFT, V::BLOCK * V::DEPTH);
        let direct = V::DIRECT && a.column_stride == 1;
        let Slab { k: slab, piece, .. } = self.slab;
        for block in rows.clone().step_by(V::BLOCK) {
            let block = block..(block + V::BLOCK).min(rows.end);
            for k in (slab.start..slab.end.max(slab.start + 1)).step_by(*piece) {
                let k = k..(k + piece).min(slab.end);
                // Only tiles of all rows are read where they lie: behind the last row there may be nothing to read.
                let whole = if direct { block.len() / V::ROWS * V::ROWS } else { 0 };
                // SAFETY: the processor has the vectors.
                unsafe { pack_rows::<V>(a, block.start + whole..block.end, k.clone(), left.floats()) }
                // The next piece of these rows, or the first one of the rows below, which this thread most often does next.
                let mut ahead = match k.end < slab.end {
                    true => Ahead::new(a, block.clone(), k.end..(k.end + piece).min(slab.end)),
                    false => {
                        let below = block.end..(block.end + V::BLOCK).min(a.rows);
                        Ahead::new(a, below, slab.start..(slab.start + piece).min(slab.end))
                    }
                };
                for panel in panels.clone() {
                    let right = &self.right[(panel * slab.len() + k.start - slab.start) * V::COLUMNS..];
                    for row in block.clone().step_by(V::ROWS) {
                        let (rows, column) = (row..(row + V::ROWS).min(block.end), panel * V::COLUMNS);
                        // SAFETY: the tile lies in the result and belongs to this task.
                        unsafe {
                            if row < block.start + whole {
                                let left = Left { data: &a.data[row * a.row_stride + k.start..], line: a.row_stride };
                                self.tile::<V, true>(left, right, k.clone(), rows, column, &mut ahead)
                            } else {
                                let left = &left.floats()[(row - block.start - whole) * k.len()..];
                                let left = Left { data: left, line: 1 };
                                self.tile::<V, false>(left, right, k.clone(), rows, column, &mut ahead)
                            }
                        }
                    }
                }
            }
        }
        left.give_back(&LEFT);
    }

    /// One register tile: a piece along k, added to what the pieces before it left. Meanwhile lines of what comes next are fetched.
    #[inline(always)]
    unsafe fn tile<V: Lanes, const DIRECT: bool>(
        &self,
        left: Left,
        right: &[f32],
        k: Range<usize>,
        rows: Range<usize>,
        column: usize,
        ahead: &mut Ahead,
    ) {
        let last = if DIRECT { (V::ROWS - 1) * left.line + k.len() } else { k.len() * V::ROWS };
        assert!(left.data.len() >= last && right.len() >= k.len() * V::COLUMNS);
        let (mut l, mut r) = (left.data.as_ptr(), right.as_ptr());
        let first_target = self.place(rows.start, self.slab.first + column);
        // SAFETY: the processor has the vectors; fetching ahead may point anywhere.
        let mut sums = unsafe {
            let (lines, length) = if self.product.swapped { (V::COLUMNS, V::ROWS) } else { (V::ROWS, V::COLUMNS) };
            for line in 0..lines {
                let line = first_target.wrapping_add(line * self.product.row_stride);
                _mm_prefetch::<_MM_HINT_T0>(line.cast());
                _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(length - 1).cast());
            }
            V::zero_sums()
        };
        for _ in 0..k.len() / STEPS {
            ahead.fetch();
            for _ in 0..STEPS {
                // SAFETY: both pieces are as long as the assertion says.
                unsafe { step::<V, DIRECT>(&mut sums, &mut l, left.line, &mut r) }
            }
        }
        for _ in 0..k.len() % STEPS {
            // SAFETY: as above.
            unsafe { step::<V, DIRECT>(&mut sums, &mut l, left.line, &mut r) }
        }
        let (count, is_first) = (self.slab.columns - column, k.start == 0);
        let column = self.slab.first + column;
        if self.product.swapped {
            for part in 0..V::VECTORS {
                // SAFETY: the processor has the vectors.
                let mut square = unsafe { V::zero_square() };
                for (vector, sums) in square.as_mut().iter_mut().zip(sums.as_ref()) {
                    *vector = sums.as_ref()[part];
                }
                // SAFETY: as above.
                let square = unsafe { V::transpose(square) };
                for (j, &sum) in square.as_ref().iter().enumerate() {
                    let j = part * V::COUNT + j;
                    if j < count {
                        // SAFETY: the target is the caller's promise.
                        unsafe { self.add(column + j, rows.start, rows.len(), sum, is_first) }
                    }
                }
            }
        } else {
            for (i, sums) in sums.as_ref().iter().enumerate() {
                if i < rows.len() {
                    for (part, &sum) in sums.as_ref().iter().enumerate() {
                        let count = count.saturating_sub(part * V::COUNT).min(V::COUNT);
                        // SAFETY: as above.
                        unsafe { self.add(rows.start + i, column + part * V::COUNT, count, sum, is_first) }
                    }
                }
            }
        }
    }

    /// Where the result of a tile begins.
    #[inline(always)]
    fn place(&self, row: usize, column: usize) -> *mut f32 {
        let offset = if self.product.swapped {
            column * self.product.row_stride + row
        } else {
            row * self.product.row_stride + column
        };
        // SAFETY: the tile lies in the result.
        unsafe { self.product.out.at(offset) }
    }

    /// Adds up to a vector of neighbours in a row of the output to what was there, or for the first piece along k to what the product
    /// starts from.
    #[inline(always)]
    unsafe fn add<V: Lanes>(&self, row: usize, column: usize, count: usize, sum: V, is_first: bool) {
        if count == 0 {
            return;
        }
        // SAFETY: the count keeps to elements of the output that belong to this task, and to the row to start from.
        unsafe {
            let target = self.product.out.at(row * self.product.row_stride).wrapping_add(column);
            let before = match self.product.start {
                Start::Row(values) if is_first => V::load_first(values.as_ptr().wrapping_add(column), count),
                Start::Zero if is_first => V::zero(),
                _ => V::load_first(target, count),
            };
            sum.multiply_add(V::splat(self.product.scale), before).store_first(target, count);
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
