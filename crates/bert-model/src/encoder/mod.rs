//! Embeddings and layers: token ids to hidden states.

mod embeddings;
mod layer;

use crate::heads::{Dense, dense, layer_norm};
use crate::parameters::Builder;
use crate::{BertConfig, Error, Pass, Result, Sequences};
use candle_core::Tensor;
use embeddings::Embeddings;
use layer::Layer;

/// The encoder of BERT (Devlin et al., 2019, section 3; Vaswani et al., 2017).
#[derive(Clone, Debug)]
pub struct Encoder {
    config: BertConfig,
    embeddings: Embeddings,
    layers: Vec<Layer>,
}

impl Encoder {
    pub(crate) fn new(config: &BertConfig, builder: &mut Builder) -> Result<Self> {
        config.validate()?;
        let embeddings = Embeddings::new(config, builder)?;
        let layers = (0..config.num_hidden_layers).map(|i| Layer::new(config, i, builder)).collect::<Result<_>>()?;
        Ok(Self { config: config.clone(), embeddings, layers })
    }

    /// The configuration that the encoder was built from.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// The table of token embeddings [V, H], which the masked-language-model head uses again.
    pub fn word_embeddings(&self) -> &bert_kernels::Parameter {
        self.embeddings.words()
    }

    /// Hidden states of the last layer [T, H].
    ///
    /// # Errors
    /// A sequence longer than the position table, an id beyond the vocabulary.
    pub fn hidden_states(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        let (length, max) = (sequences.spans.longest(), self.config.max_position_embeddings);
        if length > max {
            return Err(Error::TooLong { length, max });
        }
        let mut x = self.embeddings.forward(sequences, pass)?;
        for layer in &self.layers {
            x = layer.forward(&x, &sequences.spans, pass)?;
        }
        Ok(x)
    }
}
