//! Scores on a labelled split with the task's official metrics.

use std::path::Path;

use bert_data::tasks::{Label, Task, TaskSplit};
use bert_model::{BertForSequenceClassification, Pass, read_labels};
use candle_core::Device;
use serde::Serialize;

use super::batch::{Encoded, pack};
use super::metrics;
use super::task_data::{TaskInputs, encode};
use crate::error::{Error, Result};
use crate::model_folder::ModelFolder;

/// Examples a forward pass; the result does not depend on it.
const BATCH: usize = 32;

/// Scores of one model on one split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Mean loss: cross-entropy in nats, or squared error for STS-B.
    pub loss: f64,
    /// The official metrics, as the task lists them.
    pub metrics: Vec<(&'static str, f64)>,
    /// Labelled examples.
    pub examples: usize,
}

impl Evaluation {
    /// Mean of the metrics: what GLUE averages, and what epochs are compared by.
    pub fn score(&self) -> f64 {
        let sum: f64 = self.metrics.iter().map(|(_, value)| value).sum();
        sum / self.metrics.len().max(1) as f64
    }
}

impl std::fmt::Display for Evaluation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, value) in &self.metrics {
            write!(f, "{name} {:.2}  ", 100.0 * value)?;
        }
        write!(f, "loss {:.4}  ({} examples)", self.loss, self.examples)
    }
}

/// Scores `model` on labelled examples. `classes[i]` is the task's class that the model's output `i` stands for.
pub fn evaluate(
    model: &BertForSequenceClassification,
    task: Task,
    classes: &[usize],
    examples: &[Encoded],
) -> Result<Evaluation> {
    let regression = task.is_regression();
    let mut loss = 0.0;
    let mut predicted: Vec<Vec<f32>> = Vec::with_capacity(examples.len());
    let all: Vec<&Encoded> = examples.iter().collect();
    for chunk in all.chunks(BATCH) {
        let sequences = pack(chunk);
        let outputs = model.logits(&sequences, &Pass::eval())?.to_vec2::<f32>()?;
        loss += summed_loss(&outputs, classes, chunk, regression);
        predicted.extend(outputs);
    }
    let metrics = if regression {
        let scores: Vec<f64> = predicted.iter().map(|outputs| f64::from(outputs[0])).collect();
        let gold: Vec<f64> = examples.iter().map(gold_score).collect();
        vec![("pearson", metrics::pearson(&scores, &gold)), ("spearman", metrics::spearman(&scores, &gold))]
    } else {
        let predicted: Vec<usize> = predicted.iter().map(|o| classes[highest(o)]).collect();
        let gold: Vec<usize> = examples.iter().map(gold_class).collect();
        match task {
            Task::Cola => vec![("matthews", metrics::matthews(&predicted, &gold))],
            Task::Mrpc => {
                vec![("f1", metrics::f1(&predicted, &gold)), ("accuracy", metrics::accuracy(&predicted, &gold))]
            }
            _ => vec![("accuracy", metrics::accuracy(&predicted, &gold))],
        }
    };
    Ok(Evaluation { loss: loss / examples.len().max(1) as f64, metrics, examples: examples.len() })
}

/// Scores a fine-tuned model's folder on a split.
///
/// # Errors
/// [`Error::Request`] when the folder holds no classifier for this task or the split has no labels.
pub fn evaluate_folder(
    folder: &ModelFolder,
    task: Task,
    inputs: TaskInputs<'_>,
    split: TaskSplit,
    max_len: usize,
    device: &Device,
) -> Result<Evaluation> {
    let config = folder.config()?;
    let tokenizer = folder.tokenizer()?;
    let outputs = task.labels().len().max(1);
    let classes = classes_of(&folder.path().join("config.json"), task)?;
    let model = BertForSequenceClassification::new(&config, outputs, 0, device)?;
    let report = model.parameters().load(&folder.tensors()?)?;
    if !report.new.is_empty() {
        return Err(Error::Request(format!(
            "{}: has no {}; fine-tune the model on the task first",
            folder.path().display(),
            report.new.join(", ")
        )));
    }
    let examples = inputs.read(task, split)?;
    let max_len = max_len.min(config.max_position_embeddings);
    let encoded = encode(&examples, &tokenizer, max_len);
    if encoded.iter().any(|example| example.label.is_none()) {
        return Err(Error::Request("this split has no labels to score against; give --split dev".into()));
    }
    evaluate(&model, task, &classes, &encoded)
}

/// Which class of the task each output of a saved model stands for, by the names in `id2label`.
pub(super) fn classes_of(config_json: &Path, task: Task) -> Result<Vec<usize>> {
    let labels = task.labels();
    let names = read_labels(config_json)?;
    // `LABEL_0` is what Transformers writes when nobody named the classes.
    if labels.is_empty() || names.iter().all(|name| name.starts_with("LABEL_")) {
        return Ok((0..labels.len().max(1)).collect());
    }
    let class = |name: &String| labels.iter().position(|label| label == name);
    let classes: Option<Vec<usize>> = names.iter().map(class).collect();
    classes.filter(|classes| classes.len() == labels.len()).ok_or_else(|| {
        let (names, labels) = (names.join(", "), labels.join(", "));
        Error::Request(format!(
            "{}: id2label has the labels {names} and the task has {labels}; give a model fine-tuned on this task",
            config_json.display()
        ))
    })
}

/// Sum of cross-entropies or squared errors, in f64.
fn summed_loss(outputs: &[Vec<f32>], classes: &[usize], examples: &[&Encoded], regression: bool) -> f64 {
    let one = |(scores, example): (&Vec<f32>, &&Encoded)| {
        if regression {
            return (f64::from(scores[0]) - gold_score(example)).powi(2);
        }
        let highest = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let total: f64 = scores.iter().map(|s| (f64::from(*s) - highest).exp()).sum();
        let gold = classes.iter().position(|class| *class == gold_class(example));
        let gold = gold.map_or(f64::NEG_INFINITY, |output| f64::from(scores[output]));
        total.ln() + highest - gold
    };
    outputs.iter().zip(examples).map(one).sum()
}

fn highest(scores: &[f32]) -> usize {
    let better = |best: usize, i: usize| if scores[i] > scores[best] { i } else { best };
    (0..scores.len()).reduce(better).unwrap_or(0)
}

fn gold_class(example: &Encoded) -> usize {
    match example.label {
        Some(Label::Class(class)) => class,
        Some(Label::Score(score)) => score as usize,
        None => 0,
    }
}

fn gold_score(example: &Encoded) -> f64 {
    match example.label {
        Some(Label::Score(score)) => score,
        Some(Label::Class(class)) => class as f64,
        None => 0.0,
    }
}
