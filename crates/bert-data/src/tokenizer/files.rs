//! Reading and writing a tokenizer folder in Hugging Face's layout.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use tokenizers::Model;

use super::{Algorithm, Normalization, Tokenizer, pipeline, wordpiece};
use crate::error::{Error, Result};

const VOCAB: &str = "vocab.txt";
const BPE_VOCAB: &str = "vocab.json";
const BPE_MERGES: &str = "merges.txt";
const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";

/// Positions of the released BERT models; what a tokenizer in Python cuts at when asked to truncate.
const MODEL_MAX_LENGTH: u32 = 512;

/// The keys of `tokenizer_config.json` that change ids.
#[derive(Deserialize, Default)]
struct TokenizerConfig {
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
    add_prefix_space: Option<bool>,
}

pub(super) fn open(dir_or_file: &Path) -> Result<Tokenizer> {
    let fail = |reason: String| Error::Vocabulary { path: dir_or_file.to_owned(), reason };
    let (dir, vocab_path) = if dir_or_file.is_dir() {
        (dir_or_file.to_owned(), dir_or_file.join(VOCAB))
    } else if dir_or_file.is_file() {
        let parent = dir_or_file.parent().map_or_else(PathBuf::new, Path::to_owned);
        (parent, dir_or_file.to_owned())
    } else {
        return Err(fail(
            "no such folder or file. Give a folder with a vocabulary, as `bert-data vocab` writes it".into(),
        ));
    };
    let json_path = dir.join(TOKENIZER);
    let tokenizer: Option<Value> = read_json(&json_path)?;
    let config: Option<TokenizerConfig> = read_json(&dir.join(CONFIG))?;
    if let Some("BPE" | "Unigram") = tokenizer.as_ref().and_then(pipeline::model_type) {
        let text = fs::read_to_string(&json_path).map_err(Error::io("open", &json_path))?;
        return pipeline::from_json(text, &json_path);
    }
    let (vocab, merges) = (dir.join(BPE_VOCAB), dir.join(BPE_MERGES));
    if tokenizer.is_none() && vocab.is_file() && !dir.join(VOCAB).is_file() {
        if !merges.is_file() {
            return Err(fail(format!("{BPE_VOCAB} is there and {BPE_MERGES} is not; a BPE vocabulary is both")));
        }
        let add_prefix_space = config.and_then(|config| config.add_prefix_space).unwrap_or(false);
        return pipeline::from_vocab_and_merges(&vocab, &merges, add_prefix_space);
    }
    let vocab_path = if vocab_path == json_path { dir.join(VOCAB) } else { vocab_path };

    let from_json = match &tokenizer {
        Some(value) => Some(vocab_of(value, &json_path)?),
        None => None,
    };
    let tokens = if vocab_path.is_file() {
        let tokens = read_vocab(&vocab_path)?;
        if from_json.is_some_and(|other| other != tokens) {
            return Err(fail(format!(
                "{VOCAB} and {TOKENIZER} hold different vocabularies; remove the one that is out of date"
            )));
        }
        tokens
    } else {
        from_json.ok_or_else(|| {
            fail(format!(
                "neither {VOCAB} nor {TOKENIZER} nor {BPE_VOCAB} is in the folder. `bert-data vocab` makes a vocabulary"
            ))
        })?
    };

    let mut normalization = match tokenizer.as_ref().and_then(normalization_of) {
        Some(normalization) => normalization,
        None => Normalization::bert(!has_capitals(&tokens)),
    };
    if let Some(config) = config {
        normalization.lowercase = config.do_lower_case.unwrap_or(normalization.lowercase);
        normalization.strip_accents = config.strip_accents.or(normalization.strip_accents);
        normalization.chinese_chars = config.tokenize_chinese_chars.unwrap_or(normalization.chinese_chars);
    }
    wordpiece::assemble(tokens, normalization, dir_or_file)
}

fn read_vocab(path: &Path) -> Result<Vec<String>> {
    let bytes = fs::read(path).map_err(Error::io("open", path))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let offset = e.utf8_error().valid_up_to();
        Error::NotUtf8 {
            path: path.to_owned(),
            line: 1 + e.as_bytes()[..offset].iter().filter(|b| **b == b'\n').count() as u64,
            offset: offset as u64,
        }
    })?;
    let mut tokens: Vec<String> =
        text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line).to_string()).collect();
    if tokens.last().is_some_and(String::is_empty) {
        tokens.pop();
    }
    Ok(tokens)
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(Error::io("open", path))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| Error::Vocabulary { path: path.to_owned(), reason: format!("not the JSON expected here: {e}") })
}

/// The vocabulary inside a `tokenizer.json`, in the order of its ids.
fn vocab_of(tokenizer: &Value, path: &Path) -> Result<Vec<String>> {
    let fail = |reason: String| Error::Vocabulary { path: path.to_owned(), reason };
    let model = &tokenizer["model"];
    let vocab = match (model["type"].as_str(), model["vocab"].as_object()) {
        (None | Some("WordPiece"), Some(vocab)) => vocab,
        (kind, _) => {
            return Err(fail(format!(
                "a WordPiece model with a vocabulary is expected, and this is {}",
                kind.unwrap_or("something else")
            )));
        }
    };
    let mut tokens: Vec<(u64, &String)> = Vec::with_capacity(vocab.len());
    for (token, id) in vocab {
        let id = id.as_u64().ok_or_else(|| fail(format!("the id of `{token}` is not a whole number")))?;
        tokens.push((id, token));
    }
    tokens.sort_unstable();
    if let Some(gap) = tokens.iter().enumerate().position(|(i, (id, _))| i as u64 != *id) {
        return Err(fail(format!("the ids have a gap or a repetition at {gap}")));
    }
    Ok(tokens.into_iter().map(|(_, token)| token.clone()).collect())
}

fn normalization_of(tokenizer: &Value) -> Option<Normalization> {
    let normalizer = &tokenizer["normalizer"];
    if normalizer["type"] != "BertNormalizer" {
        return None;
    }
    Some(Normalization {
        lowercase: normalizer["lowercase"].as_bool()?,
        strip_accents: normalizer["strip_accents"].as_bool(),
        chinese_chars: normalizer["handle_chinese_chars"].as_bool().unwrap_or(true),
        clean_text: normalizer["clean_text"].as_bool().unwrap_or(true),
    })
}

/// True when a token other than a bracketed placeholder (`[MASK]`, `<S>`) has a capital letter, which lower-cased text never has.
/// Capitals without a small letter, such as the ℝ in the released uncased vocabulary, are no sign: lower-casing leaves them.
fn has_capitals(tokens: &[String]) -> bool {
    tokens
        .iter()
        .filter(|token| !(token.starts_with(['[', '<']) && token.ends_with([']', '>'])))
        .any(|token| token.chars().any(|c| !c.to_lowercase().eq([c])))
}

/// Writes the folder's files.
pub(super) fn save(tok: &Tokenizer, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    let special = tok.special();
    let mut names = json!({});
    for (part, id) in [
        ("unk_token", special.unk),
        ("sep_token", special.sep),
        ("pad_token", special.pad),
        ("cls_token", special.cls),
        ("mask_token", special.mask),
    ] {
        names[part] = json!(tok.decode_token(id));
    }
    let mut config = names.clone();
    config["model_max_length"] = json!(MODEL_MAX_LENGTH);
    let mut texts = Vec::new();
    match &tok.algorithm {
        Algorithm::WordPiece(normalization) => {
            config["tokenizer_class"] = json!("BertTokenizer");
            config["do_lower_case"] = json!(normalization.lowercase);
            config["strip_accents"] = json!(normalization.strip_accents);
            config["tokenize_chinese_chars"] = json!(normalization.chinese_chars);
            let mut vocab = tok.tokens().join("\n");
            vocab.push('\n');
            texts.push((VOCAB, vocab));
            texts.push((TOKENIZER, wordpiece_json(tok, dir)?));
        }
        Algorithm::Bpe { json } | Algorithm::Unigram { json } => {
            // The class that takes everything from tokenizer.json.
            config["tokenizer_class"] = json!("PreTrainedTokenizerFast");
            texts.push((TOKENIZER, json.clone()));
        }
    }
    texts.push((CONFIG, format!("{config:#}\n")));
    texts.push((SPECIAL_TOKENS_MAP, format!("{names:#}\n")));
    for (name, text) in texts {
        let path = dir.join(name);
        fs::write(&path, text).map_err(Error::io("write", &path))?;
    }
    if let Algorithm::Bpe { .. } = tok.algorithm {
        // vocab.json and merges.txt, for the readers that know nothing else.
        let saved = tok.library.get_model().save(dir, None);
        saved.map_err(|e| cannot_write(dir, BPE_VOCAB, e.as_ref()))?;
    }
    Ok(())
}

/// The text of `tokenizer.json`, as the library writes it.
fn wordpiece_json(tok: &Tokenizer, dir: &Path) -> Result<String> {
    // The tokenizer that encodes knows no added tokens, so that text stays text; the file lists them, as readers expect.
    let mut library = tok.library.clone();
    let text = library.add_special_tokens(tok.added.iter().cloned()).and_then(|_| library.to_string(true));
    text.map_err(|e| cannot_write(dir, TOKENIZER, e.as_ref()))
}

fn cannot_write(dir: &Path, file: &str, reason: &dyn std::error::Error) -> Error {
    Error::Vocabulary { path: dir.to_owned(), reason: format!("{file} cannot be written: {reason}") }
}

#[cfg(test)]
mod tests {
    use super::has_capitals;

    #[test]
    fn only_capitals_that_lower_casing_changes_make_a_vocabulary_cased() {
        let cased = |tokens: &[&str]| has_capitals(&tokens.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(!cased(&["[UNK]", "<S>", "the", "##s", "ℝ", "##ℝ", "中"]));
        assert!(cased(&["the", "##S"]) && cased(&["É"]));
    }
}
