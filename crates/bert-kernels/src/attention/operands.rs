//! The two ways to lay queries, keys and values out, cut into units of parallel work.

use crate::cpu::{Matrix, Start, gemm_on_this_thread};
use crate::storage::uninitialised;
use crate::{Dropout, Selection, Spans};
use candle_core::Tensor;
use std::ops::Range;

/// Queries that are handled at once: bounds the scratch memory to this many rows of scores.
const QUERIES: usize = 256;

/// Who asks whom.
#[derive(Clone, Debug)]
pub(crate) struct Operands {
    /// [n, H] queries of the selection, or [T, 3H] with keys and values beside them.
    pub queries: Tensor,
    /// [T, 2H] keys and values, or the same [T, 3H].
    pub memory: Tensor,
    pub spans: Spans,
    /// The rows that ask; all where absent.
    pub selection: Option<Selection>,
    pub heads: usize,
    /// D and H.
    pub sizes: (usize, usize),
    pub dropout: Option<Dropout>,
}

impl Operands {
    /// n: rows of the queries and of the context.
    pub fn asking(&self) -> usize {
        self.selection.as_ref().map_or(self.spans.rows(), |selection| selection.rows().len())
    }

    /// Columns where queries, keys and values begin, each in its own tensor.
    pub fn columns(&self) -> [usize; 3] {
        let hidden = self.sizes.1;
        if self.selection.is_some() { [0, 0, hidden] } else { [0, hidden, 2 * hidden] }
    }

    /// Widths of the two tensors.
    pub fn strides(&self) -> (usize, usize) {
        let hidden = self.sizes.1;
        if self.selection.is_some() { (hidden, 2 * hidden) } else { (3 * hidden, 3 * hidden) }
    }

    /// Counts `products` of every head's queries with its keys, or of the same size. The CPU form counts them where it multiplies.
    #[cfg(kernels)]
    pub fn count_products(&self, products: usize) {
        for (i, span) in self.spans.iter().enumerate() {
            let asking = self.selection.as_ref().map_or(span.len(), |selection| selection.get(i).len());
            crate::timing::count_product(products * asking, span.len(), self.sizes.1);
        }
    }

    /// Memory for gradients of rows of the token axis: zeros where some rows belong to no unit, which would stay
    /// unwritten.
    pub fn gradient_buffer(&self, elements: usize) -> Vec<f32> {
        let silent = self.selection.as_ref().is_some_and(|s| s.iter().any(|asking| asking.is_empty()));
        if silent || self.spans.has_padding() { vec![0.0; elements] } else { uninitialised(elements) }
    }

    /// The units of work: every head of every sequence in which someone asks.
    pub(super) fn units<'a>(&'a self, queries: &'a [f32], memory: &'a [f32]) -> Vec<Unit<'a>> {
        let (size, hidden) = self.sizes;
        let [query_column, key_column, value_column] = self.columns();
        let (query_stride, memory_stride) = self.strides();
        let asking = |sequence: usize| match &self.selection {
            Some(selection) => selection.get(sequence),
            None => self.spans.get(sequence),
        };
        let sequences = (0..self.spans.len()).map(|i| (self.spans.get(i), asking(i)));
        sequences
            .filter(|(_, asking)| !asking.is_empty())
            .flat_map(|(span, asking)| {
                (0..self.heads).map(move |head| {
                    let part = |data, column, stride| Heads { data, column: column + head * size, stride, size };
                    Unit {
                        queries: part(queries, query_column, query_stride),
                        keys: part(memory, key_column, memory_stride),
                        values: part(memory, value_column, memory_stride),
                        context: Heads { data: &[], column: head * size, stride: hidden, size },
                        span: span.clone(),
                        asking: asking.clone(),
                        rows: self.selection.as_ref().map(Selection::rows),
                        log_sums: head * self.asking(),
                        masks: head * self.spans.rows(),
                        dropout: self.dropout,
                    }
                })
            })
            .collect()
    }
}

/// The columns of one head in a row-major matrix.
#[derive(Clone, Copy)]
pub(super) struct Heads<'a> {
    pub data: &'a [f32],
    pub column: usize,
    pub stride: usize,
    pub size: usize,
}

impl<'a> Heads<'a> {
    /// [rows, D]
    pub fn matrix(&self, rows: &Range<usize>) -> Matrix<'a> {
        Self::view(self, self.data, rows)
    }

    /// The same columns of another matrix of this layout.
    pub fn view<'b>(&self, data: &'b [f32], rows: &Range<usize>) -> Matrix<'b> {
        Matrix::strided(&data[self.offset(rows.start)..], rows.len(), self.size, self.stride)
    }

    pub fn offset(&self, row: usize) -> usize {
        row * self.stride + self.column
    }
}

/// One head of one sequence: the unit of parallel work.
pub(super) struct Unit<'a> {
    pub queries: Heads<'a>,
    pub keys: Heads<'a>,
    pub values: Heads<'a>,
    /// Where this head writes its result: the layout of the context [n, H].
    pub context: Heads<'static>,
    /// Rows of the keys.
    pub span: Range<usize>,
    /// Rows of the queries.
    pub asking: Range<usize>,
    /// The row on the token axis of each query; its own where absent.
    pub rows: Option<&'a [u32]>,
    /// Where this head begins among the logarithms, and among the rows of the dropout mask.
    pub log_sums: usize,
    pub masks: usize,
    pub dropout: Option<Dropout>,
}

impl Unit<'_> {
    pub fn scale(&self) -> f32 {
        1.0 / (self.keys.size as f32).sqrt()
    }

    /// Blocks of query rows.
    pub fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let asking = self.asking.clone();
        asking.clone().step_by(QUERIES).map(move |start| start..(start + QUERIES).min(asking.end))
    }

    /// Scaled scores of a block of queries against all keys.
    pub fn scores(&self, block: &Range<usize>, out: &mut [f32]) {
        let (queries, keys) = (self.queries.matrix(block), self.keys.matrix(&self.span));
        // SAFETY: `out` is a full row-major [block, length] matrix.
        unsafe { gemm_on_this_thread(out.as_mut_ptr(), self.span.len(), Start::Zero, self.scale(), queries, keys.t()) }
    }

    /// The row of the dropout mask for a query.
    #[inline(always)]
    pub fn mask(&self, query: usize, mask: &mut [f32]) {
        if let Some(dropout) = self.dropout {
            let row = self.rows.map_or(query, |rows| rows[query] as usize);
            dropout.fill((self.masks + row) as u32, mask);
        }
    }
}
