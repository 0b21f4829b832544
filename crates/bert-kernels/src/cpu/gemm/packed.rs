//! Matrix multiplication on packed operands, tile by tile (Goto & van de Geijn, 2008), for AMX, AVX-512 and AVX2.
//!
//! Each element of the result is summed over k in one fixed order, whatever the threads and however the work is cut.

use super::{Matrix, Multiply, Start};
use crate::cpu::Shared;
use ahead::Ahead;
use buffer::{Buffer, LEFT, RIGHT};
use rayon::prelude::*;
use std::ops::Range;
use tile::{Left, Right, Sums};

mod ahead;
mod amx;
mod buffer;
mod fma;
mod lanes;
mod output;
mod pack;
#[cfg(test)]
mod portable;
mod tile;

pub(super) use amx::Amx;
pub(super) use fma::Fma;
use lanes::Lanes;
pub(super) use lanes::{Avx2, Avx512};
pub(super) use output::Output;
#[cfg(test)]
pub(super) use portable::{Portable, Tall};
pub(super) use tile::Tile;

/// Floats in a cache line.
const LINE: usize = 16;
/// Floats of the right operand that are packed at once, for all tasks: 8 MiB, a share of the last-level cache.
const SHARED_FLOATS: usize = 2 << 20;

/// The fastest way to multiply on this processor where the smaller of a product's inner and outer size is `least`; none where packing
/// costs more than it gains, or there is nothing to gain with.
pub(super) fn of_this_processor(least: usize) -> Option<Multiply> {
    of_amx(least).or_else(|| of_vectors(least))
}

/// The same by AMX alone.
pub(super) fn of_amx(least: usize) -> Option<Multiply> {
    worth::<Amx>(least)
}

/// The same by vectors of multiply-adds alone.
pub(super) fn of_vectors(least: usize) -> Option<Multiply> {
    worth::<Fma<Avx512>>(least).or_else(|| worth::<Fma<Avx2>>(least))
}

fn worth<T: Tile>(least: usize) -> Option<Multiply> {
    (least >= T::WORTH_PACKING && T::are_there()).then_some(multiply::<T>)
}

/// `out = start + scale * a b` with up to `threads` tasks at once.
///
/// # Safety
/// The processor has the vectors, and the a.rows x b.columns elements at `out`, rows `row_stride` apart, belong to the caller.
pub(super) unsafe fn multiply<T: Tile>(
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
    let output = Output { out: Shared::from_pointer(out), row_stride, start, scale, swapped };
    let product = Product { output, threads };
    // SAFETY: the caller's promise.
    unsafe { if swapped { product.compute::<T>(b.t(), a.t()) } else { product.compute::<T>(a, b) } }
}

/// A product on its way.
pub(super) struct Product<'a> {
    pub output: Output<'a>,
    pub threads: usize,
}

impl Product<'_> {
    /// # Safety
    /// As [`multiply`].
    pub(super) unsafe fn compute<T: Tile>(&self, a: Matrix, b: Matrix) {
        let depth = a.columns;
        let piece = depth.div_ceil(depth.div_ceil(T::DEPTH).max(1)).max(1).next_multiple_of(T::STEP); // all of equal length
        let panel = T::packed(T::COLUMNS, piece);
        let panels_at_once = (SHARED_FLOATS / panel).clamp(1, b.columns.div_ceil(T::COLUMNS).max(1));
        let columns_at_once = panels_at_once * T::COLUMNS;
        let slab = (SHARED_FLOATS / (panels_at_once * panel)).max(1) * piece;
        let mut packed = Buffer::take(&RIGHT, panels_at_once * T::packed(T::COLUMNS, slab.min(depth)));
        for first in (0..b.columns).step_by(columns_at_once) {
            let columns = columns_at_once.min(b.columns - first);
            // Without depth there is nothing to multiply, but still something to start from.
            for k in (0..depth.max(1)).step_by(slab) {
                let k = k..(k + slab).min(depth);
                let right = &mut packed.floats()[..columns.div_ceil(T::COLUMNS) * T::packed(T::COLUMNS, k.len())];
                // SAFETY: the caller's promise.
                unsafe { self.add_slab::<T>(a, b, Slab { first, columns, k, piece }, right) }
            }
        }
        packed.give_back(&RIGHT);
    }

    /// Packs a slab of the right operand and adds its product with all of the left one.
    ///
    /// # Safety
    /// As [`multiply`].
    unsafe fn add_slab<T: Tile>(&self, a: Matrix, b: Matrix, slab: Slab, right: &mut [f32]) {
        let pack = |(panel, target): (usize, &mut [f32])| {
            // SAFETY: the processor has the vectors.
            unsafe {
                T::run(
                    #[inline(always)]
                    || T::pack_columns(b, slab.first + panel * T::COLUMNS, slab.k.clone(), target),
                )
            }
        };
        let panel_size = T::packed(T::COLUMNS, slab.k.len()).max(1);
        if self.threads > 1 {
            right.par_chunks_mut(panel_size).enumerate().for_each(pack);
        } else {
            right.chunks_mut(panel_size).enumerate().for_each(pack);
        }
        let grid = Grid::new::<T>(a.rows, slab.columns.div_ceil(T::COLUMNS), self.threads);
        let tiles = Tiles { output: &self.output, right: &*right, slab: &slab };
        let task = |index: usize| {
            let (rows, panels) = grid.task(index);
            // SAFETY: the processor has the vectors, and tasks write tiles that do not overlap.
            unsafe {
                T::run(
                    #[inline(always)]
                    || tiles.compute::<T>(a, rows, panels),
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
    fn new<T: Tile>(rows: usize, panels: usize, threads: usize) -> Self {
        let row_panels = rows.div_ceil(T::ROWS);
        let blocks = rows.div_ceil(T::BLOCK).max(1);
        // Equal shares for all threads, so that none waits for another's last piece.
        let (blocks, groups) = match row_panels >= 8 * threads {
            true => (blocks.next_multiple_of(threads), 1),
            false if threads > 1 => (blocks, panels.min(4 * threads)),
            false => (blocks, 1),
        };
        Self { rows, row_panels, tile: T::ROWS, panels, blocks, groups }
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
    output: &'a Output<'a>,
    /// Panels of columns, the slab's k one after the other.
    right: &'a [f32],
    slab: &'a Slab,
}

impl Tiles<'_> {
    #[inline(always)]
    unsafe fn compute<T: Tile>(&self, a: Matrix, rows: Range<usize>, panels: Range<usize>) {
        let mut left = Buffer::take(&LEFT, T::packed(T::BLOCK, T::DEPTH));
        let mut sums = Sums::new();
        let direct = T::DIRECT && a.column_stride == 1;
        let Slab { k: slab, piece, .. } = self.slab;
        for block in rows.clone().step_by(T::BLOCK) {
            let block = block..(block + T::BLOCK).min(rows.end);
            for k in (slab.start..slab.end.max(slab.start + 1)).step_by(*piece) {
                let k = k..(k + piece).min(slab.end);
                // Only tiles of all rows are read where they lie: behind the last row there may be nothing to read.
                let whole = if direct { block.len() / T::ROWS * T::ROWS } else { 0 };
                // SAFETY: the processor has the instructions.
                unsafe { T::pack_rows(a, block.start + whole..block.end, k.clone(), left.floats()) }
                // The next piece of these rows, or the first one of the rows below, which this thread most often does next.
                let mut ahead = match k.end < slab.end {
                    true => Ahead::of_rows(a, block.clone(), k.end..(k.end + piece).min(slab.end)),
                    false => {
                        let below = block.end..(block.end + T::BLOCK).min(a.rows);
                        Ahead::of_rows(a, below, slab.start..(slab.start + piece).min(slab.end))
                    }
                };
                for panel in panels.clone() {
                    let size = T::packed(T::COLUMNS, slab.len());
                    let first = panel * size + T::packed(T::COLUMNS, k.start - slab.start);
                    let columns = panel * T::COLUMNS..((panel + 1) * T::COLUMNS).min(self.slab.columns);
                    for row in block.clone().step_by(T::AT_ONCE) {
                        let right =
                            Right { data: &self.right[first..], next: self.right.as_ptr().wrapping_add(first + size) };
                        let rows = row..(row + T::AT_ONCE).min(block.end);
                        let piece = Piece { rows, columns: columns.clone(), k: k.clone() };
                        // SAFETY: the tiles lie in the result and belong to this task.
                        unsafe {
                            if row < block.start + whole {
                                let left = Left { data: &a.data[row * a.row_stride + k.start..], line: a.row_stride };
                                self.multiply::<T, true>(left, right, piece, &mut sums, &mut ahead)
                            } else {
                                let left = &left.floats()[T::packed(row - block.start - whole, k.len())..];
                                let left = Left { data: left, line: 1 };
                                self.multiply::<T, false>(left, right, piece, &mut sums, &mut ahead)
                            }
                        }
                    }
                }
            }
        }
        left.give_back(&LEFT);
    }

    /// Tiles over a piece along k, added to what the pieces before it left.
    #[inline(always)]
    unsafe fn multiply<T: Tile, const DIRECT: bool>(
        &self,
        left: Left,
        right: Right,
        Piece { rows, columns, k }: Piece,
        sums: &mut Sums,
        ahead: &mut Ahead,
    ) {
        let columns = self.slab.first + columns.start..self.slab.first + columns.end;
        let place = self.output.place(rows.start, columns.start);
        // SAFETY: the processor has the instructions, and the tiles belong to the caller.
        unsafe {
            T::multiply::<DIRECT>(left, right, rows.len(), k.len(), sums, place, ahead);
            self.output.add::<T::Lanes>(sums, T::COLUMNS, rows, columns, k.start == 0)
        }
    }
}

/// Rows and columns, of the left operand and of the slab, that are multiplied at once, and where along k.
struct Piece {
    rows: Range<usize>,
    columns: Range<usize>,
    k: Range<usize>,
}
