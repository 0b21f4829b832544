//! Byte-level BPE and Unigram: whatever a `tokenizer.json` says, done by the library.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::Lowercase;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, Tokenizer as Library};

use super::cuts::Cuts;
use super::special::{PairLayout, ROBERTA_SPECIAL_TOKENS, SpecialIds};
use super::words::Marks;
use super::{Algorithm, Parts, Tokenizer};
use crate::checksum::sha256_hex;
use crate::error::{Error, Result};

/// A tokenizer from the text of a `tokenizer.json`. `origin` is named in errors.
pub(super) fn from_json(text: String, origin: &Path) -> Result<Tokenizer> {
    let fail = |reason: String| Error::Vocabulary { path: origin.to_owned(), reason };
    let mut value: Value = serde_json::from_str(&text).map_err(|e| fail(format!("not the JSON expected here: {e}")))?;
    let added: Vec<Added> = serde_json::from_value(value["added_tokens"].take())
        .map_err(|e| fail(format!("its added_tokens cannot be read: {e}")))?;
    let digest = sha256_hex(text.as_bytes());
    let algorithm = match model_type(&value) {
        Some("BPE") => Algorithm::Bpe { json: text },
        Some("Unigram") => Algorithm::Unigram { json: text },
        other => {
            let found = other.unwrap_or("not named");
            return Err(fail(format!("its model is {found}; WordPiece, BPE and Unigram can be used")));
        }
    };
    // The tokenizer that encodes knows no added tokens, so that text stays text; neither does it cut or pad.
    value["added_tokens"] = json!([]);
    value["truncation"] = Value::Null;
    value["padding"] = Value::Null;
    let bytes = serde_json::to_vec(&value).map_err(|e| fail(e.to_string()))?;
    let library = Library::from_bytes(bytes).map_err(|e| fail(format!("the tokenizers library refuses it: {e}")))?;

    let mut ids = library.get_vocab(false);
    ids.extend(added.iter().map(|added| (added.token.content.clone(), added.id)));
    let tokens = in_order(&ids).map_err(&fail)?;
    let special = SpecialIds::find(|token| ids.get(token).copied()).map_err(&fail)?;
    let (pre, normalizer) = (&value["pre_tokenizer"], &value["normalizer"]);
    let byte_level = parts_of(pre).any(|part| part["type"] == "ByteLevel");
    Ok(Tokenizer::from_parts(Parts {
        algorithm,
        tokens,
        ids,
        special,
        added: added.into_iter().filter(|added| added.token.special).map(|added| added.token).collect(),
        pairs: pair_layout(&value["post_processor"]),
        marks: if byte_level { Marks::Bytes } else { Marks::Beginning },
        cuts: cuts(pre, normalizer),
        library,
        digest,
    }))
}

/// A byte-level BPE tokenizer as RoBERTa has it, from its two files.
pub(super) fn from_vocab_and_merges(vocab: &Path, merges: &Path, add_prefix_space: bool) -> Result<Tokenizer> {
    let fail = |reason: String| Error::Vocabulary { path: vocab.to_owned(), reason };
    let name = |path: &Path| {
        path.to_str().map(String::from).ok_or_else(|| fail("its path is not UTF-8; move it elsewhere".into()))
    };
    let read = || -> tokenizers::Result<BPE> { BPE::from_file(&name(vocab)?, &name(merges)?).build() };
    let model = read().map_err(|e| fail(format!("with merges.txt beside it, no BPE model: {e}")))?;
    let id = |token: &str| model.get_vocab().get(token).copied();
    let special = SpecialIds::find(id).map_err(&fail)?;
    byte_level_json(model, special, add_prefix_space, false).map_err(|e| fail(e.to_string())).and_then(|json| {
        // Paths only matter to messages from here on.
        from_json(json, vocab)
    })
}

/// The text of a `tokenizer.json` like RoBERTa's around a byte-level BPE model that holds RoBERTa's special tokens.
pub(super) fn byte_level_json(
    model: BPE,
    special: SpecialIds,
    add_prefix_space: bool,
    lowercase: bool,
) -> tokenizers::Result<String> {
    let [cls, _, sep, _, mask] = ROBERTA_SPECIAL_TOKENS;
    let mut library = Library::new(model);
    if lowercase {
        library.with_normalizer(Some(Lowercase))?;
    }
    library.with_pre_tokenizer(Some(ByteLevel::new(add_prefix_space, true, true)));
    library.with_decoder(Some(ByteLevel::default()));
    library.with_post_processor(Some(
        RobertaProcessing::new((sep.into(), special.sep), (cls.into(), special.cls)).add_prefix_space(add_prefix_space),
    ));
    // `<mask>` takes the space before it along, as there.
    let token = |token: &str| AddedToken::from(token, true).lstrip(token == mask);
    library.add_special_tokens(ROBERTA_SPECIAL_TOKENS.map(token))?;
    library.to_string(true)
}

#[derive(serde::Deserialize)]
struct Added {
    id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

/// The model's type; files of older versions leave it out.
pub(super) fn model_type(tokenizer: &Value) -> Option<&str> {
    let model = &tokenizer["model"];
    model["type"].as_str().or(match (model["merges"].is_array(), model["vocab"].is_array()) {
        (true, _) => Some("BPE"),
        (_, true) => Some("Unigram"),
        _ => model["vocab"].is_object().then_some("WordPiece"),
    })
}

fn in_order(ids: &HashMap<String, u32>) -> std::result::Result<Vec<String>, String> {
    let mut tokens: Vec<(u32, &String)> = ids.iter().map(|(token, id)| (*id, token)).collect();
    tokens.sort_unstable();
    match tokens.iter().enumerate().position(|(i, (id, _))| i as u64 != u64::from(*id)) {
        Some(gap) => Err(format!("the ids have a gap or a repetition at {gap}")),
        None => Ok(tokens.into_iter().map(|(_, token)| token.clone()).collect()),
    }
}

/// The steps of a sequence, or the one step there is.
fn parts_of(step: &Value) -> impl Iterator<Item = &Value> {
    let parts = ["pretokenizers", "normalizers"].iter().find_map(|key| step[key].as_array());
    let one = (parts.is_none() && step.is_object()).then_some(step);
    parts.into_iter().flatten().chain(one)
}

/// Where a pipeline starts afresh, for the pipelines that are known.
fn cuts(pre_tokenizer: &Value, normalizer: &Value) -> Cuts {
    let steps: Vec<&Value> = parts_of(pre_tokenizer).collect();
    let names: Vec<&str> = steps.iter().filter_map(|step| step["type"].as_str()).collect();
    match names[..] {
        // Lower-casing takes one character after the other and makes no white space.
        ["ByteLevel"]
            if (normalizer.is_null() || normalizer["type"] == "Lowercase") && steps[0]["use_regex"] != false =>
        {
            Cuts::BeforeSpaces
        }
        // These normalisers look at a letter and the marks behind it; a space is the beginning of nothing longer.
        ["WhitespaceSplit", "Metaspace"]
            if steps[1]["prepend_scheme"] == "always"
                && parts_of(normalizer).all(|step| {
                    ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"].iter().any(|name| step["type"] == *name)
                }) =>
        {
            Cuts::AtWhiteSpace
        }
        _ => Cuts::Nowhere,
    }
}

fn pair_layout(post_processor: &Value) -> PairLayout {
    let doubled = match post_processor["type"].as_str() {
        Some("RobertaProcessing") => true,
        Some("TemplateProcessing") => {
            // A separator twice between the two texts.
            let pair = post_processor["pair"].as_array().map(Vec::as_slice).unwrap_or_default();
            let place = |id: &str| pair.iter().position(|piece| piece["Sequence"]["id"] == id);
            place("A").zip(place("B")).is_some_and(|(a, b)| b == a + 3)
        }
        _ => false,
    };
    if doubled { PairLayout::DoubleSeparator } else { PairLayout::Segments }
}
