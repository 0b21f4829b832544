//! Training a WordPiece vocabulary: the words of a corpus are counted, then the most frequent pair of neighbouring pieces is
//! merged again and again.
//!
//! The same corpus gives the same bytes, whatever the number of threads: counts are sums, and ties between pairs go to
//! the pieces that came into the vocabulary first.

mod count;
mod merge;

use std::path::Path;

use crate::cleaning::CleaningOptions;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::sources::{self, Format, ReadOptions, Unreadable};
use crate::staging::Staging;
use crate::tokenizer::{Normalization, SPECIAL_TOKENS, Tokenizer};

/// The prefix of a piece that continues a word.
const CONTINUATION: &str = "##";
/// Longer words become `[UNK]` (the library's `max_input_chars_per_word`), so nothing is learnt from them.
const LONGEST_WORD: usize = 100;

/// A request for a vocabulary.
#[derive(Debug, Clone)]
pub struct VocabOptions {
    /// Files, folders and globs, or `sample` for the embedded corpus.
    pub input: Vec<String>,
    /// How the files mark their documents.
    pub format: Format,
    /// What to do about a line, record or page that cannot be used.
    pub unreadable: Unreadable,
    /// What is taken out of the corpus before words are counted.
    pub cleaning: CleaningOptions,
    /// Number of tokens, special tokens included. A small corpus may give fewer.
    pub size: usize,
    /// Lower-case the text and take its accents off (an "uncased" vocabulary).
    pub lowercase: bool,
    /// A pair that occurs more seldom is not merged.
    pub min_frequency: u64,
    /// Most different characters; rarer ones become `[UNK]`.
    pub alphabet: usize,
    /// Threads; 0 for one per core.
    pub workers: usize,
}

impl Default for VocabOptions {
    /// An uncased vocabulary of 30,522 tokens, as the released one, of at most 1,000 characters; input empty.
    fn default() -> Self {
        VocabOptions {
            input: Vec::new(),
            format: Format::Auto,
            unreadable: Unreadable::Stop,
            cleaning: CleaningOptions::default(),
            size: 30_522,
            lowercase: true,
            min_frequency: 2,
            alphabet: 1000,
            workers: 0,
        }
    }
}

/// Trains a vocabulary. It begins with `[PAD] [UNK] [CLS] [SEP] [MASK]`, then come the characters, then the merges in the
/// order in which they were made.
///
/// # Errors
/// [`Error::Setting`] for a size too small for the characters of the corpus, [`Error::EmptyCorpus`], and errors of reading.
pub fn train(opts: &VocabOptions, progress: &dyn Progress) -> Result<Tokenizer> {
    for (name, value) in [("alphabet", opts.alphabet), ("size", opts.size)] {
        if value == 0 {
            return Err(Error::Setting { name, reason: "0 leaves no vocabulary".into() });
        }
    }
    let inputs = sources::expand(&opts.input)?;
    let pool = crate::workers::pool(opts.workers)?;
    let reading = ReadOptions { format: opts.format, unreadable: opts.unreadable };
    let normalization = Normalization::bert(opts.lowercase);
    let words = pool.install(|| count::count_words(&inputs, reading, &opts.cleaning, normalization, progress))?;
    if words.is_empty() {
        return Err(Error::EmptyCorpus { inputs: opts.input.join(", ") });
    }
    let alphabet = merge::alphabet(&words, opts.alphabet);
    let room = opts
        .size
        .checked_sub(SPECIAL_TOKENS.len() + alphabet.len())
        .ok_or_else(|| Error::Setting {
            name: "size",
            reason: format!(
                "{} has no room for {} special tokens and the {} pieces of one character; ask for more, or lower --alphabet",
                opts.size,
                SPECIAL_TOKENS.len(),
                alphabet.len()
            ),
        })?;
    let pieces = merge::merge(&words, alphabet, room, opts.min_frequency, progress);
    let tokens = SPECIAL_TOKENS.iter().map(ToString::to_string).chain(pieces).collect();
    Tokenizer::from_vocab(tokens, opts.lowercase)
}

/// As [`train`], into a folder, which appears when it is complete. With `overwrite` an earlier vocabulary is replaced.
///
/// # Errors
/// As [`train`], and [`Error::OutputExists`] when there is one and `overwrite` is not set; an existing output stays as it was.
pub fn train_to(opts: &VocabOptions, output: &Path, overwrite: bool, progress: &dyn Progress) -> Result<Tokenizer> {
    let staging = Staging::begin(output, "vocab.txt", overwrite)?;
    let tokenizer = train(opts, progress)?;
    tokenizer.save(staging.folder())?;
    staging.commit()?;
    Ok(tokenizer)
}
