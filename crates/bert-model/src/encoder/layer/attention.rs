//! Self-attention with its projection, residual and norm.

use super::Chain;
use crate::encoder::{Dense, dense, layer_norm};
use crate::parameters::Builder;
use crate::{BertConfig, Pass, Result};
use bert_kernels::norm::{self, LayerNorm};
use bert_kernels::{Dropout, Selection, Spans, attention, embedding, linear};
use candle_core::Tensor;

/// LayerNorm(x + dropout(attention(x) W + b)).
#[derive(Clone, Debug)]
pub(super) struct AttentionBlock {
    qkv: Dense,
    output: Dense,
    norm: LayerNorm,
    heads: usize,
    probs_dropout: f64,
    hidden_dropout: f64,
    site: u32,
}

/// What the backward pass needs.
struct Saved {
    input: Tensor,
    context: Tensor,
    scores: attention::Saved,
    normed: norm::Saved,
}

impl AttentionBlock {
    pub fn new(config: &BertConfig, prefix: &str, site: u32, builder: &mut Builder) -> Result<Self> {
        let hidden = config.hidden_size;
        let name = |part: &str, kind: &str| format!("{prefix}.attention.self.{part}.{kind}");
        let names = |kind| ["query", "key", "value"].map(|part| name(part, kind));
        let (weights, biases) = (names("weight"), names("bias"));
        let weights = weights.each_ref().map(String::as_str);
        let biases = biases.each_ref().map(String::as_str);
        Ok(Self {
            qkv: Dense {
                weight: builder.fused_weight(&name("qkv", "weight"), &weights, (3 * hidden, hidden))?,
                bias: builder.fused_zeros(&name("qkv", "bias"), &biases, 3 * hidden)?,
            },
            output: dense(builder, &format!("{prefix}.attention.output.dense"), hidden, hidden)?,
            norm: layer_norm(builder, &format!("{prefix}.attention.output.LayerNorm"), config)?,
            heads: config.num_attention_heads,
            probs_dropout: config.attention_probs_dropout_prob,
            hidden_dropout: config.hidden_dropout_prob,
            site,
        })
    }

    pub fn forward(&self, chain: &mut Chain, spans: &Spans, pass: &Pass) -> candle_core::Result<()> {
        let (probs, hidden) = self.dropouts(pass);
        let (this, spans) = (self.clone(), spans.clone());
        let run = move |input: &Tensor| {
            let qkv = linear::forward(input, &this.qkv.weight, &this.qkv.bias)?;
            let (context, scores) = attention::forward(&qkv, &spans, this.heads, probs)?;
            let projected = linear::forward(&context, &this.output.weight, &this.output.bias)?;
            let (y, normed) = norm::forward(&projected, Some(input), &this.norm, hidden)?;
            Ok((y, Saved { input: input.clone(), context, scores, normed }))
        };
        let this = self.clone();
        let backward = move |saved: &Saved, dy: &Tensor| {
            let Saved { input, context, scores, normed } = saved;
            let d = norm::backward(dy, normed, &this.norm, hidden, Some(&this.output.bias))?;
            let d_context = linear::backward(context, &this.output.weight, None, &d.x, None)?;
            let d_qkv = attention::backward(scores, &d_context)?;
            linear::backward(input, &this.qkv.weight, &this.qkv.bias, &d_qkv, Some(&d.residual))
        };
        chain.block(pass, run, backward)
    }

    /// The rows of the selection. Only they ask, so only they need a query and an output.
    pub fn forward_at(
        &self,
        chain: &mut Chain,
        spans: &Spans,
        selection: &Selection,
        pass: &Pass,
    ) -> candle_core::Result<()> {
        let (probs, hidden) = self.dropouts(pass);
        let width = self.output.weight.value().dim(1)?;
        let (query, key_value) = (0..width, width..3 * width);
        let (this, spans, asked) = (self.clone(), spans.clone(), selection.clone());
        let (outputs, memory_outputs) = (query.clone(), key_value.clone());
        let run = move |input: &Tensor| {
            let (weight, bias) = (&this.qkv.weight, &this.qkv.bias);
            let asking = embedding::gather(input, asked.rows())?;
            let queries = linear::forward_part(&asking, weight, bias, outputs.clone())?;
            let memory = linear::forward_part(input, weight, bias, memory_outputs.clone())?;
            let (context, scores) = attention::forward_at(&queries, &memory, &spans, &asked, this.heads, probs)?;
            let projected = linear::forward(&context, &this.output.weight, &this.output.bias)?;
            let (y, normed) = norm::forward(&projected, Some(&asking), &this.norm, hidden)?;
            Ok((y, (asking, Saved { input: input.clone(), context, scores, normed })))
        };
        let (this, asked) = (self.clone(), selection.clone());
        let backward = move |(asking, saved): &(Tensor, Saved), dy: &Tensor| {
            let Saved { input, context, scores, normed } = saved;
            let (weight, bias) = (&this.qkv.weight, &this.qkv.bias);
            let d = norm::backward(dy, normed, &this.norm, hidden, Some(&this.output.bias))?;
            let d_context = linear::backward(context, &this.output.weight, None, &d.x, None)?;
            let (d_queries, d_memory) = attention::backward_at(scores, &d_context)?;
            let dx = linear::backward_part(input, weight, bias, key_value.clone(), &d_memory, None)?;
            let d_asking = linear::backward_part(asking, weight, bias, query.clone(), &d_queries, Some(&d.residual))?;
            embedding::scatter_add(&dx, asked.rows(), &d_asking)?;
            Ok(dx)
        };
        chain.block(pass, run, backward)
    }

    /// Of the attention weights and of the block's output.
    fn dropouts(&self, pass: &Pass) -> (Option<Dropout>, Option<Dropout>) {
        (pass.dropout(self.probs_dropout, self.site), pass.dropout(self.hidden_dropout, self.site + 1))
    }

    pub fn reference(&self, x: &Tensor, spans: &Spans, selection: Option<&Selection>, pass: &Pass) -> Result<Tensor> {
        let (probs, hidden) = self.dropouts(pass);
        let qkv = linear::reference(x, &self.qkv.weight, &self.qkv.bias)?;
        let context = attention::reference(&qkv, spans, self.heads, probs)?;
        let select = |x: &Tensor| match selection {
            Some(selection) => x.index_select(&Tensor::new(selection.rows(), x.device())?, 0),
            None => Ok(x.clone()),
        };
        let projected = linear::reference(&select(&context)?, &self.output.weight, &self.output.bias)?;
        Ok(norm::reference(&projected, Some(&select(x)?), &self.norm, hidden)?)
    }
}
