//! Token, position and segment embeddings, normed and dropped out.

use super::layer_norm;
use crate::parameters::Builder;
use crate::{BertConfig, Pass, Result, Sequences};
use bert_kernels::embedding::{self, Lookup};
use bert_kernels::norm::{self, LayerNorm};
use bert_kernels::{Parameter, dropout};
use candle_core::Tensor;

/// Number of this place among those where elements are dropped.
const SITE: u32 = 0;

#[derive(Clone, Debug)]
pub(super) struct Embeddings {
    words: Parameter,
    positions: Parameter,
    segments: Parameter,
    norm: LayerNorm,
    dropout: f64,
}

impl Embeddings {
    pub fn new(config: &BertConfig, builder: &mut Builder) -> Result<Self> {
        let hidden = config.hidden_size;
        let mut table = |name: &str, rows| builder.weight(&format!("bert.embeddings.{name}.weight"), (rows, hidden));
        Ok(Self {
            words: table("word_embeddings", config.vocab_size)?,
            positions: table("position_embeddings", config.max_position_embeddings)?,
            segments: table("token_type_embeddings", config.type_vocab_size)?,
            norm: layer_norm(builder, "bert.embeddings.LayerNorm", config)?,
            dropout: config.hidden_dropout_prob,
        })
    }

    pub fn words(&self) -> &Parameter {
        &self.words
    }

    /// -> [T, H]
    pub fn forward(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        let lookups = [
            Lookup { table: &self.words, ids: &sequences.input_ids },
            Lookup { table: &self.positions, ids: &sequences.position_ids },
            Lookup { table: &self.segments, ids: &sequences.token_type_ids },
        ];
        let mask = pass.dropout(self.dropout, SITE);
        if !pass.fast(self.words.value()) {
            let x = norm::reference(&embedding::reference(&lookups)?, None, &self.norm, None)?;
            return Ok(dropout::reference(&x, mask)?);
        }
        let x = norm::layer_norm(&embedding::embedding_as(&lookups, pass.dtype)?, &self.norm)?;
        Ok(if pass.train { dropout::dropout(&x, mask)? } else { x.detach() })
    }
}
