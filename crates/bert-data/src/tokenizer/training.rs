//! What training a vocabulary shares with encoding: the words that tokens cannot cross, byte-level BPE from
//! merges and Unigram from pieces.

use std::path::Path;

use serde_json::{Value, json};
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{Lowercase, NFKC, NFKD, StripAccents};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::{NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::cuts::Cuts;
use super::special::{ALBERT_SPECIAL_TOKENS, ROBERTA_SPECIAL_TOKENS, SpecialIds};
use super::{Normalization, Tokenizer, bytes, pipeline, words};
use crate::error::{Error, Result};

/// What the words of a text are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Words {
    /// Normalised, between white space and punctuation; punctuation marks are words of their own.
    Bert(Normalization),
    /// The matches of GPT-2's pattern, most of them with the space before them, as characters that stand for bytes.
    ByteLevel {
        /// Whether text is lower-cased first.
        lowercase: bool,
    },
    /// Between white space, with `▁` before them, and there between letters, digits and other characters.
    Marked {
        /// Whether text is lower-cased and its accents taken off first.
        lowercase: bool,
    },
}

impl Words {
    /// Pieces of a text that hold whole words: what is counted first, because most of them repeat.
    pub(crate) fn raw<'a>(self, text: &'a str, each: impl FnMut(&'a str)) {
        match self {
            Words::Bert(_) | Words::Marked { .. } => Cuts::AtWhiteSpace.pieces(text, each),
            Words::ByteLevel { .. } => Cuts::BeforeSpaces.pieces(text, each),
        }
    }

    /// The words of such a piece.
    pub(crate) fn each(self, piece: &str, mut each: impl FnMut(&str)) {
        let lowercase = match self {
            Words::Bert(normalization) => return normalization.words(piece, each),
            Words::Marked { lowercase } => return marked(piece, lowercase, each),
            Words::ByteLevel { lowercase } => lowercase,
        };
        let mut normalized = NormalizedString::from(piece);
        // Neither step has a way to fail; the signatures are those of the library's traits.
        if lowercase && Lowercase.normalize(&mut normalized).is_err() {
            return;
        }
        let mut words = PreTokenizedString::from(normalized.get());
        if ByteLevel::new(false, true, true).pre_tokenize(&mut words).is_err() {
            return;
        }
        for (word, _, _) in words.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            each(word);
        }
    }

    /// The characters of all bytes, in order of the bytes.
    pub(crate) fn bytes() -> Vec<String> {
        (0..=255).map(|byte| bytes::character_of(byte).to_string()).collect()
    }
}

/// A byte-level BPE tokenizer: RoBERTa's special tokens, then `pieces` in order of their ids.
pub(crate) fn byte_level_bpe(pieces: Vec<String>, merges: Vec<(String, String)>, lowercase: bool) -> Result<Tokenizer> {
    let origin = Path::new("<memory>");
    let fail = |reason: String| Error::Vocabulary { path: origin.to_owned(), reason };
    let tokens = ROBERTA_SPECIAL_TOKENS.iter().map(ToString::to_string).chain(pieces);
    let vocab: ahash::AHashMap<String, u32> = tokens.zip(0..).collect();
    let special = SpecialIds::find(|token| vocab.get(token).copied()).map_err(fail)?;
    let model = BPE::builder().vocab_and_merges(vocab, merges).build();
    let json = model.and_then(|model| pipeline::byte_level_json(model, special, false, lowercase));
    pipeline::from_json(json.map_err(|e| fail(e.to_string()))?, origin)
}

/// As [`unigram`]'s pipeline does it, and cut into runs of one kind of characters.
fn marked(piece: &str, lowercase: bool, mut each: impl FnMut(&str)) {
    let mut text = NormalizedString::from(piece);
    let normalized = match lowercase {
        true => NFKD
            .normalize(&mut text)
            .and_then(|()| StripAccents.normalize(&mut text))
            .and_then(|()| Lowercase.normalize(&mut text))
            .and_then(|()| NFKC.normalize(&mut text)),
        false => NFKC.normalize(&mut text),
    };
    let mut found = PreTokenizedString::from(text.get());
    let split = normalized
        .and_then(|()| WhitespaceSplit.pre_tokenize(&mut found))
        .and_then(|()| Metaspace::new('▁', PrependScheme::Always, true).pre_tokenize(&mut found));
    // None of these steps has a way to fail.
    if split.is_ok() {
        for (word, _, _) in found.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            words::runs(word, &mut each);
        }
    }
}

/// Below every score: no spelling of a text uses the name of a special token while its characters have pieces.
const NEVER: f64 = -1e6;

/// A Unigram tokenizer with ALBERT's special tokens and pairs: pieces with the logarithms of their probabilities, in order of
/// their ids behind the special tokens.
pub(crate) fn unigram(pieces: &[(Box<str>, f64)], lowercase: bool) -> Result<Tokenizer> {
    let [_, _, cls, sep, mask] = ALBERT_SPECIAL_TOKENS;
    let step = |name: &str| json!({ "type": name });
    let normalizers: Vec<Value> = match lowercase {
        true => ["NFKD", "StripAccents", "Lowercase", "NFKC"].map(step).to_vec(),
        false => vec![step("NFKC")],
    };
    let metaspace = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
    let special = |name: &str, segment: u8| json!({ "SpecialToken": { "id": name, "type_id": segment } });
    let text = |name: &str, segment: u8| json!({ "Sequence": { "id": name, "type_id": segment } });
    let named = |name: &str, id: u8| (name.to_string(), json!({ "id": name, "ids": [id], "tokens": [name] }));
    let added: Vec<Value> = (0..)
        .zip(ALBERT_SPECIAL_TOKENS)
        .map(|(id, token): (u8, &str)| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": token == mask, "rstrip": false,
                "normalized": false, "special": true,
            })
        })
        .collect();
    let names = ALBERT_SPECIAL_TOKENS.iter().map(|&token| (token, NEVER));
    let vocab: Vec<(&str, f64)> = names.chain(pieces.iter().map(|(piece, score)| (&**piece, *score))).collect();
    let json = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [step("WhitespaceSplit"), metaspace.clone()] },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special(cls, 0), text("A", 0), special(sep, 0)],
            "pair": [special(cls, 0), text("A", 0), special(sep, 0), text("B", 1), special(sep, 1)],
            "special_tokens": serde_json::Map::from_iter([named(cls, 2), named(sep, 3)]),
        },
        "decoder": metaspace,
        "model": { "type": "Unigram", "unk_id": 1, "vocab": vocab, "byte_fallback": false },
    });
    pipeline::from_json(format!("{json:#}\n"), Path::new("<memory>"))
}
