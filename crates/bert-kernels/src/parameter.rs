//! A trainable tensor together with its gradient.

use candle_core::{Result, Tensor, Var};
use std::sync::{Arc, OnceLock};

/// A trainable tensor with the gradient that backward passes add to.
///
/// The gradient is one buffer that lives as long as the parameter: the fast operations accumulate into it in
/// place, so a step allocates nothing for it. It is made at first use; a model that only predicts has none.
/// Cloning is cheap and shares both.
#[derive(Clone, Debug)]
pub struct Parameter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    value: Var,
    grad: OnceLock<Tensor>,
}

impl Parameter {
    /// A parameter that starts at a copy of `value`.
    pub fn new(name: impl Into<String>, value: &Tensor) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            name: name.into(),
            value: Var::from_tensor(&value.contiguous()?)?,
            grad: OnceLock::new(),
        })))
    }

    /// Its full name, unique in a model, for example `encoder.layer.0.output.dense.weight`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The current value. It is a variable of candle's graph: plain candle operations on it are differentiable.
    pub fn value(&self) -> &Tensor {
        self.0.value.as_tensor()
    }

    /// Overwrites the value; shapes must agree.
    pub fn set(&self, value: &Tensor) -> Result<()> {
        self.0.value.set(&value.contiguous()?)
    }

    /// The gradient accumulated so far: zeros before the first backward pass. Same shape and type as the value.
    pub fn grad(&self) -> &Tensor {
        // A shape that exists as a value can be allocated as zeros; out of memory aborts in any case.
        self.0.grad.get_or_init(|| {
            let value = self.value();
            match Tensor::zeros(value.shape(), value.dtype(), value.device()) {
                Ok(zeros) => zeros,
                Err(e) => panic!("no memory for the gradient of {}: {e}", self.0.name),
            }
        })
    }

    /// Whether a backward pass or an optimiser has asked for the gradient yet.
    pub fn has_grad(&self) -> bool {
        self.0.grad.get().is_some()
    }

    /// Sets the gradient to zero.
    pub fn zero_grad(&self) -> Result<()> {
        match self.0.grad.get() {
            Some(grad) => grad.zero_set(),
            None => Ok(()),
        }
    }

    /// Adds to the gradient: for gradients that candle's own backward computed.
    pub fn add_grad(&self, grad: &Tensor) -> Result<()> {
        crate::storage::add_assign(self.grad(), grad)
    }

    /// Whether weight decay applies: not to biases and not to the gains of layer norms (BERT, `optimization.py`).
    pub fn decays(&self) -> bool {
        !(self.name().ends_with("bias") || self.name().contains("LayerNorm"))
    }
}
