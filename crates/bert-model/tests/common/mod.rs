//! Golden values of Hugging Face Transformers, and comparisons with them.
#![allow(dead_code, clippy::unwrap_used)] // each test uses a part of this

use bert_model::{ParameterStore, Sequences};
use candle_core::{DType, Device, Result, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub struct Golden(HashMap<String, Tensor>);

pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

impl Golden {
    pub fn open(name: &str) -> Self {
        Self(candle_core::safetensors::load(path(name), &Device::Cpu).unwrap())
    }

    pub fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("no `{name}` in the golden file"))
    }

    pub fn scalar(&self, name: &str) -> f64 {
        self.get(name).to_dtype(DType::F64).unwrap().to_scalar().unwrap()
    }

    pub fn numbers(&self, name: &str) -> Vec<f64> {
        self.get(name).to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    fn rows(&self, name: &str) -> Vec<Vec<i64>> {
        self.get(name).to_vec2().unwrap()
    }

    /// The weights of the model, by their Hugging Face names.
    pub fn weights(&self) -> HashMap<String, Tensor> {
        let extra = ["input.", "output.", "grad.", "adamw.", "original", "step3."];
        let weights = self.0.iter().filter(|(name, _)| !extra.iter().any(|prefix| name.starts_with(prefix)));
        weights.map(|(name, tensor)| (name.clone(), tensor.clone())).collect()
    }

    /// Token ids and segment starts of the sequences, without padding.
    pub fn items(&self) -> Vec<(Vec<u32>, usize)> {
        let (ids, types) = (self.rows("input.input_ids"), self.0.get("input.token_type_ids"));
        let types = types.map(|t| t.to_vec2::<i64>().unwrap());
        let mask = self.rows("input.attention_mask");
        let length = |row: usize| mask[row].iter().sum::<i64>() as usize;
        (0..ids.len())
            .map(|row| {
                let n = length(row);
                let second = types.as_ref().and_then(|t| t[row][..n].iter().position(|&t| t == 1)).unwrap_or(n);
                (ids[row][..n].iter().map(|&id| id as u32).collect(), second)
            })
            .collect()
    }

    pub fn labels(&self, name: &str) -> Vec<Vec<i64>> {
        self.rows(name)
    }

    pub fn integers(&self, name: &str) -> Vec<u32> {
        self.get(name).to_vec1::<i64>().unwrap().into_iter().map(|v| v as u32).collect()
    }
}

/// The same sequences in both layouts.
pub fn layouts(items: &[(Vec<u32>, usize)]) -> [Sequences; 2] {
    let items: Vec<(&[u32], usize)> = items.iter().map(|(ids, second)| (ids.as_slice(), *second)).collect();
    [Sequences::packed(&items), Sequences::padded(&items, 0)]
}

pub fn largest(t: &Tensor) -> f64 {
    t.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_dtype(DType::F64).unwrap().to_scalar().unwrap()
}

/// The largest difference between two tensors, relative to the largest value of the expected one or to `floor`.
pub fn relative(actual: &Tensor, expected: &Tensor, floor: f64) -> f64 {
    assert_eq!(actual.dims(), expected.dims());
    largest(&(actual - expected).unwrap()) / largest(expected).max(floor)
}

/// Every gradient against the golden one, to 1e-4 of its largest entry. That of the key biases is zero in exact
/// arithmetic (softmax ignores a shift) and mere rounding in both programs: it is measured against the query biases'.
pub fn assert_gradients(store: &ParameterStore, golden: &Golden, what: &str) -> Result<()> {
    for (name, gradient) in store.gradients().unwrap() {
        let scale = largest(golden.get(&format!("grad.{}", name.replace("self.key.bias", "self.query.bias"))));
        let error = relative(&gradient, golden.get(&format!("grad.{name}")), scale);
        assert!(error < 1e-4, "{what}: gradient of {name} is off by {error:.1e}");
    }
    Ok(())
}

/// Where the real corpora, tasks and weights are, if they are there.
pub fn shared_data() -> Option<PathBuf> {
    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let dir = std::env::var_os("BERT_SHARED_DATA").map_or_else(fallback, PathBuf::from);
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: the shared data folder is not there ({}); set BERT_SHARED_DATA", dir.display());
    None
}
