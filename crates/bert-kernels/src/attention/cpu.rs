use super::sizes;
use crate::cpu::{Matrix, Shared, gemm_on_this_thread, math, vectorised};
use crate::storage::{tensor, with_slice, with_slices};
use crate::timing::{Part, timed};
use crate::{Dropout, Spans};
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;
use std::ops::Range;

/// Queries that are handled at once: bounds the scratch memory to this many rows of scores.
const QUERIES: usize = 256;

/// What the backward pass needs. The scores are not among it: they are computed again from queries and keys.
#[derive(Debug)]
pub struct Saved {
    qkv: Tensor,
    context: Tensor,
    /// [N T]: logarithm of the softmax's denominator.
    log_sums: Tensor,
    spans: Spans,
    heads: usize,
    dropout: Option<Dropout>,
}

/// One head of one sequence: the unit of parallel work.
struct Unit<'a> {
    qkv: &'a [f32],
    span: Range<usize>,
    head: usize,
    rows: usize,
    hidden: usize,
    size: usize,
    dropout: Option<Dropout>,
}

impl<'a> Unit<'a> {
    /// Queries (0), keys (1) or values (2) of some rows of the sequence: [rows, D].
    fn part(&self, part: usize, rows: Range<usize>) -> Matrix<'a> {
        let offset = (self.span.start + rows.start) * 3 * self.hidden + part * self.hidden + self.head * self.size;
        Matrix::strided(&self.qkv[offset..], rows.len(), self.size, 3 * self.hidden)
    }

    fn keys(&self) -> Matrix<'a> {
        self.part(1, 0..self.span.len())
    }

    fn values(&self) -> Matrix<'a> {
        self.part(2, 0..self.span.len())
    }

    fn scale(&self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }

    /// Blocks of query rows.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let length = self.span.len();
        (0..length).step_by(QUERIES).map(move |start| start..(start + QUERIES).min(length))
    }

    /// Scaled scores of a block of queries against all keys.
    fn scores(&self, block: &Range<usize>, out: &mut [f32]) {
        let length = self.span.len();
        // SAFETY: `out` is a full row-major [block, length] matrix.
        unsafe {
            let queries = self.part(0, block.clone());
            gemm_on_this_thread(out.as_mut_ptr(), length, false, self.scale(), queries, self.keys().t());
        }
    }

    /// The row of the dropout mask for a query of the sequence.
    #[inline(always)]
    fn mask(&self, query: usize, mask: &mut [f32]) {
        if let Some(dropout) = self.dropout {
            dropout.fill((self.head * self.rows + self.span.start + query) as u32, mask);
        }
    }
}

fn units<'a>(
    qkv: &'a [f32],
    spans: &Spans,
    heads: usize,
    (size, hidden): (usize, usize),
    dropout: Option<Dropout>,
) -> Vec<Unit<'a>> {
    let rows = spans.rows();
    spans
        .iter()
        .filter(|span| !span.is_empty())
        .flat_map(|span| {
            (0..heads).map(move |head| Unit { qkv, span: span.clone(), head, rows, hidden, size, dropout })
        })
        .collect()
}

/// qkv [T, 3H] -> [T, H], without a graph.
pub fn forward(qkv: &Tensor, spans: &Spans, heads: usize, dropout: Option<Dropout>) -> Result<(Tensor, Saved)> {
    let (size, hidden) = sizes(qkv, spans, heads)?;
    let rows = spans.rows();
    let mut log_sums = vec![0f32; heads * rows];
    let context = timed(Part::Attention, || {
        with_slice(qkv, |qkv| {
            tensor((rows, hidden), |context| {
                if spans.has_padding() {
                    context.fill(0.0);
                }
                let (context, log_sums) = (Shared::new(context), Shared::new(&mut log_sums));
                units(qkv, spans, heads, (size, hidden), dropout)
                    .par_iter()
                    .for_each_init(Vec::new, |scratch, unit| forward_unit(unit, context, log_sums, scratch));
            })
        })?
    })?;
    let log_sums = Tensor::from_vec(log_sums, heads * rows, &Device::Cpu)?;
    let saved = Saved { qkv: qkv.clone(), context: context.clone(), log_sums, spans: spans.clone(), heads, dropout };
    Ok((context, saved))
}

fn forward_unit(unit: &Unit, context: Shared, log_sums: Shared, scratch: &mut Vec<f32>) {
    let length = unit.span.len();
    for block in unit.blocks() {
        scratch.resize(block.len() * length + length, 1.0);
        let (scores, mask) = scratch.split_at_mut(block.len() * length);
        let mask = &mut mask[..length];
        unit.scores(&block, scores);
        vectorised(
            #[inline(always)]
            || {
                for (query, row) in block.clone().zip(scores.chunks_exact_mut(length)) {
                    let largest = math::max(row);
                    for s in row.iter_mut() {
                        *s = math::exp(*s - largest);
                    }
                    let sum = math::sum(row, |v| v);
                    // SAFETY: this head's entries for the rows of this sequence belong to this unit.
                    unsafe { *log_sums.at(unit.head * unit.rows + unit.span.start + query) = largest + sum.ln() };
                    let inverse = 1.0 / sum;
                    if unit.dropout.is_some() {
                        unit.mask(query, mask);
                        row.iter_mut().zip(mask.iter()).for_each(|(p, m)| *p *= inverse * m);
                    } else {
                        row.iter_mut().for_each(|p| *p *= inverse);
                    }
                }
            },
        );
        let weights = Matrix::new(scores, block.len(), length);
        // SAFETY: these rows and the columns of this head belong to this unit.
        unsafe {
            let out = context.at((unit.span.start + block.start) * unit.hidden + unit.head * unit.size);
            gemm_on_this_thread(out, unit.hidden, false, 1.0, weights, unit.values());
        }
    }
}

/// The gradient of qkv [T, 3H] from that of the context [T, H].
pub fn backward(saved: &Saved, dy: &Tensor) -> Result<Tensor> {
    let sizes = sizes(&saved.qkv, &saved.spans, saved.heads)?;
    let rows = saved.spans.rows();
    timed(Part::Attention, || {
        let operands = [&saved.qkv, &saved.context, &saved.log_sums, dy];
        with_slices(operands, |[qkv, context, log_sums, dy]| {
            tensor((rows, 3 * sizes.1), |d_qkv| {
                if saved.spans.has_padding() {
                    d_qkv.fill(0.0);
                }
                let d_qkv = Shared::new(d_qkv);
                units(qkv, &saved.spans, saved.heads, sizes, saved.dropout)
                    .par_iter()
                    .for_each_init(Vec::new, |scratch, unit| {
                        backward_unit(unit, context, log_sums, dy, d_qkv, scratch)
                    });
            })
        })?
    })
}

/// With P the softmax and M the mask: dV = (P M)^T dY; dP = (dY V^T) M; dS = P (dP - rowsum(dY Y)) / sqrt(D);
/// dQ = dS K; dK = dS^T Q (Dao et al., FlashAttention, 2022, appendix B).
fn backward_unit(unit: &Unit, context: &[f32], log_sums: &[f32], dy: &[f32], d_qkv: Shared, scratch: &mut Vec<f32>) {
    let (length, hidden, size) = (unit.span.len(), unit.hidden, unit.size);
    let column = unit.head * size;
    for block in unit.blocks() {
        let area = block.len() * length;
        scratch.resize(2 * area + length, 1.0);
        let (weights, rest) = scratch.split_at_mut(area);
        let (d_scores, mask) = rest.split_at_mut(area);
        let mask = &mut mask[..length];
        unit.scores(&block, weights);
        let first = (unit.span.start + block.start) * hidden + column;
        let d_context = Matrix::strided(&dy[first..], block.len(), size, hidden);
        // SAFETY: a full row-major [block, length] matrix.
        unsafe { gemm_on_this_thread(d_scores.as_mut_ptr(), length, false, 1.0, d_context, unit.values().t()) };
        vectorised(
            #[inline(always)]
            || {
                let rows = weights.chunks_exact_mut(length).zip(d_scores.chunks_exact_mut(length));
                for (query, (p, ds)) in block.clone().zip(rows) {
                    let row = unit.span.start + query;
                    let at = row * hidden + column..row * hidden + column + size;
                    let correction = math::dot(&dy[at.clone()], &context[at]);
                    let log_sum = log_sums[unit.head * unit.rows + row];
                    if unit.dropout.is_some() {
                        unit.mask(query, mask);
                        for j in 0..length {
                            let weight = math::exp(p[j] - log_sum);
                            ds[j] = weight * (ds[j] * mask[j] - correction);
                            p[j] = weight * mask[j];
                        }
                    } else {
                        for j in 0..length {
                            p[j] = math::exp(p[j] - log_sum);
                            ds[j] = p[j] * (ds[j] - correction);
                        }
                    }
                }
            },
        );
        let later = block.start > 0; // keys and values gather from every block of queries
        let weights = Matrix::new(weights, block.len(), length);
        let d_scores = Matrix::new(d_scores, block.len(), length);
        let row_stride = 3 * hidden;
        let queries = unit.part(0, block.clone());
        // SAFETY: the rows of this sequence and the columns of this head belong to this unit.
        unsafe {
            let start = d_qkv.at(unit.span.start * row_stride + column);
            let d_queries = start.add(block.start * row_stride);
            gemm_on_this_thread(d_queries, row_stride, false, unit.scale(), d_scores, unit.keys());
            gemm_on_this_thread(start.add(hidden), row_stride, later, unit.scale(), d_scores.t(), queries);
            gemm_on_this_thread(start.add(2 * hidden), row_stride, later, 1.0, weights.t(), d_context);
        }
    }
}
