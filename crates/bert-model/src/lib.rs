//! BERT as a trainable model on Candle: configuration, parameters, encoder, heads, Hugging Face files.
//!
//! Its three principal types: [`BertConfig`] (what a model is), [`ParameterStore`] (its trainable tensors in a fixed
//! order, loaded and saved under Hugging Face's names), and the models [`BertForPreTraining`] and
//! [`BertForSequenceClassification`], which turn a batch into [`LossPart`]s.
//!
//! A batch is packed or padded ([`Sequences`]); the model does not know which. A loss is a sum and a weight; who
//! trains divides by the weight of the whole batch, once.
//!
//! ```
//! use bert_model::{BertConfig, BertForPreTraining, Pass, PretrainingBatch, Sequences, backward};
//! use candle_core::Device;
//!
//! let config = BertConfig { vocab_size: 100, ..BertConfig::preset("tiny")? };
//! let model = BertForPreTraining::new(&config, 42, &Device::Cpu)?;
//! let sequences = Sequences::packed(&[(&[2, 11, 4, 3, 12, 3], 4), (&[2, 4, 3, 9, 3], 3)]);
//! let batch = PretrainingBatch {
//!     masked_rows: vec![sequences.row(0, 2), sequences.row(1, 1)],
//!     masked_labels: vec![17, 31],
//!     next_sentence_labels: vec![0, 1],
//!     sequences,
//! };
//! let parts = model.loss(&batch, &Pass::train(42, 0))?;
//! let loss = ((&parts[0].sum / parts[0].weight)? + (&parts[1].sum / parts[1].weight)?)?;
//! backward(&loss, model.parameters())?;
//! assert!(model.parameters().iter().all(|p| p.has_grad()));
//! # Ok::<(), bert_model::Error>(())
//! ```

mod batch;
mod classification;
mod config;
mod encoder;
mod error;
mod heads;
mod objective;
mod parameters;
mod pass;
mod pretrained;
mod pretraining;

pub use batch::{PretrainingBatch, Sequences, Targets};
pub use bert_kernels::{Parameter, Spans};
pub use classification::BertForSequenceClassification;
pub use config::{BertConfig, HiddenAct, PRESETS};
pub use encoder::Encoder;
pub use error::{Error, Result};
pub use objective::{LossPart, backward};
pub use parameters::{LoadReport, ParameterStore};
pub use pass::Pass;
pub use pretrained::{load_tensors, read_labels, save_pretrained};
pub use pretraining::BertForPreTraining;
