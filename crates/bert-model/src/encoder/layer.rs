//! One encoder layer: two blocks, each one node of the graph with a backward written by hand.

use super::{Dense, dense, layer_norm};
use crate::parameters::Builder;
use crate::{BertConfig, Pass, Result};
use bert_kernels::norm::{self, LayerNorm};
use bert_kernels::{Activation, Dropout, Selection, Spans, activation, attention, embedding, linear, node};
use candle_core::Tensor;

#[derive(Clone, Debug)]
pub(super) struct Layer {
    attention: AttentionBlock,
    feed_forward: FeedForwardBlock,
}

impl Layer {
    pub fn new(config: &BertConfig, index: usize, builder: &mut Builder) -> Result<Self> {
        let prefix = format!("bert.encoder.layer.{index}");
        // Place 0 is the embeddings'; each layer has three.
        let site = 1 + 3 * index as u32;
        Ok(Self {
            attention: AttentionBlock::new(config, &prefix, site, builder)?,
            feed_forward: FeedForwardBlock::new(config, &prefix, site + 2, builder)?,
        })
    }

    /// x [T, H] -> [T, H]
    pub fn forward(&self, x: &Tensor, spans: &Spans, pass: &Pass) -> Result<Tensor> {
        self.feed_forward.forward(&self.attention.forward(x, spans, pass)?, pass)
    }

    /// x [T, H] -> [n, H], the rows of the selection. All else of the layer but keys and values is left out, which
    /// changes nothing in those rows.
    pub fn forward_at(&self, x: &Tensor, spans: &Spans, selection: &Selection, pass: &Pass) -> Result<Tensor> {
        self.feed_forward.forward(&self.attention.forward_at(x, spans, selection, pass)?, pass)
    }
}

/// LayerNorm(x + dropout(attention(x) W + b)).
#[derive(Clone, Debug)]
struct AttentionBlock {
    qkv: Dense,
    output: Dense,
    norm: LayerNorm,
    heads: usize,
    probs_dropout: f64,
    hidden_dropout: f64,
    site: u32,
}

impl AttentionBlock {
    fn new(config: &BertConfig, prefix: &str, site: u32, builder: &mut Builder) -> Result<Self> {
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

    fn forward(&self, x: &Tensor, spans: &Spans, pass: &Pass) -> Result<Tensor> {
        let (probs, hidden) = self.dropouts(pass);
        if !pass.fast(x) {
            return self.reference(x, spans, None, probs, hidden);
        }
        let input = x.detach();
        let qkv = linear::forward(&input, &self.qkv.weight, &self.qkv.bias)?;
        let (context, scores) = attention::forward(&qkv, spans, self.heads, probs)?;
        let projected = linear::forward(&context, &self.output.weight, &self.output.bias)?;
        let (y, normed) = norm::forward(&projected, Some(&input), &self.norm, hidden)?;
        if !pass.train {
            return Ok(y);
        }
        let block = self.clone();
        let backward = move |dy: &Tensor| {
            let d = norm::backward(dy, &normed, &block.norm, hidden)?;
            let d_context = linear::backward(&context, &block.output.weight, &block.output.bias, &d.x, None)?;
            let d_qkv = attention::backward(&scores, &d_context)?;
            let dx = linear::backward(&input, &block.qkv.weight, &block.qkv.bias, &d_qkv, Some(&d.residual))?;
            Ok(Some(dx))
        };
        Ok(node::join(x, &y, backward)?)
    }

    /// The rows of the selection. Only they ask, so only they need a query and an output.
    fn forward_at(&self, x: &Tensor, spans: &Spans, selection: &Selection, pass: &Pass) -> Result<Tensor> {
        let (probs, hidden) = self.dropouts(pass);
        if !pass.fast(x) {
            return self.reference(x, spans, Some(selection), probs, hidden);
        }
        let width = x.dim(1)?;
        let (query, key_value) = (0..width, width..3 * width);
        let input = x.detach();
        let asking = embedding::gather(&input, selection.rows())?;
        let queries = linear::forward_part(&asking, &self.qkv.weight, &self.qkv.bias, query.clone())?;
        let memory = linear::forward_part(&input, &self.qkv.weight, &self.qkv.bias, key_value.clone())?;
        let (context, scores) = attention::forward_at(&queries, &memory, spans, selection, self.heads, probs)?;
        let projected = linear::forward(&context, &self.output.weight, &self.output.bias)?;
        let (y, normed) = norm::forward(&projected, Some(&asking), &self.norm, hidden)?;
        if !pass.train {
            return Ok(y);
        }
        let (block, rows) = (self.clone(), selection.rows().to_vec());
        let backward = move |dy: &Tensor| {
            let (weight, bias) = (&block.qkv.weight, &block.qkv.bias);
            let d = norm::backward(dy, &normed, &block.norm, hidden)?;
            let d_context = linear::backward(&context, &block.output.weight, &block.output.bias, &d.x, None)?;
            let (d_queries, d_memory) = attention::backward_at(&scores, &d_context)?;
            let dx = linear::backward_part(&input, weight, bias, key_value.clone(), &d_memory, None)?;
            let d_asking = linear::backward_part(&asking, weight, bias, query.clone(), &d_queries, Some(&d.residual))?;
            embedding::scatter_add(&dx, &rows, &d_asking)?;
            Ok(Some(dx))
        };
        Ok(node::join(x, &y, backward)?)
    }

    /// Of the attention weights and of the block's output.
    fn dropouts(&self, pass: &Pass) -> (Option<Dropout>, Option<Dropout>) {
        (pass.dropout(self.probs_dropout, self.site), pass.dropout(self.hidden_dropout, self.site + 1))
    }

    fn reference(
        &self,
        x: &Tensor,
        spans: &Spans,
        selection: Option<&Selection>,
        probs: Option<Dropout>,
        hidden: Option<Dropout>,
    ) -> Result<Tensor> {
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

/// LayerNorm(x + dropout(activation(x W1 + b1) W2 + b2)).
#[derive(Clone, Debug)]
struct FeedForwardBlock {
    up: Dense,
    down: Dense,
    norm: LayerNorm,
    activation: Activation,
    dropout: f64,
    site: u32,
}

impl FeedForwardBlock {
    fn new(config: &BertConfig, prefix: &str, site: u32, builder: &mut Builder) -> Result<Self> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            up: dense(builder, &format!("{prefix}.intermediate.dense"), hidden, inner)?,
            down: dense(builder, &format!("{prefix}.output.dense"), inner, hidden)?,
            norm: layer_norm(builder, &format!("{prefix}.output.LayerNorm"), config)?,
            activation: config.hidden_act.kernel(),
            dropout: config.hidden_dropout_prob,
            site,
        })
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let dropout = pass.dropout(self.dropout, self.site);
        if !pass.fast(x) {
            let inner = linear::reference(x, &self.up.weight, &self.up.bias)?;
            let inner = activation::reference(&inner, self.activation)?;
            let projected = linear::reference(&inner, &self.down.weight, &self.down.bias)?;
            return Ok(norm::reference(&projected, Some(x), &self.norm, dropout)?);
        }
        let input = x.detach();
        let inner = linear::forward(&input, &self.up.weight, &self.up.bias)?;
        let active = activation::forward(&inner, self.activation)?;
        let projected = linear::forward(&active, &self.down.weight, &self.down.bias)?;
        let (y, normed) = norm::forward(&projected, Some(&input), &self.norm, dropout)?;
        if !pass.train {
            return Ok(y);
        }
        let block = self.clone();
        let backward = move |dy: &Tensor| {
            let d = norm::backward(dy, &normed, &block.norm, dropout)?;
            let d_active = linear::backward(&active, &block.down.weight, &block.down.bias, &d.x, None)?;
            let d_inner = activation::backward(&inner, &d_active, block.activation)?;
            let dx = linear::backward(&input, &block.up.weight, &block.up.bias, &d_inner, Some(&d.residual))?;
            Ok(Some(dx))
        };
        Ok(node::join(x, &y, backward)?)
    }
}
