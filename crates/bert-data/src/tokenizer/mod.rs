//! Tokenisation with exactly the ids of Hugging Face's `tokenizers` library: WordPiece, byte-level BPE, Unigram.
//!
//! The library does the work; a cache of words stands in front of it. The cache cannot change an id: text is cut only where
//! normaliser, pre-tokeniser and model all start afresh ([`cuts`]), and every cached piece was encoded by the library itself.

mod bytes;
mod cache;
mod cuts;
mod files;
mod normalization;
mod pipeline;
mod special;
mod training;
mod wordpiece;
mod words;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokenizers::{AddedToken, Tokenizer as Library};

use crate::error::Result;
use cache::WordCache;
use cuts::Cuts;
pub use normalization::Normalization;
pub use special::{ALBERT_SPECIAL_TOKENS, PairLayout, ROBERTA_SPECIAL_TOKENS, SPECIAL_TOKENS, SpecialIds};
pub(crate) use training::{Words, byte_level_bpe, unigram};
use words::Marks;
pub(crate) use words::WordEdges;

/// What a vocabulary is made of, with what only that kind has.
enum Algorithm {
    WordPiece(Normalization),
    /// The text of its `tokenizer.json`.
    Bpe {
        json: String,
    },
    /// The text of its `tokenizer.json`.
    Unigram {
        json: String,
    },
}

/// A vocabulary and its way of turning text into ids.
pub struct Tokenizer {
    algorithm: Algorithm,
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
    special: SpecialIds,
    /// The tokens that text may name, see [`Tokenizer::encode_with_special_tokens`].
    added: Vec<AddedToken>,
    is_special: Vec<bool>,
    pairs: PairLayout,
    marks: Marks,
    edges: Arc<WordEdges>,
    cuts: Cuts,
    digest: String,
    library: Library,
    cache: WordCache,
}

/// What a tokenizer is put together from.
struct Parts {
    algorithm: Algorithm,
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
    special: SpecialIds,
    added: Vec<AddedToken>,
    pairs: PairLayout,
    marks: Marks,
    cuts: Cuts,
    digest: String,
    library: Library,
}

impl Tokenizer {
    /// Opens a folder as Hugging Face lays it out, or one of its files: `vocab.txt` (WordPiece), `tokenizer.json` (WordPiece,
    /// byte-level BPE or Unigram), `vocab.json` with `merges.txt` (byte-level BPE).
    ///
    /// The normalisation of WordPiece comes from `tokenizer_config.json`, else from `tokenizer.json`. Where both are missing,
    /// as beside the vocabularies of the original release, it is read off the vocabulary: one that holds a word piece with a
    /// capital letter is cased.
    ///
    /// # Errors
    /// [`Error::Vocabulary`](crate::Error::Vocabulary) when nothing is there, when a special token is missing, when a token
    /// comes twice, or when the files contradict each other.
    pub fn open(dir_or_file: &Path) -> Result<Self> {
        files::open(dir_or_file)
    }

    /// A WordPiece vocabulary from its tokens, in the order of their ids, with BERT's normalisation.
    ///
    /// # Errors
    /// [`Error::Vocabulary`](crate::Error::Vocabulary) when one of [`SPECIAL_TOKENS`] is missing or a token comes twice.
    pub fn from_vocab(tokens: Vec<String>, lowercase: bool) -> Result<Self> {
        wordpiece::assemble(tokens, Normalization::bert(lowercase), &PathBuf::from("<memory>"))
    }

    /// As [`from_vocab`](Self::from_vocab), with any normalisation.
    pub(crate) fn from_wordpieces(tokens: Vec<String>, normalization: Normalization) -> Result<Self> {
        wordpiece::assemble(tokens, normalization, &PathBuf::from("<memory>"))
    }

    fn from_parts(parts: Parts) -> Self {
        let Parts { algorithm, tokens, ids, special, added, pairs, marks, cuts, digest, library } = parts;
        let mut is_special: Vec<bool> = tokens.iter().map(|token| special::is_unused(token)).collect();
        let named = added.iter().filter_map(|token| ids.get(&token.content).copied());
        for id in special.all().into_iter().chain(named) {
            is_special[id as usize] = true;
        }
        let edges = Arc::new(WordEdges::new(&tokens, marks));
        let cache = WordCache::default();
        Tokenizer {
            algorithm,
            tokens,
            ids,
            special,
            added,
            is_special,
            pairs,
            marks,
            edges,
            cuts,
            digest,
            library,
            cache,
        }
    }

    /// Writes the folder's files in Hugging Face's layout into `dir`, which is made when missing: `tokenizer.json`,
    /// `tokenizer_config.json`, `special_tokens_map.json`, and `vocab.txt` or, for BPE, `vocab.json` and `merges.txt`. The same
    /// tokenizer gives the same bytes.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) when a file cannot be written.
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
        match self.cuts {
            Cuts::Nowhere => ids.extend(self.encode_uncached(text)),
            cuts => {
                cuts.pieces(text, |piece| self.cache.get_or_encode(piece, ids, |piece| self.encode_uncached(piece)))
            }
        }
    }

    /// As [`encode_into`](Self::encode_into) for text that stands behind white space, such as the second sentence of a line:
    /// byte-level BPE has other tokens for a word with a space before it.
    pub fn encode_behind_space_into(&self, text: &str, ids: &mut Vec<u32>) {
        match self.marks {
            Marks::Bytes => self.encode_into(&format!(" {text}"), ids),
            _ => self.encode_into(text, ids),
        }
    }

    /// As [`encode`](Self::encode), but the names of the special tokens in the text (`[MASK]` above all) become the special
    /// tokens, as Hugging Face tokenizers do it: for sentences with a blank to fill.
    pub fn encode_with_special_tokens(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        loop {
            let found = self.added.iter().filter_map(|token| rest.find(&token.content).map(|at| (at, token)));
            let Some((at, token)) = found.min_by_key(|(at, _)| *at) else { break };
            let before = &rest[..at];
            self.encode_into(if token.lstrip { before.trim_end() } else { before }, &mut ids);
            ids.extend(self.token_id(&token.content));
            rest = &rest[at + token.content.len()..];
            rest = if token.rstrip { rest.trim_start() } else { rest };
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

    /// The token with this id; an id outside the vocabulary gives `[UNK]`.
    pub fn decode_token(&self, id: u32) -> &str {
        let token = self.tokens.get(id as usize).or_else(|| self.tokens.get(self.special.unk as usize));
        token.map_or("[UNK]", String::as_str)
    }

    /// The token with this id as a person reads it: as in the vocabulary, but with the characters that the bytes of a
    /// byte-level vocabulary are (`Ġcafé`, where the vocabulary has `ĠcafÃ©`).
    pub fn readable_token(&self, id: u32) -> Cow<'_, str> {
        let token = self.decode_token(id);
        if self.marks != Marks::Bytes || token.is_ascii() {
            return token.into();
        }
        let text = bytes::bytes_of(token).and_then(|bytes| String::from_utf8(bytes).ok());
        text.map_or(token.into(), |text| match text.strip_prefix(' ') {
            Some(rest) => format!("Ġ{rest}").into(),
            None => text.into(),
        })
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

    /// How two texts stand in one sequence.
    pub fn pair_layout(&self) -> PairLayout {
        self.pairs
    }

    /// True for the special tokens and for placeholders (`[unused0]` of the released vocabularies): ids that no text has.
    pub fn is_special(&self, id: u32) -> bool {
        self.is_special.get(id as usize).copied().unwrap_or(false)
    }

    /// Whether a token goes on with the word of the token before it: `##x`, or what has no mark of a beginning (`Ġ`, `▁`) and
    /// is of the same kind (letters, digits, others) where the two meet. Ideographs are words of their own.
    pub fn continues_word(&self, before: u32, id: u32) -> bool {
        self.edges.joins(before, id)
    }

    /// As [`continues_word`](Self::continues_word), to keep.
    pub(crate) fn words(&self) -> Arc<WordEdges> {
        self.edges.clone()
    }

    /// All tokens in the order of their ids.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// How text is normalised for WordPiece; none for the other kinds, which say it in their `tokenizer.json`.
    pub fn normalization(&self) -> Option<Normalization> {
        match self.algorithm {
            Algorithm::WordPiece(normalization) => Some(normalization),
            _ => None,
        }
    }

    /// SHA-256 of all that ids depend on: two tokenizers with the same digest give the same ids.
    pub fn digest(&self) -> String {
        self.digest.clone()
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.algorithm {
            Algorithm::WordPiece(_) => "WordPiece",
            Algorithm::Bpe { .. } => "BPE",
            Algorithm::Unigram { .. } => "Unigram",
        };
        f.debug_struct(name).field("vocab_size", &self.tokens.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn small(lowercase: bool) -> Tokenizer {
        let tokens = "[PAD] [UNK] [CLS] [SEP] [MASK] [unused0] the quick ##est fox fo ##x , . [ ] mask cafe ##e Café"
            .split(' ')
            .map(String::from)
            .collect();
        Tokenizer::from_vocab(tokens, lowercase).unwrap()
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
                "(the=\u{338}fox),.\u{301}e\u{301}\u{327}-cafe\u{301}. the\u{0}.\u{ad}fox",
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
        let vocab = |text: &str| Tokenizer::from_vocab(text.split(' ').map(String::from).collect(), true).unwrap_err();
        let missing = vocab("[PAD] [UNK] [CLS] [SEP] a b");
        assert!(missing.is_request() && missing.to_string().contains("[MASK] is missing"), "{missing}");
        let twice = vocab("[PAD] [UNK] [CLS] [SEP] [MASK] a b a");
        assert!(twice.to_string().contains("line 6 and again on line 8"), "{twice}");
    }
}
