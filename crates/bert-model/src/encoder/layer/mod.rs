//! One encoder layer: two blocks, each one node of the graph with a backward written by hand.

mod attention;
mod feed_forward;

use crate::parameters::Builder;
use crate::{BertConfig, Pass, Result};
use attention::AttentionBlock;
use bert_kernels::{Selection, Spans, node};
use candle_core::Tensor;
use feed_forward::FeedForwardBlock;
use std::sync::{Mutex, PoisonError};

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

/// Computes a block of x and puts it into the graph as one node.
///
/// `run` gives the block's value and what its backward pass needs. That is kept until then, or with [`Pass::recompute`] let go
/// and computed again from x: the same numbers, since dropout is a function of its place.
fn block<Saved: Send + Sync + 'static>(
    x: &Tensor,
    pass: &Pass,
    run: impl Fn(&Tensor) -> candle_core::Result<(Tensor, Saved)> + Send + Sync + 'static,
    backward: impl Fn(&Saved, &Tensor) -> candle_core::Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let input = x.detach();
    let (y, saved) = run(&input)?;
    if !pass.train {
        return Ok(y);
    }
    let kept = Mutex::new((!pass.recompute).then_some(saved));
    let backward = move |dy: &Tensor| {
        // Taken, so that the memory serves the gradients of the layers below.
        let saved = match kept.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(saved) => saved,
            None => run(&input)?.1,
        };
        backward(&saved, dy).map(Some)
    };
    Ok(node::join(x, y, backward)?)
}
