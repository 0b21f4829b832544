//! What training a vocabulary shares with encoding: the words that tokens cannot cross, and byte-level BPE from merges.

use std::path::Path;

use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::Lowercase;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::cuts::Cuts;
use super::special::{ROBERTA_SPECIAL_TOKENS, SpecialIds};
use super::{Normalization, Tokenizer, bytes, pipeline};
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
}

impl Words {
    /// Pieces of a text that hold whole words: what is counted first, because most of them repeat.
    pub(crate) fn raw<'a>(self, text: &'a str, each: impl FnMut(&'a str)) {
        match self {
            Words::Bert(_) => Cuts::AtWhiteSpace.pieces(text, each),
            Words::ByteLevel { .. } => Cuts::BeforeSpaces.pieces(text, each),
        }
    }

    /// The words of such a piece.
    pub(crate) fn each(self, piece: &str, mut each: impl FnMut(&str)) {
        let lowercase = match self {
            Words::Bert(normalization) => return normalization.words(piece, each),
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
