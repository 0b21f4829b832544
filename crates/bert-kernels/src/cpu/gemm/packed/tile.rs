//! What the driver of packed products asks of a way to multiply.

use super::{Ahead, Lanes, Matrix};
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::ops::Range;

/// The most floats in the tiles that are multiplied at once.
const TILES_FLOATS: usize = 192 * 32;

/// The sums of tiles over a piece along k: [AT_ONCE, COLUMNS].
#[repr(align(64))]
pub(in super::super) struct Sums(pub [f32; TILES_FLOATS]);

impl Sums {
    pub(super) fn new() -> Self {
        Self([0.0; TILES_FLOATS])
    }
}

/// The left operand's share of a tile: packed, or rows where they lie, `line` apart.
pub(in super::super) struct Left<'a> {
    pub data: &'a [f32],
    pub line: usize,
}

/// The right operand's share of a tile: a piece along k of a packed panel, and that of the panel which follows.
pub(in super::super) struct Right<'a> {
    pub data: &'a [f32],
    pub next: *const f32,
}

/// Where the sums will be written.
pub(in super::super) struct Place {
    pub first: *const f32,
    /// Floats from row to row of the result.
    pub row_stride: usize,
    /// Floats from row to row of the tiles: those may be columns of the result.
    pub tile_stride: usize,
}

impl Place {
    /// Fetches the lines of one tile.
    #[inline(always)]
    pub(super) fn fetch(&self, rows: usize, columns: usize) {
        let (lines, length) = if self.tile_stride == 1 { (columns, rows) } else { (rows, columns) };
        for line in 0..lines {
            let first = self.first.wrapping_add(line * self.row_stride);
            // SAFETY: fetching ahead may point anywhere.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(first.cast());
                _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(length - 1).cast());
            }
        }
    }
}

/// A tile of the result, computed from packed operands, with the sizes that suit the processors that have it.
///
/// # Safety
/// The methods that are `unsafe` need a processor on which [`Tile::are_there`] is true, and all but [`Tile::run`] run inside of that.
pub(in super::super) trait Tile {
    const ROWS: usize;
    /// Rows of the tiles, one below the other, that [`Tile::multiply`] takes at once.
    const AT_ONCE: usize;
    const COLUMNS: usize;
    /// What pieces along k are padded to a multiple of.
    const STEP: usize;
    /// Longest packed piece along k: the output is read and written again for each piece.
    const DEPTH: usize;
    /// Rows of the left operand that a task packs at once: with [`Tile::DEPTH`] a share of the second-level cache.
    const BLOCK: usize;
    /// Whether rows of the left operand that run along memory are read where they lie: with few rows to a tile, packing costs more.
    const DIRECT: bool;
    /// Inner and outer sizes of products below which packing costs more than it gains (measured, `docs/performance.md`).
    const WORTH_PACKING: usize;
    /// The vectors that tiles are written to the result with.
    type Lanes: Lanes;

    /// Whether this processor has the instructions, and the system lets them be used.
    fn are_there() -> bool;
    /// Runs `f`, which has to be `#[inline(always)]` with all that it calls, compiled for the instructions.
    unsafe fn run<R>(f: impl FnOnce() -> R) -> R;
    /// Floats of memory that `lines` packed rows or columns take, `steps` along k.
    fn packed(lines: usize, steps: usize) -> usize;
    /// Packs [`Tile::COLUMNS`] columns of the right operand from `first` on, zeros beyond its edge.
    unsafe fn pack_columns(b: Matrix, first: usize, k: Range<usize>, target: &mut [f32]);
    /// Packs rows of the left operand, [`Tile::ROWS`] after [`Tile::ROWS`], zeros beyond the last one.
    unsafe fn pack_rows(a: Matrix, rows: Range<usize>, k: Range<usize>, target: &mut [f32]);
    /// Multiplies up to [`Tile::AT_ONCE`] rows, `steps` along k. Meanwhile it may fetch what is `ahead`, and the `place` of the sums.
    unsafe fn multiply<const DIRECT: bool>(
        left: Left,
        right: Right,
        rows: usize,
        steps: usize,
        sums: &mut Sums,
        place: Place,
        ahead: &mut Ahead,
    );
}
