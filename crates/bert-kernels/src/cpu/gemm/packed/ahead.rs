//! Fetches from memory what comes next, a line at a time, while tiles are computed.

use super::{LINE, Matrix};
use std::arch::x86_64::*;
use std::ops::Range;

/// The cache lines of a piece of a matrix.
pub(in super::super) struct Ahead {
    /// The next line.
    line: *const f32,
    /// Lines left in this run of neighbours, and runs left with it; in the end the last line comes again and again.
    lines: usize,
    runs: usize,
    /// Where this run begins, lines in a run, and floats from run to run.
    start: *const f32,
    run: usize,
    stride: usize,
}

impl Ahead {
    /// What will be packed of the left operand.
    pub(super) fn of_rows(a: Matrix, rows: Range<usize>, k: Range<usize>) -> Self {
        let first = a.data.as_ptr().wrapping_add(rows.start * a.row_stride + k.start * a.column_stride);
        match a.column_stride {
            1 => Self::new(first, rows.len(), k.len(), a.row_stride),
            _ => Self::new(first, k.len(), rows.len(), a.column_stride),
        }
    }

    /// `runs` runs of `length` floats, `stride` apart.
    fn new(first: *const f32, runs: usize, length: usize, stride: usize) -> Self {
        let (runs, length) = if length == stride { (1, runs * length) } else { (runs, length) };
        let run = length.div_ceil(LINE);
        Self { line: first, lines: run, runs, start: first, run, stride }
    }

    /// Fetches the next line into the second-level cache.
    #[inline(always)]
    pub(super) fn fetch(&mut self) {
        // SAFETY: fetching ahead may point anywhere.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(self.line.cast()) };
        if self.lines > 1 {
            self.lines -= 1;
            self.line = self.line.wrapping_add(LINE);
        } else if self.runs > 1 {
            self.runs -= 1;
            self.start = self.start.wrapping_add(self.stride);
            (self.line, self.lines) = (self.start, self.run);
        }
    }
}
