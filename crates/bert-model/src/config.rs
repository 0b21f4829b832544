//! What a BERT is: the fields of Hugging Face's `config.json`.

use crate::{Error, Result};
use bert_kernels::Activation;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Names of the released sizes, smallest first (Turc et al., 2019; Devlin et al., 2019).
pub const PRESETS: [&str; 6] = ["tiny", "mini", "small", "medium", "base", "large"];

/// The activation of the feed-forward blocks and of the masked-language-model head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HiddenAct {
    /// GELU with the error function.
    #[default]
    #[serde(rename = "gelu")]
    Gelu,
    /// GELU by the tanh approximation, as the original has it.
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh")]
    GeluTanh,
    /// max(x, 0).
    #[serde(rename = "relu")]
    Relu,
}

impl HiddenAct {
    pub(crate) fn kernel(self) -> Activation {
        match self {
            Self::Gelu => Activation::Gelu,
            Self::GeluTanh => Activation::GeluTanh,
            Self::Relu => Activation::Relu,
        }
    }
}

/// Everything that determines the shape of a model. The defaults are BERT-Base's, uncased.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BertConfig {
    /// V: entries of the vocabulary.
    pub vocab_size: usize,
    /// H: width of the hidden states.
    pub hidden_size: usize,
    /// Number of encoder layers.
    pub num_hidden_layers: usize,
    /// N: attention heads; must divide H.
    pub num_attention_heads: usize,
    /// I: inner width of the feed-forward blocks.
    pub intermediate_size: usize,
    /// Activation of the feed-forward blocks.
    pub hidden_act: HiddenAct,
    /// Dropout of embeddings and block outputs.
    pub hidden_dropout_prob: f64,
    /// Dropout of attention probabilities.
    pub attention_probs_dropout_prob: f64,
    /// Dropout in front of a task's classifier; that of the hidden states where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classifier_dropout: Option<f64>,
    /// Longest sequence: rows of the position table.
    pub max_position_embeddings: usize,
    /// Number of segments.
    pub type_vocab_size: usize,
    /// Standard deviation of the initial weights, which are cut at two of them.
    pub initializer_range: f64,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
    /// Id of `[PAD]`.
    pub pad_token_id: u32,
}

impl Default for BertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30_522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3_072,
            hidden_act: HiddenAct::Gelu,
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            classifier_dropout: None,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            initializer_range: 0.02,
            layer_norm_eps: 1e-12,
            pad_token_id: 0,
        }
    }
}

impl BertConfig {
    /// A released size by name ([`PRESETS`]) or by the grid's notation, for example `L-4_H-512`.
    pub fn preset(name: &str) -> Result<Self> {
        let sized = |layers: usize, hidden: usize| Self {
            num_hidden_layers: layers,
            hidden_size: hidden,
            num_attention_heads: hidden / 64,
            intermediate_size: 4 * hidden,
            ..Self::default()
        };
        match name.to_ascii_lowercase().as_str() {
            "tiny" => Ok(sized(2, 128)),
            "mini" => Ok(sized(4, 256)),
            "small" => Ok(sized(4, 512)),
            "medium" => Ok(sized(8, 512)),
            "base" => Ok(sized(12, 768)),
            "large" => Ok(sized(24, 1024)),
            other => {
                let unknown = || Error::UnknownPreset(name.to_string());
                let (layers, hidden) =
                    other.strip_prefix("l-").and_then(|rest| rest.split_once("_h-")).ok_or_else(unknown)?;
                let number = |text: &str| text.parse::<usize>().map_err(|_| unknown());
                match (number(layers)?, number(hidden)?) {
                    (l @ (2 | 4 | 6 | 8 | 10 | 12), h @ (128 | 256 | 512 | 768)) => Ok(sized(l, h)),
                    _ => Err(unknown()),
                }
            }
        }
    }

    /// Reads Hugging Face's `config.json`. Keys that do not concern the shape of a BERT are passed over.
    ///
    /// # Errors
    /// A file that is not such a configuration, another `model_type`, an impossible value.
    pub fn from_file(path: &Path) -> Result<Self> {
        let file = |reason: String| Error::File { path: path.into(), reason };
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), source })?;
        let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| file(e.to_string()))?;
        if let Some(other) = json.get("model_type").and_then(|v| v.as_str()).filter(|&kind| kind != "bert") {
            return Err(file(format!("model_type is `{other}`; only `bert` is supported")));
        }
        let position = json.get("position_embedding_type").and_then(|v| v.as_str());
        if let Some(other) = position.filter(|&kind| kind != "absolute") {
            return Err(file(format!("position_embedding_type is `{other}`; only `absolute` is supported")));
        }
        let config: Self = serde_json::from_value(json).map_err(|e| file(e.to_string()))?;
        config.validate()?;
        Ok(config)
    }

    /// Checks that a model of this configuration can exist.
    pub fn validate(&self) -> Result<()> {
        let wrong =
            |key: &'static str, value: String, cure: &str| Err(Error::Config { key, value, cure: cure.to_string() });
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ];
        if let Some((key, value)) = sizes.into_iter().find(|(_, value)| *value == 0) {
            return wrong(key, value.to_string(), "it must be at least 1");
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let cure = format!("it must divide hidden_size = {}", self.hidden_size);
            return wrong("num_attention_heads", self.num_attention_heads.to_string(), &cure);
        }
        let probabilities = [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
            ("classifier_dropout", self.classifier_dropout.unwrap_or(0.0)),
        ];
        if let Some((key, value)) = probabilities.into_iter().find(|(_, p)| !(0.0..1.0).contains(p)) {
            return wrong(key, value.to_string(), "a probability from 0 to below 1 is needed");
        }
        for (key, value) in [("initializer_range", self.initializer_range), ("layer_norm_eps", self.layer_norm_eps)] {
            if !(value > 0.0 && value.is_finite()) {
                return wrong(key, value.to_string(), "it must be a positive number");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_the_released_sizes() {
        for (name, layers, hidden, heads, intermediate) in [
            ("tiny", 2, 128, 2, 512),
            ("mini", 4, 256, 4, 1024),
            ("small", 4, 512, 8, 2048),
            ("medium", 8, 512, 8, 2048),
            ("base", 12, 768, 12, 3072),
            ("large", 24, 1024, 16, 4096),
            ("L-10_H-256", 10, 256, 4, 1024),
        ] {
            let c = BertConfig::preset(name).unwrap();
            c.validate().unwrap();
            let sizes = (c.num_hidden_layers, c.hidden_size, c.num_attention_heads, c.intermediate_size);
            assert_eq!(sizes, (layers, hidden, heads, intermediate), "{name}");
        }
        for name in ["huge", "L-3_H-128", "L-2_H-100", "L-2", "l-x_h-128"] {
            assert!(matches!(BertConfig::preset(name), Err(Error::UnknownPreset(_))), "{name}");
        }
    }

    #[test]
    fn impossible_values_are_named() {
        let base = BertConfig::default;
        for (config, key) in [
            (BertConfig { num_attention_heads: 7, ..base() }, "num_attention_heads"),
            (BertConfig { num_attention_heads: 0, ..base() }, "num_attention_heads"),
            (BertConfig { hidden_dropout_prob: 1.0, ..base() }, "hidden_dropout_prob"),
            (BertConfig { layer_norm_eps: f64::NAN, ..base() }, "layer_norm_eps"),
        ] {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        }
    }
}
