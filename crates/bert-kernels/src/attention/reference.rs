use super::sizes;
use crate::{Dropout, Spans};
use candle_core::{D, DType, Device, Result, Tensor};

/// The plain candle form of [`attention`](super::attention): sequences are gathered into a padded batch and back.
pub fn reference(qkv: &Tensor, spans: &Spans, heads: usize, dropout: Option<Dropout>) -> Result<Tensor> {
    let (head, hidden) = sizes(qkv, spans, heads)?;
    let (batch, longest, device) = (spans.len(), spans.longest(), qkv.device());
    if batch == 0 || longest == 0 {
        return Tensor::zeros((spans.rows(), hidden), qkv.dtype(), device);
    }
    let padding = Padding::new(spans, device)?;
    let split = |part: usize| {
        qkv.narrow(1, part * hidden, hidden)?
            .contiguous()?
            .index_select(&padding.gather, 0)?
            .reshape((batch, longest, heads, head))?
            .transpose(1, 2)?
            .contiguous()
    };
    let (q, k, v) = (split(0)?, split(1)?, split(2)?); // [B, N, S, D]
    let scores = (q.matmul(&k.t()?)? * (1.0 / (head as f64).sqrt()))?;
    let scores = scores.broadcast_add(&padding.bias.to_dtype(qkv.dtype())?)?; // [B, N, S, S]
    let exp = scores.broadcast_sub(&scores.detach().max_keepdim(D::Minus1)?)?.exp()?;
    let mut weights = exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)?;
    if let Some(dropout) = dropout {
        // Row n T + t of the mask belongs to head n and query row t, whatever the padding here.
        let mask = dropout.mask(heads * spans.rows(), longest, device)?.to_dtype(qkv.dtype())?;
        let rows = padding.mask_rows(spans, heads, device)?;
        let mask = mask.index_select(&rows, 0)?.reshape((batch, heads, longest, longest))?;
        weights = (weights * mask)?;
    }
    let context = weights.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((batch * longest, hidden))?;
    let context = context.index_select(&padding.scatter, 0)?;
    context.broadcast_mul(&padding.real.to_dtype(qkv.dtype())?)
}

/// Index tensors between the token axis [T] and a padded batch [B, S].
struct Padding {
    /// [B S]: the row of each padded place; row 0 where there is none.
    gather: Tensor,
    /// [T]: the padded place of each row; 0 where it has none.
    scatter: Tensor,
    /// [T, 1]: 1 for rows that belong to a sequence, 0 for others.
    real: Tensor,
    /// [B, 1, 1, S]: added to the scores; very negative for keys beyond the end of a sequence.
    bias: Tensor,
    longest: usize,
}

impl Padding {
    fn new(spans: &Spans, device: &Device) -> Result<Self> {
        let longest = spans.longest();
        let mut gather = vec![0u32; spans.len() * longest];
        let mut bias = vec![-1e9f32; spans.len() * longest];
        let mut scatter = vec![0u32; spans.rows()];
        let mut real = vec![0f32; spans.rows()];
        for (i, span) in spans.iter().enumerate() {
            for (j, row) in span.enumerate() {
                let place = i * longest + j;
                gather[place] = row as u32;
                bias[place] = 0.0;
                scatter[row] = place as u32;
                real[row] = 1.0;
            }
        }
        Ok(Self {
            gather: Tensor::from_vec(gather, spans.len() * longest, device)?,
            scatter: Tensor::from_vec(scatter, spans.rows(), device)?,
            real: Tensor::from_vec(real, (spans.rows(), 1), device)?,
            bias: Tensor::from_vec(bias, (spans.len(), 1, 1, longest), device)?.to_dtype(DType::F32)?,
            longest,
        })
    }

    /// [B N S]: the row of the dropout mask for each sequence, head and query.
    fn mask_rows(&self, spans: &Spans, heads: usize, device: &Device) -> Result<Tensor> {
        let mut rows = Vec::with_capacity(spans.len() * heads * self.longest);
        for span in spans.iter() {
            for head in 0..heads {
                let row = |query: usize| if query < span.len() { span.start + query } else { span.start };
                rows.extend((0..self.longest).map(|query| (head * spans.rows() + row(query)) as u32));
            }
        }
        let count = rows.len();
        Tensor::from_vec(rows, count, device)
    }
}
