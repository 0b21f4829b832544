//! What a fine-tuned model says of texts.

use std::io::BufRead;
use std::path::Path;

use bert_data::tasks::encode_pair;
use bert_data::tokenizer::Tokenizer;
use bert_model::{BertForSequenceClassification, Pass, Sequences, read_labels};
use candle_core::Device;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::model_folder::ModelFolder;

/// Texts a forward pass; the result does not depend on it.
const BATCH: usize = 32;

/// A fine-tuned model with its vocabulary and the names of its outputs.
pub struct Predictor {
    model: BertForSequenceClassification,
    tokenizer: Tokenizer,
    /// None for a regression.
    labels: Vec<String>,
    max_len: usize,
}

/// The answer to one text or pair of texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The likeliest label; none for a regression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its probability, or the score of a regression.
    pub score: f32,
    /// The model's outputs, in the order of its labels.
    pub logits: Vec<f32>,
}

impl Predictor {
    /// The classifier of a folder. Texts are cut to `max_len` tokens, and to what the model takes.
    ///
    /// # Errors
    /// [`Error::Request`] when the folder holds no fine-tuned classifier.
    pub fn open(folder: &ModelFolder, max_len: usize, device: &Device) -> Result<Self> {
        let config = folder.config()?;
        let labels = read_labels(&folder.path().join("config.json"))?;
        let tensors = folder.tensors()?;
        let Some(weight) = tensors.get("classifier.weight") else {
            return Err(Error::Request(format!(
                "{}: has no classifier; fine-tune the model on a task first (bert-train finetune)",
                folder.path().display()
            )));
        };
        let outputs = weight.dims().first().copied().unwrap_or(0);
        if outputs == 0 || (!labels.is_empty() && labels.len() != outputs) {
            let names = labels.len();
            return Err(Error::Request(format!(
                "{}: the classifier has {outputs} outputs and id2label names {names}; correct config.json",
                folder.path().display()
            )));
        }
        let model = BertForSequenceClassification::new(&config, outputs, 0, device)?;
        let report = model.parameters().load(&tensors)?;
        if !report.new.is_empty() {
            let (path, missing) = (folder.path().display(), report.new.join(", "));
            return Err(Error::Request(format!("{path}: has no {missing}; give a whole model")));
        }
        let labels = match (outputs, labels.is_empty()) {
            (2.., true) => (0..outputs).map(|label| label.to_string()).collect(),
            (1, _) => Vec::new(),
            _ => labels,
        };
        let max_len = max_len.min(config.max_position_embeddings);
        Ok(Self { model, tokenizer: folder.tokenizer()?, labels, max_len })
    }

    /// Answers to texts, in their order; the second of each is that of a pair.
    pub fn predict(&self, texts: &[(String, Option<String>)]) -> Result<Vec<Prediction>> {
        let mut predictions = Vec::with_capacity(texts.len());
        for chunk in texts.chunks(BATCH) {
            let encode =
                |(a, b): &(String, Option<String>)| encode_pair(&self.tokenizer, a, b.as_deref(), self.max_len);
            let encoded: Vec<_> = chunk.iter().map(encode).collect();
            let items: Vec<_> = encoded.iter().map(|(ids, second)| (ids.as_slice(), *second)).collect();
            let logits = self.model.logits(&Sequences::packed(&items), &Pass::eval())?;
            predictions.extend(logits.to_vec2::<f32>()?.into_iter().map(|logits| self.prediction(logits)));
        }
        Ok(predictions)
    }

    fn prediction(&self, logits: Vec<f32>) -> Prediction {
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
        if self.labels.is_empty() {
            return Prediction { label: None, score: logits[best], logits };
        }
        let total: f32 = logits.iter().map(|logit| (logit - logits[best]).exp()).sum();
        Prediction { label: Some(self.labels[best].clone()), score: 1.0 / total, logits }
    }
}

impl std::fmt::Display for Prediction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.label {
            Some(label) => write!(f, "{label}\t{:.4}", self.score),
            None => write!(f, "{:.4}", self.score),
        }
    }
}

/// Texts of `input`, one a line; a tab stands between the two of a pair. `name` is how messages call it.
///
/// # Errors
/// A line that is not UTF-8, with its number.
pub fn read_texts(input: impl BufRead, name: &Path) -> Result<Vec<(String, Option<String>)>> {
    let mut texts = Vec::new();
    for (number, line) in input.lines().enumerate() {
        let line = line.map_err(|error| Error::File {
            path: name.to_owned(),
            problem: format!("line {}: {error}; give UTF-8 text", number + 1),
        })?;
        texts.push(match line.split_once('\t') {
            Some((a, b)) => (a.to_owned(), Some(b.to_owned())),
            None => (line, None),
        });
    }
    Ok(texts)
}
