//! What stands on the encoder: pooler, masked-language model, next-sentence prediction, classifier.

use crate::objective::LossPart;
use crate::parameters::Builder;
use crate::{BertConfig, Pass, Result};
use bert_kernels::norm::{self, LayerNorm};
use bert_kernels::{Activation, Parameter, activation, linear, loss};
use candle_core::Tensor;

/// Weight [out, in] and bias [out] of a linear map.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    pub weight: Parameter,
    pub bias: Parameter,
}

/// A linear map with BERT's initial values.
pub(crate) fn dense(builder: &mut Builder, name: &str, inputs: usize, outputs: usize) -> Result<Dense> {
    Ok(Dense {
        weight: builder.weight(&format!("{name}.weight"), (outputs, inputs))?,
        bias: builder.zeros(&format!("{name}.bias"), outputs)?,
    })
}

/// A layer norm that begins as the identity.
pub(crate) fn layer_norm(builder: &mut Builder, name: &str, config: &BertConfig) -> Result<LayerNorm> {
    Ok(LayerNorm {
        weight: builder.ones(&format!("{name}.weight"), config.hidden_size)?,
        bias: builder.zeros(&format!("{name}.bias"), config.hidden_size)?,
        epsilon: config.layer_norm_eps,
    })
}

impl Dense {
    /// x [n, in] -> [n, out]
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        Ok(match pass.fast(x) {
            true => linear::linear(x, &self.weight, &self.bias)?,
            false => linear::reference(x, &self.weight, &self.bias)?,
        })
    }

    /// The cross-entropy of the classes this map scores.
    pub fn cross_entropy(&self, name: &'static str, x: &Tensor, labels: &[u32], pass: &Pass) -> Result<LossPart> {
        let loss = match pass.fast(x) {
            true => loss::cross_entropy(x, &self.weight, &self.bias, labels)?,
            false => loss::reference(x, &self.weight, &self.bias, labels)?,
        };
        Ok(LossPart { name, sum: loss.sum, weight: labels.len() as f64, correct: Some(loss.correct) })
    }
}

/// tanh(W [CLS] + b): [B, H] from the hidden states of the first tokens.
#[derive(Clone, Debug)]
pub(crate) struct Pooler(Dense);

impl Pooler {
    pub fn new(config: &BertConfig, builder: &mut Builder) -> Result<Self> {
        Ok(Self(dense(builder, "bert.pooler.dense", config.hidden_size, config.hidden_size)?))
    }

    pub fn forward(&self, first: &Tensor, pass: &Pass) -> Result<Tensor> {
        Ok(self.0.forward(first, pass)?.tanh()?)
    }
}

/// The masked-language-model head: a transform, then scores by the token embeddings and a bias for each token.
#[derive(Clone, Debug)]
pub(crate) struct MlmHead {
    transform: Dense,
    norm: LayerNorm,
    activation: Activation,
    decoder: Dense,
}

impl MlmHead {
    /// `words` is the table of token embeddings: the decoder's weight is tied to it.
    pub fn new(config: &BertConfig, words: &Parameter, builder: &mut Builder) -> Result<Self> {
        let hidden = config.hidden_size;
        Ok(Self {
            decoder: Dense { weight: words.clone(), bias: builder.zeros("cls.predictions.bias", config.vocab_size)? },
            transform: dense(builder, "cls.predictions.transform.dense", hidden, hidden)?,
            norm: layer_norm(builder, "cls.predictions.transform.LayerNorm", config)?,
            activation: config.hidden_act.kernel(),
        })
    }

    /// Hidden states of the masked positions [n, H], ready to be compared with the token embeddings.
    fn transform(&self, hidden: &Tensor, pass: &Pass) -> Result<Tensor> {
        let x = self.transform.forward(hidden, pass)?;
        Ok(match pass.fast(&x) {
            true => norm::layer_norm(&activation::activation(&x, self.activation)?, &self.norm)?,
            false => norm::reference(&activation::reference(&x, self.activation)?, None, &self.norm, None)?,
        })
    }

    pub fn loss(&self, hidden: &Tensor, labels: &[u32], pass: &Pass) -> Result<LossPart> {
        self.decoder.cross_entropy("mlm", &self.transform(hidden, pass)?, labels, pass)
    }

    /// [n, V]
    pub fn logits(&self, hidden: &Tensor, pass: &Pass) -> Result<Tensor> {
        self.decoder.forward(&self.transform(hidden, pass)?, pass)
    }
}

/// Rows of the hidden states [T, H] -> [n, H].
pub(crate) fn select(hidden: &Tensor, rows: &[u32], pass: &Pass) -> Result<Tensor> {
    Ok(match pass.fast(hidden) {
        true => bert_kernels::embedding::select_rows(hidden, rows)?,
        false => hidden.index_select(&Tensor::new(rows, hidden.device())?, 0)?,
    })
}
