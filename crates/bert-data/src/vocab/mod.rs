//! Training a vocabulary: the words of a corpus are counted. For WordPiece and byte-level BPE the most frequent pair of
//! neighbouring pieces is then merged again and again; the two differ in what they begin with, characters or bytes. Unigram
//! goes the other way, from all frequent substrings down ([`unigram`]).
//!
//! The same corpus gives the same bytes, whatever the number of threads: counts are sums, and ties between pairs go to
//! the pieces that came into the vocabulary first.

mod count;
mod extend;
mod merge;
mod runs;
mod unigram;

use std::path::{Path, PathBuf};

use crate::build::DEFAULT_MEMORY;
use crate::cleaning::CleaningOptions;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::sources::{self, Format, ReadOptions, Unreadable};
use crate::staging::Staging;
use crate::tokenizer::{
    self, ALBERT_SPECIAL_TOKENS, Normalization, ROBERTA_SPECIAL_TOKENS, SPECIAL_TOKENS, Tokenizer, Words,
    byte_level_bpe,
};

/// The prefix of a piece that continues a word.
const CONTINUATION: &str = "##";
/// Longer words become `[UNK]` (the library's `max_input_chars_per_word`), so nothing is learnt from them.
const LONGEST_WORD: usize = 100;

/// How a vocabulary spells words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Algorithm {
    /// Characters and merges of them, `##` before what continues a word (BERT).
    #[default]
    #[value(name = "wordpiece")]
    WordPiece,
    /// Bytes and merges of them, the space part of the word behind it; no text is unknown (RoBERTa).
    Bpe,
    /// Pieces with probabilities, `▁` before what begins a word; the most probable spelling counts (ALBERT).
    Unigram,
}

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
    /// How it spells words.
    pub algorithm: Algorithm,
    /// A WordPiece vocabulary to add to. Its tokens keep their ids and its normalisation holds, not `algorithm` and `lowercase`.
    pub extend: Option<PathBuf>,
    /// Number of tokens, special tokens and those of the vocabulary to extend included. A small corpus may give fewer.
    pub size: usize,
    /// Lower-case the text and, for WordPiece and Unigram, take its accents off (an "uncased" vocabulary).
    pub lowercase: bool,
    /// A pair that occurs more seldom is not merged; of Unigram, a substring that is not considered.
    pub min_frequency: u64,
    /// Most different characters of WordPiece and Unigram; rarer ones become `[UNK]`.
    pub alphabet: usize,
    /// Threads; 0 for one per core.
    pub workers: usize,
    /// Most bytes of memory for counting, half of it for counts; [`train_to`] writes down what does not fit. The words that
    /// are trained on, each once, are held whatever their number. The vocabulary does not depend on it.
    pub memory: u64,
}

impl Default for VocabOptions {
    /// An uncased vocabulary of 30,522 tokens, as the released one, of at most 1,000 characters; input empty.
    fn default() -> Self {
        VocabOptions {
            input: Vec::new(),
            format: Format::Auto,
            unreadable: Unreadable::Stop,
            cleaning: CleaningOptions::default(),
            algorithm: Algorithm::WordPiece,
            extend: None,
            size: 30_522,
            lowercase: true,
            min_frequency: 2,
            alphabet: 1000,
            workers: 0,
            memory: DEFAULT_MEMORY,
        }
    }
}

/// Trains a vocabulary. It begins with `[PAD] [UNK] [CLS] [SEP] [MASK]` (WordPiece), `<s> <pad> </s> <unk> <mask>` (BPE) or
/// `<pad> <unk> [CLS] [SEP] [MASK]` (Unigram, whose pieces follow by their probabilities), then
/// come the characters or the 256 bytes, then the merges in the order in which they were made. One that extends another begins
/// with that, placeholders (`[unused0]`) included; then come characters that it could not spell, and the merges.
///
/// # Errors
/// [`Error::Setting`] for a size too small for the characters of the corpus, [`Error::EmptyCorpus`], and errors of reading.
pub fn train(opts: &VocabOptions, progress: &dyn Progress) -> Result<Tokenizer> {
    train_with(opts, None, progress)
}

/// As [`train`]; counts that do not fit into memory go into the folder.
fn train_with(opts: &VocabOptions, folder: Option<&Path>, progress: &dyn Progress) -> Result<Tokenizer> {
    for (name, value) in [("alphabet", opts.alphabet), ("size", opts.size)] {
        if value == 0 {
            return Err(Error::Setting { name, reason: "0 leaves no vocabulary".into() });
        }
    }
    let inputs = sources::expand(&opts.input)?;
    let pool = crate::workers::pool(opts.workers)?;
    let reading = ReadOptions { format: opts.format, unreadable: opts.unreadable };
    let base = opts.extend.as_deref().map(|path| extend::Base::open(path, opts.size)).transpose()?;
    let words_of = match (&base, opts.algorithm) {
        (Some(base), _) => Words::Bert(base.normalization),
        (None, Algorithm::WordPiece) => Words::Bert(Normalization::bert(opts.lowercase)),
        (None, Algorithm::Bpe) => Words::ByteLevel { lowercase: opts.lowercase },
        (None, Algorithm::Unigram) => Words::Marked { lowercase: opts.lowercase },
    };
    let spill = folder.map(|folder| count::Spill { folder, memory: (opts.memory / 2) as usize });
    let words = pool.install(|| count::count_words(&inputs, reading, &opts.cleaning, words_of, spill, progress))?;
    if words.is_empty() {
        return Err(Error::EmptyCorpus { inputs: opts.input.join(", ") });
    }
    if let Some(base) = base {
        return base.extended(&words, opts, progress);
    }
    match opts.algorithm {
        Algorithm::WordPiece => {
            let alphabet = merge::wordpiece_alphabet(&words, opts.alphabet, 1);
            let what = "pieces of one character; ask for more, or lower --alphabet";
            let merged = train_merges(&words, alphabet, CONTINUATION, what, opts, progress)?;
            let tokens = SPECIAL_TOKENS.iter().map(ToString::to_string).chain(merged.pieces).collect();
            Tokenizer::from_vocab(tokens, opts.lowercase)
        }
        Algorithm::Bpe => {
            let merged = train_merges(&words, Words::bytes(), "", "bytes; ask for more", opts, progress)?;
            byte_level_bpe(merged.pieces, merged.merges, opts.lowercase)
        }
        Algorithm::Unigram => pool.install(|| train_unigram(words, opts, progress)),
    }
}

/// Merges, from an alphabet on; `what` that consists of, and the cure where there is no room for it.
fn train_merges(
    words: &[(Box<str>, u64)],
    alphabet: Vec<String>,
    continuation: &'static str,
    what: &str,
    opts: &VocabOptions,
    progress: &dyn Progress,
) -> Result<merge::Merged> {
    // Both kinds have five.
    let special = SPECIAL_TOKENS.len().max(ROBERTA_SPECIAL_TOKENS.len());
    let room = opts.size.checked_sub(special + alphabet.len()).ok_or_else(|| Error::Setting {
        name: "size",
        reason: format!("{} has no room for {special} special tokens and the {} {what}", opts.size, alphabet.len()),
    })?;
    Ok(merge::merge(words, alphabet, continuation, room, opts.min_frequency, progress))
}

fn train_unigram(words: Vec<(Box<str>, u64)>, opts: &VocabOptions, progress: &dyn Progress) -> Result<Tokenizer> {
    // With their characters in the vocabulary, the names of the special tokens are text like any other.
    let alphabet = unigram::alphabet(&words, opts.alphabet, &ALBERT_SPECIAL_TOKENS);
    let special = ALBERT_SPECIAL_TOKENS.len();
    let room = opts.size.checked_sub(special).filter(|room| *room >= alphabet.len()).ok_or_else(|| Error::Setting {
        name: "size",
        reason: format!(
            "{} has no room for {special} special tokens and {} characters; ask for more, or lower --alphabet",
            opts.size,
            alphabet.len()
        ),
    })?;
    let words = unigram::known_parts(words, &alphabet);
    let pieces = unigram::train(&words, &alphabet, room, opts.min_frequency, progress);
    tokenizer::unigram(&pieces, opts.lowercase)
}

/// As [`train`], into a folder, which appears when it is complete. With `overwrite` an earlier vocabulary is replaced.
///
/// # Errors
/// As [`train`], and [`Error::OutputExists`] when there is one and `overwrite` is not set; an existing output stays as it was.
pub fn train_to(opts: &VocabOptions, output: &Path, overwrite: bool, progress: &dyn Progress) -> Result<Tokenizer> {
    let staging = Staging::begin(output, "tokenizer.json", overwrite)?;
    let tokenizer = train_with(opts, Some(staging.folder()), progress)?;
    tokenizer.save(staging.folder())?;
    staging.commit()?;
    Ok(tokenizer)
}
