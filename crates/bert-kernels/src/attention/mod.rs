//! Scaled dot-product attention over the sequences of a packed or padded batch (Vaswani et al., 2017).

mod cpu;
#[cfg(any(kernels, test))]
pub(crate) mod cuda;
pub(crate) mod operands;
mod reference;

pub use reference::reference;

#[cfg(kernels)]
use crate::timing::Part;
use crate::{Dropout, Selection, Spans, has_fast_form, node};
use candle_core::{Result, Tensor, bail};
use operands::Operands;

/// softmax(Q K^T / sqrt(D)), dropped out, times V, within each sequence and head.
///
/// qkv [T, 3H]: queries, keys and values side by side, each its heads side by side. -> [T, H], zero in rows that
/// belong to no sequence. Differentiable. Dropout decides on key k of query row t and head n at row n T + t,
/// column k of its mask.
///
/// # Errors
/// A width that is not three times a multiple of the heads, or spans for another number of rows.
pub fn attention(qkv: &Tensor, spans: &Spans, heads: usize, dropout: Option<Dropout>) -> Result<Tensor> {
    if !has_fast_form(qkv) {
        return reference(qkv, spans, heads, dropout);
    }
    let input = qkv.detach().contiguous()?;
    let (y, saved) = forward(&input, spans, heads, dropout)?;
    node::join(qkv, y, move |dy| backward(&saved, dy).map(Some))
}

/// D, the size of a head, and H, after checking the shapes.
fn sizes(qkv: &Tensor, spans: &Spans, heads: usize) -> Result<(usize, usize)> {
    let (rows, width) = qkv.dims2()?;
    if rows != spans.rows() {
        candle_core::bail!("attention: {rows} rows, but the spans are for {}", spans.rows())
    }
    if heads == 0 || width % (3 * heads) != 0 {
        candle_core::bail!("attention: width {width} is not three times a multiple of {heads} heads")
    }
    Ok((width / 3 / heads, width / 3))
}

/// What the backward pass needs. The scores are not among it: they are computed again from queries and keys.
#[derive(Debug)]
pub struct Saved {
    operands: Operands,
    context: Tensor,
    /// [N n], n queries: logarithm of the softmax's denominator.
    log_sums: Tensor,
}

/// qkv [T, 3H] -> [T, H], without a graph.
pub fn forward(qkv: &Tensor, spans: &Spans, heads: usize, dropout: Option<Dropout>) -> Result<(Tensor, Saved)> {
    let sizes = sizes(qkv, spans, heads)?;
    let (queries, memory, spans) = (qkv.clone(), qkv.clone(), spans.clone());
    run_forward(Operands { queries, memory, spans, selection: None, heads, sizes, dropout })
}

/// The rows of [`forward`] that are selected: queries [n, H] of those rows, keys and values [T, 2H] of all -> [n, H].
///
/// # Errors
/// Shapes that do not fit together.
pub fn forward_at(
    queries: &Tensor,
    keys_values: &Tensor,
    spans: &Spans,
    selection: &Selection,
    heads: usize,
    dropout: Option<Dropout>,
) -> Result<(Tensor, Saved)> {
    let (count, hidden) = queries.dims2()?;
    if keys_values.dims2()? != (spans.rows(), 2 * hidden) || count != selection.rows().len() || hidden % heads != 0 {
        let (q, kv) = (queries.dims(), keys_values.dims());
        bail!("attention: queries {q:?}, keys and values {kv:?} for {count} of {} rows, {heads} heads", spans.rows())
    }
    run_forward(Operands {
        queries: queries.clone(),
        memory: keys_values.clone(),
        spans: spans.clone(),
        selection: Some(selection.clone()),
        heads,
        sizes: (hidden / heads, hidden),
        dropout,
    })
}

fn run_forward(operands: Operands) -> Result<(Tensor, Saved)> {
    #[cfg(kernels)]
    if crate::on_cuda(&operands.queries) {
        let queries = operands.queries.clone();
        operands.count_products(2);
        return Part::Attention.on(&queries, || cuda::forward(operands));
    }
    cpu::forward(operands)
}

/// The gradient of qkv [T, 3H] from that of the context [T, H] of [`forward`].
pub fn backward(saved: &Saved, dy: &Tensor) -> Result<Tensor> {
    #[cfg(kernels)]
    if crate::on_cuda(dy) {
        saved.operands.count_products(5);
        return Part::Attention.on(dy, || cuda::backward(saved, dy));
    }
    cpu::backward(saved, dy)
}

/// The gradients of queries [n, H] and of keys and values [T, 2H] from that of the context [n, H] of [`forward_at`].
pub fn backward_at(saved: &Saved, dy: &Tensor) -> Result<(Tensor, Tensor)> {
    #[cfg(kernels)]
    if crate::on_cuda(dy) {
        saved.operands.count_products(5);
        return Part::Attention.on(dy, || cuda::backward_at(saved, dy));
    }
    cpu::backward_at(saved, dy)
}
