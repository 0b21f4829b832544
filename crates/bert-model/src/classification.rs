//! BERT with a classifier on the pooled output, for tasks on sentences and pairs.

use crate::heads::{Dense, Pooler, dense};
use crate::parameters::{Builder, ParameterStore};
use crate::{BertConfig, Encoder, LossPart, Pass, Result, Sequences, Targets};
use bert_kernels::{dropout, loss};
use candle_core::{Device, Tensor};

/// Number of the classifier's dropout, apart from those of the encoder, which count from 0.
const SITE: u32 = u32::MAX;

/// BERT with a linear classifier on the pooled output (Devlin et al., 2019, section 4.1).
#[derive(Clone, Debug)]
pub struct BertForSequenceClassification {
    encoder: Encoder,
    pooler: Pooler,
    classifier: Dense,
    dropout: f64,
    labels: usize,
    parameters: ParameterStore,
}

impl BertForSequenceClassification {
    /// A model with initial weights that follow from the seed. One label is a regression.
    ///
    /// # Errors
    /// A configuration that describes no model.
    pub fn new(config: &BertConfig, labels: usize, seed: u64, device: &Device) -> Result<Self> {
        let mut builder = Builder::new(seed, config.initializer_range, device);
        let encoder = Encoder::new(config, &mut builder)?;
        let pooler = Pooler::new(config, &mut builder)?;
        let classifier = dense(&mut builder, "classifier", config.hidden_size, labels)?;
        let dropout = config.classifier_dropout.unwrap_or(config.hidden_dropout_prob);
        Ok(Self { encoder, pooler, classifier, dropout, labels, parameters: builder.finish() })
    }

    /// The trainable tensors.
    pub fn parameters(&self) -> &ParameterStore {
        &self.parameters
    }

    /// The configuration.
    pub fn config(&self) -> &BertConfig {
        self.encoder.config()
    }

    /// The loss over the sequences: cross-entropy of classes, squared error of scores.
    ///
    /// # Errors
    /// Scores for a model with several outputs; another number of targets than of sequences.
    pub fn loss(&self, sequences: &Sequences, targets: &Targets, pass: &Pass) -> Result<LossPart> {
        let features = self.features(sequences, pass)?;
        match targets {
            Targets::Classes(classes) => self.classifier.cross_entropy("task", &features, classes, pass),
            Targets::Scores(scores) => {
                if self.labels != 1 || scores.len() != sequences.len() {
                    let sizes = (scores.len(), sequences.len(), self.labels);
                    return Err(candle_core::Error::msg(format!(
                        "{} scores for {} sequences and a model with {} outputs",
                        sizes.0, sizes.1, sizes.2
                    ))
                    .into());
                }
                let sum = loss::squared_error(&self.classifier.forward(&features, pass)?, scores)?;
                Ok(LossPart { name: "task", sum, weight: scores.len() as f64, correct: None })
            }
        }
    }

    /// Scores of the labels for each sequence: [B, labels].
    pub fn logits(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        self.classifier.forward(&self.features(sequences, pass)?, pass)
    }

    /// The pooled output, dropped out: [B, H].
    fn features(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        let [first] = self.encoder.hidden_states_at(sequences, [&sequences.first_rows()], pass)?;
        let pooled = self.pooler.forward(&first, pass)?;
        let mask = pass.dropout(self.dropout, SITE);
        Ok(if pass.reference { dropout::reference(&pooled, mask)? } else { dropout::dropout(&pooled, mask)? })
    }
}
