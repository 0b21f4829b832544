//! Filling `[MASK]` in a sentence.

use bert_data::tokenizer::Tokenizer;
use bert_model::{BertForPreTraining, Pass, Sequences};
use candle_core::Device;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::model_folder::ModelFolder;

/// A sentence and what fits its masks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Filled {
    /// The sentence as given.
    pub text: String,
    /// For each `[MASK]`, in order, the most probable tokens.
    pub masks: Vec<Vec<Candidate>>,
}

/// One token that may stand in place of a mask.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// As a person reads it: as in the vocabulary, with the characters that a byte-level vocabulary's bytes are.
    pub token: String,
    /// Its probability among all tokens.
    pub probability: f32,
}

/// The `top` most probable tokens for each `[MASK]` of `text`.
///
/// # Errors
/// [`Error::Request`] when there is no mask or the text is too long for the model.
pub fn fill_mask(model: &BertForPreTraining, tokenizer: &Tokenizer, text: &str, top: usize) -> Result<Filled> {
    let special = tokenizer.special();
    let mut ids = vec![special.cls];
    ids.extend(tokenizer.encode_with_special_tokens(text));
    ids.push(special.sep);
    let longest = model.config().max_position_embeddings;
    if ids.len() > longest {
        let length = ids.len();
        return Err(Error::Request(format!(
            "the text has {length} tokens, the model takes {longest}; give a shorter one"
        )));
    }
    let sequences = Sequences::packed(&[(ids.as_slice(), ids.len())]);
    let rows: Vec<u32> = ids
        .iter()
        .enumerate()
        .filter(|(_, id)| **id == special.mask)
        .map(|(position, _)| sequences.row(0, position))
        .collect();
    if rows.is_empty() {
        let mask = tokenizer.decode_token(special.mask);
        return Err(Error::Request(format!("{text:?} holds no {mask}; write {mask} where a word is to be filled in")));
    }
    let logits = model.mlm_logits(&sequences, &rows, &Pass::eval())?; // [masks, V]
    let masks = logits.to_vec2::<f32>()?.into_iter().map(|scores| candidates(&scores, tokenizer, top)).collect();
    Ok(Filled { text: text.to_owned(), masks })
}

/// As [`fill_mask`], with the model of a folder or of the Hub.
pub fn fill_mask_with(folder: &ModelFolder, text: &str, top: usize, device: &Device) -> Result<Filled> {
    let config = folder.config()?;
    let tokenizer = folder.tokenizer()?;
    let model = BertForPreTraining::new(&config, 0, device)?;
    let report = model.parameters().load(&folder.tensors()?)?;
    let missing: Vec<_> = report
        .new
        .iter()
        .filter(|name| !name.contains("pooler") && !name.contains("seq_relationship"))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        return Err(Error::Request(format!(
            "{}: has no {}; filling a mask needs a model pre-trained on masked tokens, with its head",
            folder.path().display(),
            missing.join(", ")
        )));
    }
    fill_mask(&model, &tokenizer, text, top)
}

fn candidates(scores: &[f32], tokenizer: &Tokenizer, top: usize) -> Vec<Candidate> {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f32 = scores.iter().map(|score| (score - highest).exp()).sum();
    // Rows beyond the vocabulary, where a model is padded, stand for no token.
    let mut order: Vec<usize> = (0..scores.len().min(tokenizer.vocab_size())).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order
        .into_iter()
        .take(top)
        .map(|id| Candidate {
            token: tokenizer.readable_token(id as u32).into_owned(),
            probability: (scores[id] - highest).exp() / total,
        })
        .collect()
}

impl std::fmt::Display for Filled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.text)?;
        for (index, mask) in self.masks.iter().enumerate() {
            if self.masks.len() > 1 {
                writeln!(f, "  [MASK] {}:", index + 1)?;
            }
            for candidate in mask {
                writeln!(f, "  {:5.1}%  {}", 100.0 * candidate.probability, candidate.token)?;
            }
        }
        Ok(())
    }
}
