//! Model folders in Hugging Face's layout.

use crate::{BertConfig, Error, ParameterStore, Result};
use candle_core::{Device, Tensor, pickle, safetensors};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

/// The weights of a model folder: `model.safetensors`, or PyTorch's `pytorch_model.bin`.
///
/// # Errors
/// A folder with neither, a file that cannot be read as what its name says.
pub fn load_tensors(dir: &Path) -> Result<HashMap<String, Tensor>> {
    let (modern, old) = (dir.join("model.safetensors"), dir.join("pytorch_model.bin"));
    let unreadable = |path: &Path, e: candle_core::Error| Error::File { path: path.into(), reason: e.to_string() };
    if modern.exists() {
        return safetensors::load(&modern, &Device::Cpu).map_err(|e| unreadable(&modern, e));
    }
    if old.exists() {
        let tensors = pickle::read_all(&old).map_err(|e| unreadable(&old, e))?;
        return Ok(tensors.into_iter().collect());
    }
    let reason = "neither model.safetensors nor pytorch_model.bin is in this folder".to_string();
    Err(Error::File { path: dir.into(), reason })
}

/// Writes `config.json` and `model.safetensors`.
///
/// `architecture` is the class of Transformers that opens the folder, such as `BertForPreTraining`; `labels` are the
/// names of a classifier's outputs, none for other models.
pub fn save_pretrained(
    dir: &Path,
    config: &BertConfig,
    store: &ParameterStore,
    architecture: &str,
    labels: &[&str],
) -> Result<()> {
    let config_path = dir.join("config.json");
    let mut json = json!(config);
    json["architectures"] = json!([architecture]);
    json["model_type"] = json!("bert");
    json["torch_dtype"] = json!("float32");
    if !labels.is_empty() {
        let by_id: serde_json::Map<_, _> = labels.iter().enumerate().map(|(i, l)| (i.to_string(), json!(l))).collect();
        let by_label: serde_json::Map<_, _> =
            labels.iter().enumerate().map(|(i, l)| (l.to_string(), json!(i))).collect();
        json["id2label"] = Value::Object(by_id);
        json["label2id"] = Value::Object(by_label);
    }
    let text = format!("{json:#}\n");
    std::fs::write(&config_path, text).map_err(|source| Error::Io { path: config_path, source })?;
    let path = dir.join("model.safetensors");
    // Transformers refuses files that do not say which framework's layout they have.
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    ::safetensors::serialize_to_file(store.tensors()?, Some(metadata), &path)
        .map_err(|e| Error::File { path, reason: e.to_string() })
}

/// The names of a classifier's outputs in order of their ids, from `id2label` of a `config.json`; empty where absent.
pub fn read_labels(config: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(config).map_err(|source| Error::Io { path: config.into(), source })?;
    let json: Value =
        serde_json::from_str(&text).map_err(|e| Error::File { path: config.into(), reason: e.to_string() })?;
    let Some(map) = json.get("id2label").and_then(Value::as_object) else { return Ok(Vec::new()) };
    (0..map.len())
        .map(|id| match map.get(&id.to_string()).and_then(Value::as_str) {
            Some(label) => Ok(label.to_string()),
            None => Err(Error::File { path: config.into(), reason: format!("id2label has no entry for {id}") }),
        })
        .collect()
}
