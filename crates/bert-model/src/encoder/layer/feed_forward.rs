//! The feed-forward block with its residual and norm.

use super::Chain;
use crate::encoder::{Dense, dense, layer_norm};
use crate::parameters::Builder;
use crate::{BertConfig, Pass, Result};
use bert_kernels::norm::{self, LayerNorm};
use bert_kernels::{Activation, activation, linear};
use candle_core::Tensor;

/// LayerNorm(x + dropout(activation(x W1 + b1) W2 + b2)).
#[derive(Clone, Debug)]
pub(super) struct FeedForwardBlock {
    up: Dense,
    down: Dense,
    norm: LayerNorm,
    activation: Activation,
    dropout: f64,
    site: u32,
}

/// What the backward pass needs.
struct Saved {
    input: Tensor,
    inner: Tensor,
    normed: norm::Saved,
}

impl FeedForwardBlock {
    pub fn new(config: &BertConfig, prefix: &str, site: u32, builder: &mut Builder) -> Result<Self> {
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

    pub fn reference(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let inner = linear::reference(x, &self.up.weight, &self.up.bias)?;
        let inner = activation::reference(&inner, self.activation)?;
        let projected = linear::reference(&inner, &self.down.weight, &self.down.bias)?;
        Ok(norm::reference(&projected, Some(x), &self.norm, pass.dropout(self.dropout, self.site))?)
    }

    pub fn forward(&self, chain: &mut Chain, pass: &Pass) -> candle_core::Result<()> {
        let dropout = pass.dropout(self.dropout, self.site);
        let this = self.clone();
        let run = move |input: &Tensor| {
            let inner = linear::forward(input, &this.up.weight, &this.up.bias)?;
            let active = activation::forward(&inner, this.activation)?;
            let projected = linear::forward(&active, &this.down.weight, &this.down.bias)?;
            let (y, normed) = norm::forward(&projected, Some(input), &this.norm, dropout)?;
            Ok((y, Saved { input: input.clone(), inner, normed }))
        };
        let this = self.clone();
        let backward = move |saved: &Saved, dy: &Tensor| {
            let Saved { input, inner, normed } = saved;
            let weight = &this.down.weight;
            let all = 0..weight.value().dim(0)?;
            let d = norm::backward(dy, normed, &this.norm, dropout, Some(&this.down.bias))?;
            let d_active = linear::backward_input(weight, all.clone(), &d.x, None)?;
            // The widest tensor of a layer is not kept: its derivative costs nearly as much as both.
            let (active, d_inner) =
                activation::forward_and_backward(inner, &d_active, this.activation, Some(&this.up.bias))?;
            linear::backward_parameters(&active, weight, None, all, &d.x)?;
            linear::backward(input, &this.up.weight, None, &d_inner, Some(&d.residual))
        };
        chain.block(pass, run, backward)
    }
}
