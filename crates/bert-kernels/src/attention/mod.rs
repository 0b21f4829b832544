//! Scaled dot-product attention over the sequences of a packed or padded batch (Vaswani et al., 2017).

mod cpu;
mod operands;
mod reference;

pub use cpu::{Saved, backward, backward_at, forward, forward_at};
pub use reference::reference;

use crate::{Dropout, Spans, has_fast_form, node};
use candle_core::{Result, Tensor};

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
