//! Fetches from memory what will be packed next, a line at a time, while tiles are computed.

use super::{LINE, Matrix};
use std::arch::x86_64::*;
use std::ops::Range;

/// The cache lines of a piece of a matrix.
pub(super) struct Ahead {
    /// The next line.
    line: *const f32,
    /// From the last line of a run of neighbours to the first one of the next run.
    jump: usize,
    /// Lines in a run, left in this one, and runs left with it.
    run: usize,
    lines: usize,
    runs: usize,
}

impl Ahead {
    pub(super) fn new(a: Matrix, rows: Range<usize>, k: Range<usize>) -> Self {
        let (length, runs, stride) = match a.column_stride {
            1 => (k.len(), rows.len(), a.row_stride),
            _ => (rows.len(), k.len(), a.column_stride),
        };
        let run = length / LINE + 1; // a run seldom begins where a line does
        let line = a.data.as_ptr().wrapping_add(rows.start * a.row_stride + k.start * a.column_stride);
        Self { line, jump: stride.wrapping_sub((run - 1) * LINE), run, lines: run, runs }
    }

    /// Fetches the next line, if one is left, into the second-level cache.
    #[inline(always)]
    pub(super) fn fetch(&mut self) {
        if self.runs > 0 {
            // SAFETY: fetching ahead may point anywhere.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(self.line.cast()) };
            self.lines -= 1;
            if self.lines > 0 {
                self.line = self.line.wrapping_add(LINE);
            } else {
                self.line = self.line.wrapping_add(self.jump);
                (self.lines, self.runs) = (self.run, self.runs - 1);
            }
        }
    }
}
