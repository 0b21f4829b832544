//! BERT with the heads of pre-training.

use crate::heads::{Dense, MlmHead, Pooler, dense};
use crate::parameters::{Builder, ParameterStore};
use crate::{BertConfig, Encoder, LossPart, Pass, PretrainingBatch, Result, Sequences};
use candle_core::{Device, Tensor};

/// BERT with the masked-language-model and next-sentence heads (Devlin et al., 2019, section 3.1).
#[derive(Clone, Debug)]
pub struct BertForPreTraining {
    encoder: Encoder,
    pooler: Pooler,
    masked: MlmHead,
    next_sentence: Dense,
    parameters: ParameterStore,
}

impl BertForPreTraining {
    /// A model with initial weights that follow from the seed.
    ///
    /// # Errors
    /// A configuration that describes no model.
    pub fn new(config: &BertConfig, seed: u64, device: &Device) -> Result<Self> {
        let mut builder = Builder::new(seed, config.initializer_range, device);
        let encoder = Encoder::new(config, &mut builder)?;
        let pooler = Pooler::new(config, &mut builder)?;
        let masked = MlmHead::new(config, encoder.word_embeddings(), &mut builder)?;
        let next_sentence = dense(&mut builder, "cls.seq_relationship", config.hidden_size, 2)?;
        Ok(Self { encoder, pooler, masked, next_sentence, parameters: builder.finish() })
    }

    /// The trainable tensors.
    pub fn parameters(&self) -> &ParameterStore {
        &self.parameters
    }

    /// The configuration.
    pub fn config(&self) -> &BertConfig {
        self.encoder.config()
    }

    /// Hidden states of the last layer [T, H].
    pub fn hidden_states(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        self.encoder.hidden_states(sequences, pass)
    }

    /// The parts of the objective: `mlm` over the masked positions, and `nsp` over the sequences where the batch has
    /// next-sentence labels.
    pub fn loss(&self, batch: &PretrainingBatch, pass: &Pass) -> Result<Vec<LossPart>> {
        let with_pairs = !batch.next_sentence_labels.is_empty();
        let first = if with_pairs { batch.sequences.first_rows() } else { Vec::new() };
        let [masked, first] = self.encoder.hidden_states_at(&batch.sequences, [&batch.masked_rows, &first], pass)?;
        let mut parts = vec![self.masked.loss(&masked, &batch.masked_labels, pass)?];
        if with_pairs {
            let pooled = self.pooler.forward(&first, pass)?;
            parts.push(self.next_sentence.cross_entropy("nsp", &pooled, &batch.next_sentence_labels, pass)?);
        }
        Ok(parts)
    }

    /// Scores of every token of the vocabulary at the given rows: [n, V].
    pub fn mlm_logits(&self, sequences: &Sequences, rows: &[u32], pass: &Pass) -> Result<Tensor> {
        let [hidden] = self.encoder.hidden_states_at(sequences, [rows], pass)?;
        self.masked.logits(&hidden, pass)
    }

    /// Scores of "follows" and "is random" for each sequence: [B, 2].
    pub fn nsp_logits(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        let [first] = self.encoder.hidden_states_at(sequences, [&sequences.first_rows()], pass)?;
        self.next_sentence.forward(&self.pooler.forward(&first, pass)?, pass)
    }
}
