//! One encoder layer: two blocks with a backward written by hand. All layers together are one node of the graph.

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

    /// x [T, H] -> [T, H], or the rows of the selection [n, H]: all else of the layer but keys and values is left out, which changes
    /// nothing in those rows.
    pub fn forward(
        &self,
        chain: &mut Chain,
        spans: &Spans,
        selection: Option<&Selection>,
        pass: &Pass,
    ) -> candle_core::Result<()> {
        match selection {
            Some(selection) => self.attention.forward_at(chain, spans, selection, pass)?,
            None => self.attention.forward(chain, spans, pass)?,
        }
        self.feed_forward.forward(chain, pass)
    }

    /// The same in plain candle operations.
    pub fn reference(&self, x: &Tensor, spans: &Spans, selection: Option<&Selection>, pass: &Pass) -> Result<Tensor> {
        let x = self.attention.reference(x, spans, selection, pass)?;
        self.feed_forward.reference(&x, pass)
    }
}

type Backward = dyn Fn(&Tensor) -> candle_core::Result<Tensor> + Send + Sync;

/// Blocks computed one after the other outside of the graph, to become one node of it. Every node costs candle a copy of its value and,
/// in the backward pass, a zeroing and an addition.
pub(super) struct Chain {
    value: Tensor,
    /// From the gradient of each block's value to that of its input; empty without training.
    backward: Vec<Box<Backward>>,
}

impl Chain {
    pub fn new(x: &Tensor) -> Self {
        Self { value: x.detach(), backward: Vec::new() }
    }

    /// Computes a block of the value so far.
    ///
    /// `run` gives the block's value and what its backward pass needs. That is kept until then, or with [`Pass::recompute`] let go
    /// and computed again from the input: the same numbers, since dropout is a function of its place.
    fn block<Saved: Send + Sync + 'static>(
        &mut self,
        pass: &Pass,
        run: impl Fn(&Tensor) -> candle_core::Result<(Tensor, Saved)> + Send + Sync + 'static,
        backward: impl Fn(&Saved, &Tensor) -> candle_core::Result<Tensor> + Send + Sync + 'static,
    ) -> candle_core::Result<()> {
        let (y, saved) = run(&self.value)?;
        let input = std::mem::replace(&mut self.value, y);
        if !pass.train {
            return Ok(());
        }
        let kept = Mutex::new((!pass.recompute).then_some(saved));
        self.backward.push(Box::new(move |dy| {
            // Taken, so that the memory serves the gradients of the layers below.
            let saved = match kept.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(saved) => saved,
                None => run(&input)?.1,
            };
            backward(&saved, dy)
        }));
        Ok(())
    }

    /// The value, joined to the graph of x, from which the chain began; without training it has none.
    pub fn join(self, x: &Tensor) -> Result<Tensor> {
        let Self { value, backward } = self;
        if backward.is_empty() {
            return Ok(value);
        }
        let backward = move |dy: &Tensor| {
            let mut gradient = dy.clone();
            for of_block in backward.iter().rev() {
                gradient = of_block(&gradient)?;
            }
            Ok(Some(gradient))
        };
        Ok(node::join(x, value, backward)?)
    }
}
