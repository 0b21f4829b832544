//! Matrix multiplication for AVX-512: packed operands, a register tile of 14 x 32 (Goto & van de Geijn, 2008).
//!
//! Each element of the result is summed over k in one fixed order, whatever the threads and however the work is cut.

use super::{Matrix, Start};
use crate::cpu::Shared;
use ahead::Ahead;
use pack::{pack_columns, pack_rows, transpose};
use rayon::prelude::*;
use std::arch::x86_64::*;
use std::cell::Cell;
use std::ops::Range;

mod ahead;
mod pack;

/// Rows and columns of the register tile: 28 of the 32 vector registers are sums.
const ROWS: usize = 14;
const COLUMNS: usize = 32;
/// Longest packed piece along k: the output is read and written again for each piece.
const DEPTH: usize = 768;
/// Rows of the left operand that a task packs at once: with [`DEPTH`] a quarter of a second-level cache of 1 MiB. As much again is
/// what comes next ([`Ahead`]).
const BLOCK: usize = 6 * ROWS;
/// Steps along k for each line that is fetched of what comes next: one every hundred cycles.
const STEPS: usize = 4;
/// How far ahead of their use the floats of a panel are fetched.
const AHEAD: usize = 12 * COLUMNS;
/// Floats of the right operand that are packed at once, for all tasks: 8 MiB, a share of the last-level cache.
const SHARED_FLOATS: usize = 2 << 20;

/// Whether this processor can run it.
pub(super) fn is_available() -> bool {
    std::is_x86_feature_detected!("avx512f")
}

/// `out = start + scale * a b` with up to `threads` tasks at once.
///
/// # Safety
/// [`is_available`], and the a.rows x b.columns elements at `out`, rows `row_stride` apart, belong to the caller.
pub(super) unsafe fn multiply(
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
    let product = Product { out, row_stride, start, scale, threads, swapped };
    // SAFETY: the caller's promise.
    unsafe { if swapped { product.compute(b.t(), a.t()) } else { product.compute(a, b) } }
}

/// What a product is for.
pub(super) struct Product<'a> {
    pub out: *mut f32,
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
    pub(super) unsafe fn compute(self, a: Matrix, b: Matrix) {
        let Self { out, row_stride, start, scale, threads, swapped } = self;
        let depth = a.columns;
        let columns_at_once = (SHARED_FLOATS / depth.max(1) / COLUMNS).max(1) * COLUMNS;
        let mut packed = Buffer::take(&RIGHT, depth * columns_at_once.min(b.columns.next_multiple_of(COLUMNS)));
        for first in (0..b.columns).step_by(columns_at_once) {
            let columns = columns_at_once.min(b.columns - first);
            let panels = columns.div_ceil(COLUMNS);
            let panel_size = (COLUMNS * depth).max(1); // without depth there is nothing to pack, in no pieces
            let right = &mut packed.floats()[..panels * COLUMNS * depth];
            let pack = |(panel, target): (usize, &mut [f32])| {
                // SAFETY: the processor has AVX-512.
                unsafe { pack_columns(b, first + panel * COLUMNS, target) }
            };
            if threads > 1 {
                right.par_chunks_mut(panel_size).enumerate().for_each(pack);
            } else {
                right.chunks_mut(panel_size).enumerate().for_each(pack);
            }
            let right = &*right;
            let grid = Grid::new(a.rows, panels, threads);
            let target = Shared::from_pointer(out);
            let task = |index: usize| {
                let (rows, panels) = grid.task(index);
                let tiles = Tiles { target, row_stride, start, scale, swapped, right, depth, first, columns };
                // SAFETY: the processor has AVX-512, and tasks write tiles that do not overlap.
                unsafe { tiles.compute(a, rows, panels) }
            };
            if threads > 1 {
                (0..grid.tasks()).into_par_iter().for_each(task);
            } else {
                (0..grid.tasks()).for_each(task);
            }
        }
        packed.give_back(&RIGHT);
    }
}

/// How the result is cut into tasks: blocks of rows, and where those are too few, groups of column panels instead.
struct Grid {
    rows: usize,
    row_panels: usize,
    panels: usize,
    blocks: usize,
    groups: usize,
}

impl Grid {
    fn new(rows: usize, panels: usize, threads: usize) -> Self {
        let row_panels = rows.div_ceil(ROWS);
        let blocks = rows.div_ceil(BLOCK).max(1);
        // Equal shares for all threads, so that none waits for another's last piece.
        let (blocks, groups) = match row_panels >= 8 * threads {
            true => (blocks.next_multiple_of(threads), 1),
            false if threads > 1 => (blocks, panels.min(4 * threads)),
            false => (blocks, 1),
        };
        Self { rows, row_panels, panels, blocks, groups }
    }

    fn tasks(&self) -> usize {
        self.blocks * self.groups
    }

    /// Rows of the result, and panels of the right operand.
    fn task(&self, index: usize) -> (Range<usize>, Range<usize>) {
        let (block, group) = (index / self.groups, index % self.groups);
        let row = |block: usize| (block * self.row_panels / self.blocks * ROWS).min(self.rows);
        let panel = |group: usize| group * self.panels / self.groups;
        (row(block)..row(block + 1), panel(group)..panel(group + 1))
    }
}

/// What all tasks of one packed right operand share.
struct Tiles<'a> {
    target: Shared,
    row_stride: usize,
    start: Start<'a>,
    scale: f32,
    /// Whether the transpose is written.
    swapped: bool,
    /// Panels of 32 columns, each [depth, 32].
    right: &'a [f32],
    depth: usize,
    /// The first column of `right` in the result, and how many there are.
    first: usize,
    columns: usize,
}

impl Tiles<'_> {
    #[target_feature(enable = "avx512f")]
    unsafe fn compute(&self, a: Matrix, rows: Range<usize>, panels: Range<usize>) {
        let mut left = Buffer::take(&LEFT, BLOCK * DEPTH);
        // Pieces of equal length.
        let piece = self.depth.div_ceil(self.depth.div_ceil(DEPTH).max(1)).max(1);
        for block in rows.clone().step_by(BLOCK) {
            let block = block..(block + BLOCK).min(rows.end);
            for k in (0..self.depth.max(1)).step_by(piece) {
                let k = k..(k + piece).min(self.depth);
                for (panel, target) in left.floats().chunks_mut(ROWS * k.len().max(1)).enumerate() {
                    let first = block.start + panel * ROWS;
                    if first >= block.end {
                        break;
                    }
                    // SAFETY: the processor has AVX-512.
                    unsafe { pack_rows(a, first..(first + ROWS).min(block.end), k.clone(), target) }
                }
                // The next piece of these rows, or the first one of the rows below, which this thread most often does next.
                let mut ahead = match k.end < self.depth {
                    true => Ahead::new(a, block.clone(), k.end..(k.end + piece).min(self.depth)),
                    false => Ahead::new(a, block.end..(block.end + BLOCK).min(a.rows), 0..piece.min(self.depth)),
                };
                for panel in panels.clone() {
                    let right = &self.right[(panel * self.depth + k.start) * COLUMNS..];
                    for row in block.clone().step_by(ROWS) {
                        let left = &left.floats()[(row - block.start) * k.len()..];
                        let (rows, column) = (row..(row + ROWS).min(block.end), panel * COLUMNS);
                        // SAFETY: the tile lies in the result and belongs to this task.
                        unsafe { self.tile(left, right, k.clone(), rows, column, &mut ahead) }
                    }
                }
            }
        }
        left.give_back(&LEFT);
    }

    /// One register tile: a piece along k, added to what the pieces before it left. Meanwhile lines of what comes next are fetched.
    #[target_feature(enable = "avx512f")]
    unsafe fn tile(
        &self,
        left: &[f32],
        right: &[f32],
        k: Range<usize>,
        rows: Range<usize>,
        column: usize,
        ahead: &mut Ahead,
    ) {
        assert!(left.len() >= k.len() * ROWS && right.len() >= k.len() * COLUMNS);
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        let (mut l, mut r) = (left.as_ptr(), right.as_ptr());
        let first_target = self.place(rows.start, self.first + column);
        // SAFETY: both pieces are as long as the assertion says; fetching ahead may point anywhere.
        unsafe {
            for i in 0..ROWS {
                _mm_prefetch::<_MM_HINT_T0>(first_target.wrapping_add(i * self.row_stride).cast());
                _mm_prefetch::<_MM_HINT_T0>(first_target.wrapping_add(i * self.row_stride + 16).cast());
            }
            let mut step = || {
                _mm_prefetch::<_MM_HINT_T0>(r.wrapping_add(AHEAD).cast());
                _mm_prefetch::<_MM_HINT_T0>(r.wrapping_add(AHEAD + 16).cast());
                let (r0, r1) = (_mm512_loadu_ps(r), _mm512_loadu_ps(r.add(16)));
                for (i, sums) in sums.iter_mut().enumerate() {
                    let l = _mm512_set1_ps(*l.add(i));
                    sums[0] = _mm512_fmadd_ps(l, r0, sums[0]);
                    sums[1] = _mm512_fmadd_ps(l, r1, sums[1]);
                }
                l = l.add(ROWS);
                r = r.add(COLUMNS);
            };
            for _ in 0..k.len() / STEPS {
                ahead.fetch();
                for _ in 0..STEPS {
                    step();
                }
            }
            for _ in 0..k.len() % STEPS {
                step();
            }
        }
        let (count, is_first) = (self.columns - column, k.start == 0);
        let column = self.first + column;
        if self.swapped {
            for half in 0..2 {
                let mut block = [_mm512_setzero_ps(); 16];
                for (vector, sums) in block.iter_mut().zip(&sums) {
                    *vector = sums[half];
                }
                for (j, sum) in transpose(block).into_iter().enumerate() {
                    if 16 * half + j < count {
                        // SAFETY: the target is the caller's promise.
                        unsafe { self.add(column + 16 * half + j, rows.start, mask(rows.len()), sum, is_first) }
                    }
                }
            }
        } else {
            let masks = [mask(count), mask(count.saturating_sub(16))];
            for (i, sums) in sums.iter().enumerate() {
                if i < rows.len() {
                    for (half, &sum) in sums.iter().enumerate() {
                        // SAFETY: as above.
                        unsafe { self.add(rows.start + i, column + 16 * half, masks[half], sum, is_first) }
                    }
                }
            }
        }
    }

    /// Where the result of a tile begins.
    fn place(&self, row: usize, column: usize) -> *mut f32 {
        let offset = if self.swapped { column * self.row_stride + row } else { row * self.row_stride + column };
        // SAFETY: the tile lies in the result.
        unsafe { self.target.at(offset) }
    }

    /// Adds up to 16 neighbours in a row of the output to what was there, or for the first piece along k to what the product starts
    /// from.
    #[target_feature(enable = "avx512f")]
    unsafe fn add(&self, row: usize, column: usize, mask: u16, sum: __m512, is_first: bool) {
        // SAFETY: the mask keeps to elements of the output that belong to this task, and to the row to start from.
        unsafe {
            let target = self.target.at(row * self.row_stride).wrapping_add(column);
            let before = match self.start {
                Start::Row(values) if is_first => _mm512_maskz_loadu_ps(mask, values.as_ptr().wrapping_add(column)),
                Start::Zero if is_first => _mm512_setzero_ps(),
                _ => _mm512_maskz_loadu_ps(mask, target),
            };
            let scale = _mm512_set1_ps(self.scale);
            _mm512_mask_storeu_ps(target, mask, _mm512_fmadd_ps(sum, scale, before));
        }
    }
}

/// The first `count` of 16 lanes.
fn mask(count: usize) -> u16 {
    if count >= 16 { u16::MAX } else { (1 << count) - 1 }
}

thread_local! {
    static LEFT: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    static RIGHT: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Memory that a thread keeps between products. It is taken out of its place, so that a product inside a task of
/// another one finds none and makes its own.
struct Buffer {
    memory: Vec<f32>,
    offset: usize,
    length: usize,
}

impl Buffer {
    const ALIGNMENT: usize = 64;

    fn take(place: &'static std::thread::LocalKey<Cell<Vec<f32>>>, length: usize) -> Self {
        let mut memory = place.take();
        let padded = length + Self::ALIGNMENT / size_of::<f32>();
        if memory.len() < padded {
            memory = vec![0.0; padded];
        }
        let offset = memory.as_ptr().align_offset(Self::ALIGNMENT).min(padded - length);
        Self { memory, offset, length }
    }

    fn floats(&mut self) -> &mut [f32] {
        &mut self.memory[self.offset..self.offset + self.length]
    }

    fn give_back(self, place: &'static std::thread::LocalKey<Cell<Vec<f32>>>) {
        place.set(self.memory);
    }
}
