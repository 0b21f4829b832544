//! AdamW over the parameters of a model, in their fixed order.
//!
//! The arithmetic is [`bert_kernels::optim`]; here are the moments, the clipping and the refusal of gradients that are
//! not finite.

use std::collections::HashMap;

use bert_kernels::optim::{AdamWStep, adamw, global_norm};
use bert_model::ParameterStore;
use candle_core::Tensor;

use crate::config::OptimizerConfig;
use crate::error::Result;

/// Moments of every parameter, and how often they were updated.
#[derive(Debug)]
pub struct AdamW {
    config: OptimizerConfig,
    /// First and second moment, each of the parameter's shape, in the store's order.
    moments: Vec<(Tensor, Tensor)>,
    updates: u64,
}

/// What became of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Global L2 norm of the gradient before clipping.
    pub norm: f64,
    /// False when the gradient was not finite and nothing was changed.
    pub applied: bool,
}

impl AdamW {
    /// Moments of zero for every parameter of `store`.
    pub fn new(config: &OptimizerConfig, store: &ParameterStore) -> Result<Self> {
        let moments = store
            .iter()
            .map(|parameter| {
                let zeros = || parameter.value().zeros_like();
                Ok((zeros()?, zeros()?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { config: config.clone(), moments, updates: 0 })
    }

    /// Clips the accumulated gradients and updates the parameters at rate `lr`; the gradients are zero afterwards.
    pub fn step(&mut self, store: &ParameterStore, lr: f64) -> Result<Outcome> {
        let norm = global_norm(store.iter().map(|parameter| parameter.grad()))?;
        let applied = norm.is_finite();
        if applied {
            self.updates += 1;
            let clip = self.config.clip_norm;
            let step = AdamWStep {
                lr,
                beta1: self.config.betas[0],
                beta2: self.config.betas[1],
                eps: self.config.eps,
                weight_decay: 0.0,
                step: self.updates,
                bias_correction: self.config.bias_correction,
                gradient_scale: if clip > 0.0 && norm > clip { clip / norm } else { 1.0 },
            };
            for (parameter, (first, second)) in store.iter().zip(&self.moments) {
                let weight_decay = if parameter.decays() { self.config.weight_decay } else { 0.0 };
                let step = AdamWStep { weight_decay, ..step };
                adamw(parameter.value(), &parameter.grad(), first, second, &step)?;
            }
        }
        store.zero_grad();
        Ok(Outcome { norm, applied })
    }

    /// Steps that were applied: what the bias correction counts.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The moments under `NAME.m` and `NAME.v`, for saving.
    pub fn tensors(&self, store: &ParameterStore) -> HashMap<String, Tensor> {
        store
            .iter()
            .zip(&self.moments)
            .flat_map(|(parameter, (first, second))| {
                let name = parameter.name();
                [(format!("{name}.m"), first.clone()), (format!("{name}.v"), second.clone())]
            })
            .collect()
    }

    /// Takes moments as [`AdamW::tensors`] gave them.
    ///
    /// # Errors
    /// A sentence that names the parameter whose moment is missing or has another shape.
    pub fn load(
        &mut self,
        store: &ParameterStore,
        saved: &HashMap<String, Tensor>,
        updates: u64,
    ) -> Result<(), String> {
        let find = |name: String, like: &Tensor| {
            let tensor = saved.get(&name).ok_or_else(|| format!("there is no {name}"))?;
            if tensor.dims() != like.dims() {
                let (got, want) = (tensor.dims(), like.dims());
                return Err(format!("{name} has shape {got:?}, the model needs {want:?}"));
            }
            tensor.to_device(like.device()).and_then(|t| t.copy()).map_err(|error| format!("{name}: {error}"))
        };
        let mut moments = Vec::with_capacity(self.moments.len());
        for (parameter, (first, second)) in store.iter().zip(&self.moments) {
            let name = parameter.name();
            moments.push((find(format!("{name}.m"), first)?, find(format!("{name}.v"), second)?));
        }
        self.moments = moments;
        self.updates = updates;
        Ok(())
    }
}
