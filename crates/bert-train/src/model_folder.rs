//! Where a model comes from: a folder, the folder of a run, or the Hugging Face Hub.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bert_data::tokenizer::Tokenizer;
use bert_model::{BertConfig, LoadReport, load_tensors};
use candle_core::Tensor;
use hf_hub::api::sync::{Api, ApiRepo};

use crate::error::{Error, Result};

/// A folder with `config.json`, weights and a vocabulary.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    path: PathBuf,
}

impl ModelFolder {
    /// Finds a model: a folder in Hugging Face's layout, a run's folder (whose `model` is meant), or else an id on the
    /// Hub, which is downloaded into the Hub's own cache.
    ///
    /// # Errors
    /// [`Error::Request`] when there is no such folder and no such model on the Hub.
    pub fn find(folder_or_id: &str) -> Result<Self> {
        Self::find_for("--model", folder_or_id)
    }

    /// As [`find`](Self::find), for the option or key that messages name.
    pub(crate) fn find_for(option: &str, folder_or_id: &str) -> Result<Self> {
        let given = Path::new(folder_or_id);
        for path in [given.to_owned(), given.join("model")] {
            if path.join("config.json").is_file() {
                return Ok(Self { path });
            }
        }
        if given.exists() {
            return Err(Error::Request(format!(
                "{option} {folder_or_id}: there is no config.json; give a folder in Hugging Face's layout, such as \
                 RUN/model"
            )));
        }
        if !is_hub_id(folder_or_id) {
            return Err(Error::Request(format!("{option} {folder_or_id}: there is no such folder")));
        }
        download(option, folder_or_id).map(|path| Self { path })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.json`.
    pub fn config(&self) -> Result<BertConfig> {
        Ok(BertConfig::from_file(&self.path.join("config.json"))?)
    }

    /// Its vocabulary.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(Tokenizer::open(&self.path)?)
    }

    /// Its weights by Hugging Face's names.
    pub fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        Ok(load_tensors(&self.path)?)
    }
}

/// `name` or `owner/name`, as the Hub spells them.
fn is_hub_id(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    text.split('/').count() <= 2 && text.split('/').all(part)
}

fn download(option: &str, id: &str) -> Result<PathBuf> {
    let failed = |file: &str, reason: String| {
        Error::Request(format!(
            "{option} {id}: there is no such folder, and {file} of that name cannot be had from the Hugging Face Hub \
             ({reason}); check the spelling and the connection, or give a folder"
        ))
    };
    let api = Api::new().map_err(|error| failed("a model", error.to_string()))?;
    let repo: ApiRepo = api.model(id.to_owned());
    let config = repo.get("config.json").map_err(|error| failed("config.json", first_line(&error.to_string())))?;
    if let Err(error) = repo.get("model.safetensors") {
        // Older models have PyTorch's format only.
        repo.get("pytorch_model.bin").map_err(|_| failed("model.safetensors", first_line(&error.to_string())))?;
    }
    // A model has one of these; the others say more of it, and not every model has them.
    let vocabularies = ["vocab.txt", "tokenizer.json", "vocab.json"].map(|file| repo.get(file));
    if let [Err(error), Err(_), Err(_)] = &vocabularies {
        return Err(failed("vocab.txt", first_line(&error.to_string())));
    }
    for optional in ["merges.txt", "tokenizer_config.json"] {
        let _ = repo.get(optional);
    }
    config.parent().map(Path::to_owned).ok_or_else(|| failed("config.json", "it has no folder".into()))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Says what came from the model's files and what did not.
pub(crate) fn print_load(report: &LoadReport) {
    eprintln!("loaded {} parameters", report.loaded.len());
    for (what, names) in [("new, from random values", &report.new), ("ignored", &report.ignored)] {
        if !names.is_empty() {
            eprintln!("{what}: {}", names.join(", "));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ids_of_the_hub_are_told_from_paths() {
        for id in ["bert-base-uncased", "sentence-transformers/all-MiniLM-L6-v2"] {
            assert!(is_hub_id(id), "{id}");
        }
        for path in ["./model", "/a/b", "a/b/c", "../x", "runs/", ""] {
            assert!(!is_hub_id(path), "{path}");
        }
    }

    #[test]
    fn a_missing_folder_is_a_wrong_request() {
        let error = ModelFolder::find("./nowhere/at/all").unwrap_err();
        assert!(error.is_request());
        assert!(error.to_string().contains("./nowhere/at/all"), "{error}");
    }
}
