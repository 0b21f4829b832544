//! Embeddings and layers: token ids to hidden states.

mod embeddings;
mod layer;

use crate::heads::{Dense, dense, layer_norm, select};
use crate::parameters::Builder;
use crate::{BertConfig, Error, Pass, Result, Sequences};
use bert_kernels::{Selection, computes_in};
use candle_core::{DType, Tensor};
use embeddings::Embeddings;
use layer::{Chain, Layer};

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
    /// A sequence longer than the position table, an id beyond the vocabulary, a type of activations that the device has no form for.
    pub fn hidden_states(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        let x = self.embed(sequences, pass)?;
        self.layers(&x, sequences, None, pass)
    }

    /// Hidden states of the last layer at N lists of rows, each [n, H]: less work than all of them, since in the last
    /// layer the other rows only serve as keys and values. Lists may overlap and need no order.
    ///
    /// # Errors
    /// As [`Encoder::hidden_states`], and a row that belongs to no sequence.
    pub fn hidden_states_at<const N: usize>(
        &self,
        sequences: &Sequences,
        lists: [&[u32]; N],
        pass: &Pass,
    ) -> Result<[Tensor; N]> {
        let mut rows = lists.concat();
        rows.sort_unstable();
        rows.dedup();
        let selection = Selection::new(&sequences.spans, rows)?;
        let x = self.embed(sequences, pass)?;
        let x = self.layers(&x, sequences, Some(&selection), pass)?;
        let mut states = lists.map(|_| x.clone());
        for (state, rows) in states.iter_mut().zip(lists) {
            if rows != selection.rows() {
                let places: Vec<u32> = rows.iter().filter_map(|&row| selection.place(row)).collect();
                *state = select(&x, &places, pass)?;
            }
        }
        Ok(states)
    }

    /// All layers, the last for the rows of the selection only where there is one.
    fn layers(&self, x: &Tensor, sequences: &Sequences, selection: Option<&Selection>, pass: &Pass) -> Result<Tensor> {
        let spans = &sequences.spans;
        let layers = self.layers.iter().enumerate();
        let mut layers = layers.map(|(i, layer)| (layer, selection.filter(|_| i + 1 == self.layers.len())));
        if !pass.fast(x) {
            return layers.try_fold(x.clone(), |x, (layer, selection)| layer.reference(&x, spans, selection, pass));
        }
        let mut chain = Chain::new(x);
        for (layer, selection) in layers {
            layer.forward(&mut chain, spans, selection, pass)?;
        }
        chain.join(x)
    }

    fn embed(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        let (length, max) = (sequences.spans.longest(), self.config.max_position_embeddings);
        if length > max {
            return Err(Error::TooLong { length, max });
        }
        let device = self.word_embeddings().value().device();
        if pass.dtype != DType::F32 && (pass.reference || !computes_in(pass.dtype, device)) {
            return Err(Error::Precision { dtype: pass.dtype });
        }
        self.embeddings.forward(sequences, pass)
    }
}
