//! A trainable tensor together with its gradient.

use candle_core::{Result, Tensor, Var};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A trainable tensor with the gradient that backward passes add to.
///
/// The gradient is one buffer from the first backward pass after an update to the next update: the fast operations
/// accumulate into it in place. In between there is none, so that the forward pass has its memory.
/// Cloning is cheap and shares both.
#[derive(Clone, Debug)]
pub struct Parameter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    value: Var,
    grad: Mutex<Option<Tensor>>,
    /// The value in another type, once something has asked for it.
    copy: Mutex<Option<Tensor>>,
}

impl Parameter {
    /// A parameter that starts at a copy of `value`.
    pub fn new(name: impl Into<String>, value: &Tensor) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            name: name.into(),
            value: Var::from_tensor(&value.contiguous()?)?,
            grad: Mutex::new(None),
            copy: Mutex::new(None),
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
        *self.copy_slot() = None;
        self.0.value.set(&value.contiguous()?)
    }

    /// The value in the type of the activations, without a graph. A copy in another type is made once; after that whoever changes
    /// the value in place changes the copy too ([`Parameter::copy`]).
    #[cfg(any(kernels, test))]
    pub(crate) fn value_as(&self, dtype: candle_core::DType) -> Result<Tensor> {
        let value = self.value().detach();
        if value.dtype() == dtype {
            return Ok(value);
        }
        let mut slot = self.copy_slot();
        match &*slot {
            Some(copy) if copy.dtype() == dtype => Ok(copy.clone()),
            _ => Ok(slot.insert(value.to_dtype(dtype)?).clone()),
        }
    }

    /// The copy of the value in another type, for an update to write.
    pub fn copy(&self) -> Option<Tensor> {
        self.copy_slot().clone()
    }

    fn copy_slot(&self) -> MutexGuard<'_, Option<Tensor>> {
        self.0.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gradient accumulated so far: zeros before the first backward pass. Same shape and type as the value.
    pub fn grad(&self) -> Tensor {
        // A shape that exists as a value can be allocated as zeros; out of memory aborts in any case.
        let zeros = || match self.value().zeros_like() {
            Ok(zeros) => zeros,
            Err(e) => panic!("no memory for the gradient of {}: {e}", self.0.name),
        };
        self.slot().get_or_insert_with(zeros).clone()
    }

    /// Memory for the gradient, and whether what is in it counts. A caller that fills all of it spares the zeros, and adds only
    /// where it counts. For f32 on the CPU.
    pub(crate) fn grad_space(&self) -> Result<(Tensor, bool)> {
        let mut slot = self.slot();
        if let Some(grad) = &*slot {
            return Ok((grad.clone(), true));
        }
        let shape = self.value().shape();
        let space = Tensor::from_vec(crate::storage::uninitialised(shape.elem_count()), shape, self.value().device())?;
        Ok((slot.insert(space).clone(), false))
    }

    /// Whether there is a gradient: a backward pass or an optimiser has asked for it.
    pub fn has_grad(&self) -> bool {
        self.slot().is_some()
    }

    /// Sets the gradient to zero: its memory goes to whoever comes next, activations of a forward pass for example.
    pub fn zero_grad(&self) {
        *self.slot() = None;
    }

    fn slot(&self) -> MutexGuard<'_, Option<Tensor>> {
        self.0.grad.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the gradient: for gradients that candle's own backward computed.
    pub fn add_grad(&self, grad: &Tensor) -> Result<()> {
        crate::storage::add_assign(&self.grad(), grad)
    }

    /// Whether weight decay applies: not to biases and not to the gains of layer norms (BERT, `optimization.py`).
    pub fn decays(&self) -> bool {
        !(self.name().ends_with("bias") || self.name().contains("LayerNorm"))
    }
}
