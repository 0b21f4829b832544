use super::Saved;
use super::operands::{Operands, Unit};
use crate::cpu::{Matrix, Shared, Start, gemm_on_this_thread, math, vectorised};
use crate::storage::{tensor, uninitialised, with_slices};
use crate::timing::{Part, timed};
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

pub(super) fn forward(operands: Operands) -> Result<(Tensor, Saved)> {
    let rows = operands.asking();
    let mut log_sums = vec![0f32; operands.heads * rows];
    let context = timed(Part::Attention, || {
        with_slices([&operands.queries, &operands.memory], |[queries, memory]| {
            tensor((rows, operands.sizes.1), |context| {
                if operands.selection.is_none() && operands.spans.has_padding() {
                    context.fill(0.0);
                }
                let (context, log_sums) = (Shared::new(context), Shared::new(&mut log_sums));
                operands
                    .units(queries, memory)
                    .par_iter()
                    .for_each_init(Vec::new, |scratch, unit| forward_unit(unit, context, log_sums, scratch));
            })
        })?
    })?;
    let log_sums = Tensor::from_vec(log_sums, operands.heads * rows, &Device::Cpu)?;
    Ok((context.clone(), Saved { operands, context, log_sums }))
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
                    // SAFETY: this head's entries for the queries of this sequence belong to this unit.
                    unsafe { *log_sums.at(unit.log_sums + query) = largest + sum.ln() };
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
            let out = context.at(unit.context.offset(block.start));
            gemm_on_this_thread(out, unit.context.stride, Start::Zero, 1.0, weights, unit.values.matrix(&unit.span));
        }
    }
}

pub(super) fn backward(saved: &Saved, dy: &Tensor) -> Result<Tensor> {
    let operands = &saved.operands;
    let (rows, width) = (operands.spans.rows(), 3 * operands.sizes.1);
    let mut d_qkv = operands.gradient_buffer(rows * width);
    let all = Shared::new(&mut d_qkv);
    run_backward(saved, dy, all, all)?;
    Tensor::from_vec(d_qkv, (rows, width), &Device::Cpu)
}

pub(super) fn backward_at(saved: &Saved, dy: &Tensor) -> Result<(Tensor, Tensor)> {
    let operands = &saved.operands;
    let (asking, rows, hidden) = (operands.asking(), operands.spans.rows(), operands.sizes.1);
    let mut d_queries = uninitialised(asking * hidden);
    let mut d_memory = operands.gradient_buffer(rows * 2 * hidden);
    run_backward(saved, dy, Shared::new(&mut d_queries), Shared::new(&mut d_memory))?;
    let d_queries = Tensor::from_vec(d_queries, (asking, hidden), &Device::Cpu)?;
    Ok((d_queries, Tensor::from_vec(d_memory, (rows, 2 * hidden), &Device::Cpu)?))
}

/// Writes the gradients into buffers of the layout of the operands.
fn run_backward(saved: &Saved, dy: &Tensor, d_queries: Shared, d_memory: Shared) -> Result<()> {
    let Operands { queries, memory, .. } = &saved.operands;
    timed(Part::Attention, || {
        with_slices(
            [queries, memory, &saved.context, &saved.log_sums, dy],
            |[queries, memory, context, log_sums, dy]| {
                saved.operands.units(queries, memory).par_iter().for_each_init(Vec::new, |scratch, unit| {
                    backward_unit(unit, context, log_sums, dy, d_queries, d_memory, scratch)
                });
            },
        )
    })
}

/// With P the softmax and M the mask: dV = (P M)^T dY; dP = (dY V^T) M; dS = P (dP - rowsum(dY Y)) / sqrt(D);
/// dQ = dS K; dK = dS^T Q (Dao et al., FlashAttention, 2022, appendix B).
fn backward_unit(
    unit: &Unit,
    context: &[f32],
    log_sums: &[f32],
    dy: &[f32],
    d_queries: Shared,
    d_memory: Shared,
    scratch: &mut Vec<f32>,
) {
    let (length, size) = (unit.span.len(), unit.keys.size);
    for block in unit.blocks() {
        let area = block.len() * length;
        scratch.resize(2 * area + length, 1.0);
        let (weights, rest) = scratch.split_at_mut(area);
        let (d_scores, mask) = rest.split_at_mut(area);
        let mask = &mut mask[..length];
        unit.scores(&block, weights);
        let d_context = unit.context.view(dy, &block);
        let values = unit.values.matrix(&unit.span);
        // SAFETY: a full row-major [block, length] matrix.
        unsafe { gemm_on_this_thread(d_scores.as_mut_ptr(), length, Start::Zero, 1.0, d_context, values.t()) };
        vectorised(
            #[inline(always)]
            || {
                let rows = weights.chunks_exact_mut(length).zip(d_scores.chunks_exact_mut(length));
                for (query, (p, ds)) in block.clone().zip(rows) {
                    let start = unit.context.offset(query);
                    let at = start..start + size;
                    let correction = math::dot(&dy[at.clone()], &context[at]);
                    let log_sum = log_sums[unit.log_sums + query];
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
        // Keys and values gather from every block of queries.
        let start = if block.start > unit.asking.start { Start::Keep } else { Start::Zero };
        let weights = Matrix::new(weights, block.len(), length);
        let d_scores = Matrix::new(d_scores, block.len(), length);
        let (queries, keys) = (unit.queries.matrix(&block), unit.keys.matrix(&unit.span));
        let stride = unit.keys.stride;
        // SAFETY: the rows of this sequence and the columns of this head belong to this unit.
        unsafe {
            let d_queries = d_queries.at(unit.queries.offset(block.start));
            let d_keys = d_memory.at(unit.keys.offset(unit.span.start));
            let d_values = d_memory.at(unit.values.offset(unit.span.start));
            gemm_on_this_thread(d_queries, unit.queries.stride, Start::Zero, unit.scale(), d_scores, keys);
            gemm_on_this_thread(d_keys, stride, start, unit.scale(), d_scores.t(), queries);
            gemm_on_this_thread(d_values, stride, start, 1.0, weights.t(), d_context);
        }
    }
}
