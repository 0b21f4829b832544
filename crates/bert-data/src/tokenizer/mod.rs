//! WordPiece tokenisation, with exactly the ids of Hugging Face's `tokenizers` library.
//!
//! The library does the work (BERT's normaliser and pre-tokeniser, then WordPiece); a cache of words stands in front of it.
//! The cache cannot change an id: text is cut only at ASCII white space, where the normaliser, the pre-tokeniser and the
//! model all start afresh, and every cached piece was encoded by the library itself.

mod cache;
mod files;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::WordPiece as WordPieceModel;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, TokenizerBuilder,
    TokenizerImpl,
};

use crate::checksum::sha256_hex;
use crate::error::{Error, Result};
use cache::WordCache;

/// The special tokens of BERT in the order in which a vocabulary trained here begins.
pub const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// The white space at which text may be cut without any effect on its tokens.
///
/// Only these four: other Unicode white space may be a control character, which the normaliser removes, joining the words
/// beside it.
pub(crate) const CUTS: [char; 4] = [' ', '\n', '\t', '\r'];

type Library = TokenizerImpl<WordPieceModel, BertNormalizer, BertPreTokenizer, BertProcessing, WordPieceDecoder>;

/// Ids of the special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialIds {
    /// `[PAD]`, fills a padded batch.
    pub pad: u32,
    /// `[UNK]`, stands for a word the vocabulary cannot spell.
    pub unk: u32,
    /// `[CLS]`, begins every sequence.
    pub cls: u32,
    /// `[SEP]`, ends every segment.
    pub sep: u32,
    /// `[MASK]`, stands in place of a token to predict.
    pub mask: u32,
}

/// How text is normalised before it is split into words; the names are Hugging Face's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Normalization {
    /// Lower-case the text (`do_lower_case`).
    pub lowercase: bool,
    /// Remove accents; none: when lower-casing.
    pub strip_accents: Option<bool>,
    /// Put spaces around CJK ideographs, so that each becomes a word (`tokenize_chinese_chars`).
    pub chinese_chars: bool,
    /// Remove control characters and turn all white space into spaces.
    pub clean_text: bool,
}

impl Normalization {
    /// What the released BERT vocabularies use: `lowercase` for the uncased ones.
    pub fn bert(lowercase: bool) -> Self {
        Normalization { lowercase, strip_accents: None, chinese_chars: true, clean_text: true }
    }

    fn normalizer(self) -> BertNormalizer {
        BertNormalizer::new(self.clean_text, self.chinese_chars, self.strip_accents, self.lowercase)
    }
}

/// A WordPiece vocabulary and its way of normalising text.
pub struct WordPiece {
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
    special: SpecialIds,
    is_special: Vec<bool>,
    normalization: Normalization,
    library: Library,
    cache: WordCache,
}

impl WordPiece {
    /// Opens a vocabulary folder as Hugging Face lays it out (`vocab.txt`, `tokenizer_config.json`, `tokenizer.json`), or a
    /// `vocab.txt` itself.
    ///
    /// Normalisation comes from `tokenizer_config.json`, else from `tokenizer.json`. Where both are missing, as beside the
    /// vocabularies of the original release, it is read off the vocabulary: one that holds a word piece with a capital
    /// letter is cased.
    ///
    /// # Errors
    /// [`Error::Vocabulary`] when nothing is there, when a special token is missing, when a token comes twice, or when the
    /// files contradict each other.
    pub fn open(dir_or_file: &Path) -> Result<Self> {
        files::open(dir_or_file)
    }

    /// A vocabulary from its tokens, in the order of their ids, with BERT's normalisation.
    ///
    /// # Errors
    /// [`Error::Vocabulary`] when one of [`SPECIAL_TOKENS`] is missing or a token comes twice.
    pub fn from_vocab(tokens: Vec<String>, lowercase: bool) -> Result<Self> {
        Self::assemble(tokens, Normalization::bert(lowercase), &PathBuf::from("<memory>"))
    }

    fn assemble(tokens: Vec<String>, normalization: Normalization, origin: &Path) -> Result<Self> {
        let fail = |reason: String| Error::Vocabulary { path: origin.to_owned(), reason };
        let mut ids = HashMap::with_capacity(tokens.len());
        for (id, token) in tokens.iter().enumerate() {
            let id = u32::try_from(id).map_err(|_| fail("more than 2^32 tokens".into()))?;
            if let Some(first) = ids.insert(token.clone(), id) {
                return Err(fail(format!(
                    "the token `{token}` stands on line {} and again on line {}; every token may come once",
                    first + 1,
                    id + 1
                )));
            }
        }
        let find = |token: &str| {
            ids.get(token).copied().ok_or_else(|| {
                fail(format!("the token {token} is missing; a BERT vocabulary needs {}", SPECIAL_TOKENS.join(" ")))
            })
        };
        let special = SpecialIds {
            pad: find("[PAD]")?,
            unk: find("[UNK]")?,
            cls: find("[CLS]")?,
            sep: find("[SEP]")?,
            mask: find("[MASK]")?,
        };
        let is_special =
            tokens.iter().map(|token| SPECIAL_TOKENS.contains(&token.as_str()) || is_unused(token)).collect();
        let library = library(&ids, special, normalization).map_err(|e| fail(e.to_string()))?;
        Ok(WordPiece { tokens, ids, special, is_special, normalization, library, cache: WordCache::default() })
    }

    /// Writes `vocab.txt`, `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json` into `dir`, which is made
    /// when missing. The same tokenizer gives the same bytes.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        files::save(self, dir)
    }

    /// Token ids of a text, without `[CLS]` and `[SEP]`.
    ///
    /// The text is text: `[MASK]` written in it becomes the pieces of its five characters, never the special token, so a
    /// corpus cannot smuggle in special tokens. [`encode_with_special_tokens`](Self::encode_with_special_tokens) does
    /// otherwise.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 4);
        self.encode_into(text, &mut ids);
        ids
    }

    /// As [`encode`](Self::encode), appending to `ids`.
    pub fn encode_into(&self, text: &str, ids: &mut Vec<u32>) {
        for piece in text.split(CUTS).filter(|piece| !piece.is_empty()) {
            self.cache.get_or_encode(piece, ids, |piece| self.encode_uncached(piece));
        }
    }

    /// As [`encode`](Self::encode), but the names of the special tokens in the text (`[MASK]` above all) become the special
    /// tokens, as Hugging Face tokenizers do it: for sentences with a blank to fill.
    pub fn encode_with_special_tokens(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        loop {
            let next = SPECIAL_TOKENS.iter().filter_map(|token| rest.find(token).map(|at| (at, *token))).min();
            let Some((at, token)) = next else { break };
            self.encode_into(&rest[..at], &mut ids);
            ids.extend(self.token_id(token));
            rest = &rest[at + token.len()..];
        }
        self.encode_into(rest, &mut ids);
        ids
    }

    /// Token ids of a text straight from the `tokenizers` library, without the word cache: for checks.
    pub fn encode_uncached(&self, text: &str) -> Vec<u32> {
        match self.library.encode_fast(text, false) {
            Ok(encoding) => encoding.get_ids().to_vec(),
            // The library's one reason to fail is a vocabulary without [UNK], which cannot be constructed.
            Err(_) => vec![self.special.unk],
        }
    }

    /// The words of a text as the model sees them: normalised, split at white space and around punctuation. Word pieces
    /// never cross a word.
    pub(crate) fn words(normalization: Normalization, text: &str, mut each: impl FnMut(&str)) {
        let mut normalized = NormalizedString::from(text);
        // Neither step has a way to fail; the signatures are those of the library's traits.
        if normalization.normalizer().normalize(&mut normalized).is_err() {
            return;
        }
        let mut words = PreTokenizedString::from(normalized.get());
        if BertPreTokenizer.pre_tokenize(&mut words).is_err() {
            return;
        }
        for (word, _, _) in words.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            each(word);
        }
    }

    /// The token with this id; an id outside the vocabulary gives `[UNK]`.
    pub fn decode_token(&self, id: u32) -> &str {
        self.tokens.get(id as usize).map_or("[UNK]", String::as_str)
    }

    /// The id of a token as it stands in the vocabulary (`##ing`, `[MASK]`).
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// Number of tokens, special tokens included.
    pub fn vocab_size(&self) -> usize {
        self.tokens.len()
    }

    /// Ids of the special tokens.
    pub fn special(&self) -> SpecialIds {
        self.special
    }

    /// True for the special tokens and for the released vocabularies' `[unused0]`, `[unused1]`, ...: ids that no text has.
    pub fn is_special(&self, id: u32) -> bool {
        self.is_special.get(id as usize).copied().unwrap_or(false)
    }

    /// All tokens in the order of their ids.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// How text is normalised.
    pub fn normalization(&self) -> Normalization {
        self.normalization
    }

    /// SHA-256 of the tokens and the normalisation: two tokenizers with the same digest give the same ids.
    pub fn digest(&self) -> String {
        let mut text = self.tokens.join("\n");
        text.push_str(&format!("\n{:?}", self.normalization));
        sha256_hex(text.as_bytes())
    }
}

impl std::fmt::Debug for WordPiece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WordPiece")
            .field("vocab_size", &self.tokens.len())
            .field("normalization", &self.normalization)
            .finish_non_exhaustive()
    }
}

/// True for the placeholders `[unusedN]` of the released vocabularies.
fn is_unused(token: &str) -> bool {
    token
        .strip_prefix("[unused")
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn library(
    ids: &HashMap<String, u32>,
    special: SpecialIds,
    normalization: Normalization,
) -> tokenizers::Result<Library> {
    let model = WordPieceModel::builder()
        .vocab(ids.iter().map(|(token, id)| (token.clone(), *id)).collect::<ahash::AHashMap<_, _>>())
        .build()?;
    TokenizerBuilder::new()
        .with_model(model)
        .with_normalizer(Some(normalization.normalizer()))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(BertProcessing::new(("[SEP]".into(), special.sep), ("[CLS]".into(), special.cls))))
        .with_decoder(Some(WordPieceDecoder::default()))
        .build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn small(lowercase: bool) -> WordPiece {
        let tokens = "[PAD] [UNK] [CLS] [SEP] [MASK] [unused0] the quick ##est fox fo ##x , . [ ] mask cafe ##e Café"
            .split(' ')
            .map(String::from)
            .collect();
        WordPiece::from_vocab(tokens, lowercase).unwrap()
    }

    #[test]
    fn words_are_cut_into_the_longest_pieces() {
        let tok = small(true);
        let tokens = |text: &str| {
            tok.encode(text).into_iter().map(|id| tok.decode_token(id).to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(tokens("The quickest FOX, the."), "the quick ##est fox , the .");
        assert_eq!(tokens("café  unknown"), "cafe [UNK]");
        assert_eq!(tokens(""), "");
    }

    #[test]
    fn text_cannot_smuggle_in_a_special_token() {
        let tok = small(true);
        assert!(!tok.encode("the [MASK] fox").contains(&tok.special().mask));
        let with = tok.encode_with_special_tokens("the [MASK], fox");
        let names: Vec<&str> = with.iter().map(|&id| tok.decode_token(id)).collect();
        assert_eq!(names, ["the", "[MASK]", ",", "fox"]);
    }

    #[test]
    fn the_cache_gives_what_the_library_gives() {
        for lowercase in [true, false] {
            let tok = small(lowercase);
            // A control character that is also white space (U+0085) joins words; other Unicode white space splits them.
            for text in [
                "the\u{85}quick fox",
                "the\u{a0}fox\u{3000}fox",
                "Cafe\u{301} the,fox [MASK] \u{fffd}fox",
                "中the fox\tfox\r\nfox",
            ] {
                assert_eq!(tok.encode(text), tok.encode_uncached(text), "{text:?}");
                assert_eq!(tok.encode(text), tok.encode_uncached(text), "again: {text:?}");
            }
        }
    }

    #[test]
    fn placeholders_are_special_and_words_are_not() {
        let tok = small(true);
        assert!(tok.is_special(tok.special().pad) && tok.is_special(tok.token_id("[unused0]").unwrap()));
        assert!(!tok.is_special(tok.token_id("[").unwrap()) && !tok.is_special(tok.token_id("fox").unwrap()));
    }

    #[test]
    fn a_missing_special_token_and_a_repeated_one_are_named() {
        let vocab = |text: &str| WordPiece::from_vocab(text.split(' ').map(String::from).collect(), true).unwrap_err();
        let missing = vocab("[PAD] [UNK] [CLS] [SEP] a b");
        assert!(missing.is_request() && missing.to_string().contains("[MASK] is missing"), "{missing}");
        let twice = vocab("[PAD] [UNK] [CLS] [SEP] [MASK] a b a");
        assert!(twice.to_string().contains("line 6 and again on line 8"), "{twice}");
    }
}
