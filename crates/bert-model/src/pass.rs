//! One forward pass: whether it trains, and where its randomness comes from.

use bert_kernels::{Dropout, has_fast_form};
use candle_core::{DType, Tensor};

/// How a forward pass runs.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Whether dropout is on and a graph for the backward pass is kept.
    pub train: bool,
    /// Seed of the run.
    pub seed: u64,
    /// Number of this pass since the start of the run: with the seed it determines every dropout mask.
    pub index: u64,
    /// Whether each block of a layer lets its intermediate values go and computes them again for the backward pass, from its
    /// input alone (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016). The results are the same bits.
    pub recompute: bool,
    /// Type of the activations, chosen once where the network begins: all that follows computes in the type of its input.
    /// Parameters, their gradients and losses are f32 whatever it is.
    pub dtype: DType,
    /// Whether the plain candle forms of all operations are used, for comparison.
    pub reference: bool,
}

impl Pass {
    /// Prediction: no dropout, no graph.
    pub fn eval() -> Self {
        Self { train: false, seed: 0, index: 0, recompute: false, dtype: DType::F32, reference: false }
    }

    /// Training pass number `index` of the run with this seed.
    pub fn train(seed: u64, index: u64) -> Self {
        Self { train: true, seed, index, recompute: false, dtype: DType::F32, reference: false }
    }

    /// The same pass with [`Pass::recompute`] as given.
    pub fn recomputing(self, recompute: bool) -> Self {
        Self { recompute, ..self }
    }

    /// The same pass with activations of this type: f32 everywhere, bf16 and f16 where there are kernels for them.
    pub fn computing_in(self, dtype: DType) -> Self {
        Self { dtype, ..self }
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
