//! One forward pass: whether it trains, and where its randomness comes from.

use bert_kernels::{Dropout, has_fast_form};
use candle_core::Tensor;

/// How a forward pass runs.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Whether dropout is on and a graph for the backward pass is kept.
    pub train: bool,
    /// Seed of the run.
    pub seed: u64,
    /// Number of this pass since the start of the run: with the seed it determines every dropout mask.
    pub index: u64,
    /// Whether the plain candle forms of all operations are used, for comparison.
    pub reference: bool,
}

impl Pass {
    /// Prediction: no dropout, no graph.
    pub fn eval() -> Self {
        Self { train: false, seed: 0, index: 0, reference: false }
    }

    /// Training pass number `index` of the run with this seed.
    pub fn train(seed: u64, index: u64) -> Self {
        Self { train: true, seed, index, reference: false }
    }

    /// The same pass on the plain candle forms.
    pub fn as_reference(self) -> Self {
        Self { reference: true, ..self }
    }

    /// The dropout of one place of the network.
    pub(crate) fn dropout(&self, probability: f64, site: u32) -> Option<Dropout> {
        if self.train { Dropout::new(probability, self.seed, self.index, site) } else { None }
    }

    /// Whether the fast forms with a hand-written backward apply.
    pub(crate) fn fast(&self, x: &Tensor) -> bool {
        !self.reference && has_fast_form(x)
    }
}
