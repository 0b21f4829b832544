//! The trainable tensors of a model in a fixed order.

use crate::{Error, Result};
use bert_kernels::{Parameter, truncated_normal};
use candle_core::{DType, Device, Tensor};
use std::collections::{HashMap, HashSet};

/// The trainable tensors of a model, in the order in which the model was built: the same in every process.
///
/// Queries, keys and values of a layer are one tensor here, so that they are one multiplication; in files they are
/// three, under Hugging Face's names.
#[derive(Clone, Debug)]
pub struct ParameterStore {
    entries: Vec<Entry>,
}

/// A parameter and the tensors it is in files: names, each with an equal share of its rows.
#[derive(Clone, Debug)]
struct Entry {
    parameter: Parameter,
    names: Vec<String>,
}

/// What loading did to each tensor, by its name in files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Taken from the file.
    pub loaded: Vec<String>,
    /// In the model, not in the file: left at their initial values.
    pub new: Vec<String>,
    /// In the file, not in the model.
    pub ignored: Vec<String>,
}

impl ParameterStore {
    /// The parameters in their fixed order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Parameter> {
        self.entries.iter().map(|entry| &entry.parameter)
    }

    /// Number of parameters (tensors).
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of trainable values.
    pub fn elements(&self) -> usize {
        self.iter().map(|p| p.value().elem_count()).sum()
    }

    /// Sets all gradients to zero.
    pub fn zero_grad(&self) {
        for parameter in self.iter() {
            parameter.zero_grad();
        }
    }

    /// All values under Hugging Face's names.
    pub fn tensors(&self) -> Result<Vec<(String, Tensor)>> {
        self.split(|parameter| parameter.value().clone())
    }

    /// All gradients under Hugging Face's names.
    pub fn gradients(&self) -> Result<Vec<(String, Tensor)>> {
        self.split(Parameter::grad)
    }

    fn split(&self, of: impl Fn(&Parameter) -> Tensor) -> Result<Vec<(String, Tensor)>> {
        let mut tensors = Vec::new();
        for Entry { parameter, names } in &self.entries {
            let tensor = of(parameter).detach();
            let rows = tensor.dim(0)? / names.len();
            for (i, name) in names.iter().enumerate() {
                tensors.push((name.clone(), tensor.narrow(0, i * rows, rows)?.contiguous()?));
            }
        }
        Ok(tensors)
    }

    /// Takes values from tensors of a file.
    ///
    /// Names may come with or without the `bert.` in front, and with TensorFlow's `gamma` and `beta` of a
    /// layer norm. Whatever the file lacks keeps its initial value; both directions are reported.
    ///
    /// # Errors
    /// A tensor of another shape than the model's; nothing has been changed then.
    pub fn load(&self, tensors: &HashMap<String, Tensor>) -> Result<LoadReport> {
        let by_name: HashMap<String, (&String, &Tensor)> =
            tensors.iter().map(|(name, tensor)| (canonical(name), (name, tensor))).collect();
        let mut report = LoadReport::default();
        let mut used = HashSet::new();
        let mut updates = Vec::new();
        for Entry { parameter, names } in &self.entries {
            let value = parameter.value();
            let mut shape = value.dims().to_vec();
            shape[0] /= names.len();
            let mut parts = Vec::new();
            let before = report.loaded.len();
            for (i, name) in names.iter().enumerate() {
                let part = match by_name.get(&canonical(name)) {
                    Some((found, tensor)) => {
                        if tensor.dims() != shape {
                            let found_shape = tensor.dims().to_vec();
                            return Err(Error::Shape { name: (*found).clone(), expected: shape, found: found_shape });
                        }
                        used.insert(canonical(name));
                        report.loaded.push(name.clone());
                        tensor.to_device(value.device())?.to_dtype(value.dtype())?
                    }
                    None => {
                        report.new.push(name.clone());
                        value.detach().narrow(0, i * shape[0], shape[0])?
                    }
                };
                parts.push(part);
            }
            if report.loaded.len() > before {
                updates.push((parameter, Tensor::cat(&parts, 0)?));
            }
        }
        for (parameter, value) in updates {
            parameter.set(&value)?;
        }
        let ignored = by_name.iter().filter(|(name, _)| !used.contains(*name));
        report.ignored = ignored.map(|(_, (name, _))| (*name).clone()).collect();
        report.ignored.sort();
        Ok(report)
    }
}

/// The name without the differences between files: `bert.` in front, `gamma` and `beta`.
fn canonical(name: &str) -> String {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    match name.rsplit_once('.') {
        Some((rest, "gamma")) => format!("{rest}.weight"),
        Some((rest, "beta")) => format!("{rest}.bias"),
        _ => name.to_string(),
    }
}

/// Collects parameters while a model is built.
pub(crate) struct Builder<'a> {
    entries: Vec<Entry>,
    seed: u64,
    deviation: f64,
    device: &'a Device,
}

impl<'a> Builder<'a> {
    /// Initial weights follow from the seed and the name of each parameter.
    pub fn new(seed: u64, deviation: f64, device: &'a Device) -> Self {
        Self { entries: Vec::new(), seed, deviation, device }
    }

    /// A matrix from the truncated normal distribution.
    pub fn weight(&mut self, name: &str, shape: (usize, usize)) -> Result<Parameter> {
        self.fused_weight(name, &[name], shape)
    }

    /// A matrix that is several in files, one above the other.
    pub fn fused_weight(&mut self, name: &str, names: &[&str], shape: (usize, usize)) -> Result<Parameter> {
        let values = truncated_normal(shape.0 * shape.1, self.deviation, self.seed, name);
        self.add(name, names, Tensor::from_vec(values, shape, self.device)?)
    }

    /// A vector of zeros.
    pub fn zeros(&mut self, name: &str, size: usize) -> Result<Parameter> {
        self.fused_zeros(name, &[name], size)
    }

    /// A vector of zeros that is several in files.
    pub fn fused_zeros(&mut self, name: &str, names: &[&str], size: usize) -> Result<Parameter> {
        self.add(name, names, Tensor::zeros(size, DType::F32, self.device)?)
    }

    /// A vector of ones.
    pub fn ones(&mut self, name: &str, size: usize) -> Result<Parameter> {
        self.add(name, &[name], Tensor::ones(size, DType::F32, self.device)?)
    }

    fn add(&mut self, name: &str, names: &[&str], value: Tensor) -> Result<Parameter> {
        let parameter = Parameter::new(name, &value)?;
        let names = names.iter().map(|name| name.to_string()).collect();
        self.entries.push(Entry { parameter: parameter.clone(), names });
        Ok(parameter)
    }

    pub fn finish(self) -> ParameterStore {
        ParameterStore { entries: self.entries }
    }
}
