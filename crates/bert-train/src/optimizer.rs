//! AdamW or LAMB over the parameters of a model, in their fixed order.
//!
//! The arithmetic is [`bert_kernels::optim`]; here are the moments, the clipping, the scale of the loss and the refusal of gradients
//! that are not finite.

use std::collections::HashMap;

use bert_kernels::optim::{AdamWStep, Update, adamw_all, global_norm_and, lamb_all};
use bert_model::ParameterStore;
use candle_core::Tensor;

use crate::config::{OptimizerConfig, OptimizerKind, Precision};
use crate::error::Result;
use crate::loss_scale::LossScale;

/// Moments of every parameter, and how often they were updated.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    /// First and second moment, each of the parameter's shape, in the store's order.
    moments: Vec<(Tensor, Tensor)>,
    updates: u64,
    /// Where training computes in f16.
    loss_scale: Option<LossScale>,
}

/// What became of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Global L2 norm of the gradient before clipping, whatever the loss was scaled by.
    pub norm: f64,
    /// False when the gradient was not finite and nothing was changed.
    pub applied: bool,
}

impl Optimizer {
    /// Moments of zero for every parameter of `store`.
    pub fn new(config: &OptimizerConfig, precision: Precision, store: &ParameterStore) -> Result<Self> {
        let moments = store
            .iter()
            .map(|parameter| {
                let zeros = || parameter.value().zeros_like();
                Ok((zeros()?, zeros()?))
            })
            .collect::<Result<_>>()?;
        let loss_scale = (precision == Precision::F16).then(LossScale::default);
        Ok(Self { config: config.clone(), moments, updates: 0, loss_scale })
    }

    /// What a backward pass begins from: the loss, scaled where training computes in f16.
    pub fn scaled(&self, loss: Tensor) -> Result<Tensor> {
        match &self.loss_scale {
            Some(scale) => Ok((loss * scale.factor())?),
            None => Ok(loss),
        }
    }

    /// Clips the accumulated gradients and updates the parameters at rate `lr`; the gradients are zero afterwards.
    pub fn step(&mut self, store: &ParameterStore, lr: f64) -> Result<Outcome> {
        Ok(self.step_reading(store, lr, &[])?.0)
    }

    /// [`Optimizer::step`], and the values of f32 scalars that passes of the step left on the device, such as their losses.
    ///
    /// This is where the host waits for a GPU, once a step: the norm decides whether the update happens at all, and how often it
    /// happened enters the next one. All that a step reads comes in the same copy, and while the update runs the host makes the
    /// next batch.
    pub fn step_reading(&mut self, store: &ParameterStore, lr: f64, scalars: &[Tensor]) -> Result<(Outcome, Vec<f64>)> {
        let (scaled_norm, values) = global_norm_and(store.iter().map(|parameter| parameter.grad()), scalars)?;
        let loss_scale = self.loss_scale.map_or(1.0, |scale| scale.factor());
        let norm = scaled_norm / loss_scale;
        let applied = norm.is_finite();
        if applied {
            let clip = self.config.clip_norm;
            let clipping = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
            self.update(store, lr, clipping / loss_scale)?;
        }
        if let Some(scale) = &mut self.loss_scale {
            scale.observe(applied);
        }
        store.zero_grad();
        Ok((Outcome { norm, applied }, values))
    }

    fn update(&mut self, store: &ParameterStore, lr: f64, gradient_scale: f64) -> Result<()> {
        self.updates += 1;
        let step = AdamWStep {
            lr,
            beta1: self.config.betas[0],
            beta2: self.config.betas[1],
            eps: self.config.eps,
            weight_decay: self.config.weight_decay,
            step: self.updates,
            bias_correction: self.config.bias_correction,
            gradient_scale,
        };
        let updates: Vec<Update> = store
            .iter()
            .zip(&self.moments)
            .map(|(parameter, (m, v))| Update {
                value: parameter.value(),
                grad: parameter.grad(),
                m,
                v,
                decays: parameter.decays(),
                copy: parameter.copy(),
            })
            .collect();
        match self.config.kind {
            OptimizerKind::Adamw => adamw_all(&updates, &step)?,
            OptimizerKind::Lamb => lamb_all(&updates, &step)?,
        }
        Ok(())
    }

    /// Steps that were applied: what the bias correction counts.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The scale of the loss, where training computes in f16.
    pub fn loss_scale(&self) -> Option<LossScale> {
        self.loss_scale
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

    /// Takes moments as [`Optimizer::tensors`] gave them, and where the run stood; a scale of the loss only where there is one.
    ///
    /// # Errors
    /// A sentence that names the parameter whose moment is missing or has another shape, or misses the scale of the loss.
    pub fn load(
        &mut self,
        store: &ParameterStore,
        saved: &HashMap<String, Tensor>,
        updates: u64,
        loss_scale: Option<LossScale>,
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
        if self.loss_scale.is_some() {
            self.loss_scale = Some(loss_scale.ok_or("there is no scale of the loss, which f16 needs")?);
        }
        Ok(())
    }
}
