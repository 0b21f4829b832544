//! `init`: pre-training that starts from the weights of another model instead of random ones.
//!
//! The vocabulary may be the model's own, or that one with tokens behind it (`bert-data vocab --extend`). A new token's row of
//! the word embedding, and with it of the masked-token scores, is the mean of the rows of the pieces into which the old
//! vocabulary splits it: that is where the model, which read those pieces, would have put their average, at the scale that the
//! layers behind it know. A random row points nowhere near its word, and its score begins as noise among trained ones. The bias
//! of the scores is averaged likewise.

use std::collections::{HashMap, HashSet};

use bert_data::tokenizer::Tokenizer;
use bert_model::{BertConfig, BertForPreTraining};
use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::model_folder::{ModelFolder, print_load};

/// The tensors that have a row for each token.
const WORDS: &str = "embeddings.word_embeddings.weight";
const BIAS: &str = "cls.predictions.bias";

/// The model to start from.
pub(super) struct Parent {
    name: String,
    folder: ModelFolder,
    tokenizer: Tokenizer,
}

impl Parent {
    /// Finds the model and compares its shape, before anything is built.
    ///
    /// # Errors
    /// [`Error::Request`] when there is none, or one of another shape.
    pub(super) fn find(name: &str, shape: &BertConfig) -> Result<Self> {
        let folder = ModelFolder::find_for("init", name)?;
        let differences = differences(&folder.config()?, shape);
        if !differences.is_empty() {
            return Err(Error::Request(format!(
                "init {name}: its weights do not fit, because the configuration's model differs ({}); give model the values of \
                 the folder's config.json",
                differences.join(", ")
            )));
        }
        let tokenizer = folder.tokenizer()?;
        Ok(Self { name: name.into(), folder, tokenizer })
    }

    /// Its vocabulary.
    pub(super) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Refuses a vocabulary in which a token of the model has another id or is missing.
    pub(super) fn check_vocabulary(&self, new: &Tokenizer) -> Result<()> {
        let wrong = |problem: String| Err(Error::Request(format!("init {}: {problem}", self.name)));
        let old = &self.tokenizer;
        for (id, token) in old.tokens().iter().enumerate() {
            let now = new.tokens().get(id);
            if now == Some(token) || (now.is_some() && self.is_placeholder(id as u32)) {
                continue;
            }
            let now = now.map_or("missing".to_owned(), |now| format!("`{now}`"));
            return wrong(format!(
                "token {id} of its vocabulary is `{token}`, and here it is {now}; use its own vocabulary, or one made from it \
                 with `bert-data vocab --extend`"
            ));
        }
        if old.normalization() != new.normalization() {
            return wrong(format!(
                "its vocabulary is for text normalised otherwise ({:?}, here {:?}); make the two tokenizer_config.json agree",
                old.normalization(),
                new.normalization()
            ));
        }
        if new.vocab_size() > old.vocab_size() && old.normalization().is_none() {
            return wrong("its vocabulary is not WordPiece, and only such a one may have new tokens behind it".into());
        }
        Ok(())
    }

    /// Gives the model its weights, and says what came from where. The vocabulary has been checked.
    pub(super) fn load_into(&self, model: &BertForPreTraining, new: &Tokenizer) -> Result<()> {
        let mut tensors = self.folder.tensors()?;
        let initial: HashMap<String, Tensor> = model.parameters().tensors()?.into_iter().collect();
        let added = self.added(new);
        for (name, tensor) in &mut tensors {
            let table = [WORDS, BIAS].into_iter().find(|table| name.strip_prefix("bert.").unwrap_or(name) == *table);
            let own = table.and_then(|table| initial.get(&format!("bert.{table}")).or_else(|| initial.get(table)));
            if let Some(own) = own {
                *tensor = self.grown(tensor, own, &added)?;
            }
        }
        eprintln!("starting from {}", self.folder.path().display());
        print_load(&model.parameters().load(&tensors)?);
        if !added.is_empty() {
            let unknown = added.iter().filter(|(_, pieces)| pieces.contains(&self.tokenizer.special().unk)).count();
            eprintln!(
                "{} tokens are new to it: each starts as the mean of its pieces, {unknown} of them as [UNK], which they were",
                added.len()
            );
        }
        Ok(())
    }

    /// The tokens that the model does not know, with their pieces in its vocabulary.
    fn added(&self, new: &Tokenizer) -> Vec<(usize, Vec<u32>)> {
        let is_new = |id: &usize| self.tokenizer.tokens().get(*id) != Some(&new.tokens()[*id]);
        let new_ids = (0..new.vocab_size()).filter(is_new);
        new_ids.map(|id| (id, pieces(&self.tokenizer, &new.tokens()[id]))).collect()
    }

    /// A table with a row for each token of the new vocabulary: the old rows, and means for the tokens that were added. Rows
    /// that stand for no token, where the model has more than the vocabulary, stay as they are in `own`, the new model's.
    fn grown(&self, old: &Tensor, own: &Tensor, added: &[(usize, Vec<u32>)]) -> Result<Tensor> {
        let known = self.tokenizer.vocab_size().min(own.dim(0)?);
        if old.dims().get(1..) != own.dims().get(1..) || old.dim(0)? < known {
            // The loading names the tensor and both shapes.
            return Ok(old.clone());
        }
        let old = old.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
        let own = own.to_device(&Device::Cpu)?;
        let rows = |tensor: &Tensor| tensor.dims()[1..].iter().product::<usize>();
        let width = rows(&old);
        let values: Vec<f32> = old.narrow(0, 0, known)?.contiguous()?.flatten_all()?.to_vec1()?;
        let mut table: Vec<f32> = own.flatten_all()?.to_vec1()?;
        table[..values.len()].copy_from_slice(&values);
        for (id, pieces) in added {
            let row = &mut table[id * width..(id + 1) * width];
            for (column, value) in row.iter_mut().enumerate() {
                // In f64, so that the mean does not depend on the order of the pieces.
                let sum: f64 = pieces.iter().map(|&piece| f64::from(values[piece as usize * width + column])).sum();
                *value = (sum / pieces.len() as f64) as f32;
            }
        }
        Ok(Tensor::from_vec(table, own.dims(), &Device::Cpu)?)
    }

    /// A placeholder (`[unused0]`) has no meaning that a new token at its place could lose.
    fn is_placeholder(&self, id: u32) -> bool {
        let special = self.tokenizer.special();
        let named = [special.pad, special.unk, special.cls, special.sep, special.mask].contains(&id);
        !named && self.tokenizer.is_special(id)
    }
}

/// The keys, dropout and initial values aside, in which two shapes differ.
fn differences(old: &BertConfig, new: &BertConfig) -> Vec<String> {
    let without_effect: HashSet<&str> = [
        "vocab_size",
        "pad_token_id",
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "initializer_range",
    ]
    .into();
    let json = |config: &BertConfig| serde_json::to_value(config).unwrap_or_default();
    let (old, new) = (json(old), json(new));
    let keys = new.as_object().into_iter().flatten();
    keys.filter(|(key, value)| !without_effect.contains(key.as_str()) && old.get(key) != Some(*value))
        .map(|(key, value)| format!("{key}: {} there, {value} here", old[key]))
        .collect()
}

/// A token as WordPiece cuts it with the old vocabulary: the longest pieces from the left, or `[UNK]`.
fn pieces(old: &Tokenizer, token: &str) -> Vec<u32> {
    let (mut mark, mut rest) = match token.strip_prefix("##") {
        Some(rest) => ("##", rest),
        None => ("", token),
    };
    let mut found = Vec::new();
    while !rest.is_empty() {
        let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
        let longest = ends.filter_map(|end| Some((end, old.token_id(&format!("{mark}{}", &rest[..end]))?))).next();
        let Some((end, id)) = longest else { return vec![old.special().unk] };
        found.push(id);
        (mark, rest) = ("##", &rest[end..]);
    }
    if found.is_empty() { vec![old.special().unk] } else { found }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_is_cut_as_the_old_vocabulary_reads_it() {
        let tokens = "[PAD] [UNK] [CLS] [SEP] [MASK] card io card ##io ##gram ##g ##r car ##a";
        let mut seen = HashSet::new();
        let tokens = tokens.split(' ').filter(|token| seen.insert(*token)).map(String::from).collect();
        let old = Tokenizer::from_vocab(tokens, true).unwrap();
        let names =
            |token| pieces(&old, token).into_iter().map(|id| old.decode_token(id)).collect::<Vec<_>>().join(" ");
        assert_eq!(names("cardiogram"), "card ##io ##gram");
        assert_eq!(names("##iogra"), "##io ##g ##r ##a");
        assert_eq!(names("β"), "[UNK]");
        assert_eq!(names("cardx"), "[UNK]");
    }

    #[test]
    fn keys_that_change_what_weights_mean_are_told_and_others_are_not() {
        let old = BertConfig::default();
        let new = BertConfig { vocab_size: 7, hidden_dropout_prob: 0.0, ..old.clone() };
        assert!(differences(&old, &new).is_empty());
        let new = BertConfig { hidden_size: 384, ..old.clone() };
        assert_eq!(differences(&old, &new), ["hidden_size: 768 there, 384 here"]);
    }
}
