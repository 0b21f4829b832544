//! More tokens for a WordPiece vocabulary that exists: words of a field that it would cut into many pieces.
//!
//! Merging goes on from the old vocabulary's own pieces, so what is added are the longer pieces that the corpus makes frequent.
//! Old tokens keep their ids: rows of a model's embedding stay where they are.

use std::path::{Path, PathBuf};

use ahash::AHashSet;

use super::{CONTINUATION, VocabOptions, merge};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::tokenizer::{Normalization, Tokenizer};

/// The vocabulary to extend.
pub(super) struct Base {
    path: PathBuf,
    tokens: Vec<String>,
    pub(super) normalization: Normalization,
}

impl Base {
    /// Opens it, and refuses before any text is read what cannot be extended to `size` tokens.
    pub(super) fn open(path: &Path, size: usize) -> Result<Self> {
        let tokenizer = Tokenizer::open(path)?;
        let normalization = tokenizer.normalization().ok_or_else(|| Error::Setting {
            name: "extend",
            reason: format!("{} holds {tokenizer:?}; only WordPiece vocabularies can be extended", path.display()),
        })?;
        let base = Base { path: path.to_owned(), tokens: tokenizer.tokens().to_vec(), normalization };
        if size <= base.tokens.len() {
            return Err(base.no_room(size, 0));
        }
        Ok(base)
    }

    /// The vocabulary with what the corpus adds: first characters that it could not spell, then merges.
    pub(super) fn extended(
        self,
        words: &[(Box<str>, u64)],
        opts: &VocabOptions,
        progress: &dyn Progress,
    ) -> Result<Tokenizer> {
        let known: AHashSet<&String> = self.tokens.iter().collect();
        // Unlike in a vocabulary made for the corpus, a character that is rare there is no reason for a row of the embedding.
        let characters = merge::wordpiece_alphabet(words, opts.alphabet, opts.min_frequency);
        let new: Vec<String> = characters.into_iter().filter(|piece| !known.contains(piece)).collect();
        let room = opts.size.checked_sub(self.tokens.len() + new.len());
        let room = room.ok_or_else(|| self.no_room(opts.size, new.len()))?;
        let alphabet = self.tokens.into_iter().chain(new).collect();
        let merged = merge::merge(words, alphabet, CONTINUATION, room, opts.min_frequency, progress);
        Tokenizer::from_wordpieces(merged.pieces, self.normalization)
    }

    fn no_room(&self, size: usize, characters: usize) -> Error {
        let (path, old) = (self.path.display(), self.tokens.len());
        let reason = match characters {
            0 => format!("{size} adds nothing to {path}, which has {old} tokens; ask for more"),
            new => format!(
                "{size} has no room for the {old} tokens of {path} and {new} new pieces of one character; ask for more, lower \
                 --alphabet or raise --min-frequency"
            ),
        };
        Error::Setting { name: "size", reason }
    }
}
