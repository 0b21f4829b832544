//! Documents -> examples for masked language modelling and next-sentence prediction, as Arrow files.
//!
//! Two passes. The first reads the corpus and keeps its tokens in a temporary file that is memory-mapped; the second makes
//! pairs from it. Every random choice is a function of (seed, document), so neither the number of workers nor the order in
//! which they finish has any effect on a byte of the output.

mod arrow_file;
mod pairs;
mod store;

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::checksum::{SUMS_FILE, Sums, sha256_file, sha256_hex, sums_text};
use crate::error::{Error, Result};
use crate::examples::Split;
use crate::manifest::{
    CorpusCounts, FileRecord, LAYOUT, MANIFEST_FILE, Manifest, Settings, SplitCounts, TokenizerRecord,
};
use crate::progress::Progress;
use crate::random::{Purpose, Random};
use crate::sources::{self, Document, Format, Input, InputRecord, split_sentences};
use crate::staging::{self, Staging};
use crate::tokenizer::WordPiece;
use arrow_file::ArrowFile;
use pairs::PairMaker;
use store::{TokenStore, TokenStoreWriter};

/// Folder of the tokenizer's copy inside a dataset.
pub const TOKENIZER_FOLDER: &str = "tokenizer";
/// Shortest useful example: `[CLS] a [SEP] b [SEP]`.
const SHORTEST: usize = 5;
/// Text handed to one worker at a time, in bytes.
const GROUP_BYTES_PER_WORKER: usize = 4 << 20;

/// What counts as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Sentences {
    /// Lines are cut into sentences by rules (see [`split_sentences`]); a line that is one sentence stays whole.
    #[default]
    Split,
    /// Every line is one sentence, for a corpus that was cut before.
    Lines,
}

/// A request for a dataset.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Files, folders and globs, or `sample` for the embedded corpus.
    pub input: Vec<String>,
    /// How the files mark their documents.
    pub format: Format,
    /// What counts as a sentence.
    pub sentences: Sentences,
    /// Longest example in tokens, special tokens included.
    pub seq_len: usize,
    /// Share of the documents whose examples aim at a random shorter length. The original has 0.1.
    pub short_seq_prob: f64,
    /// Share of the documents held out for validation; 0 for none.
    pub validation: f64,
    /// Number of files of the training split.
    pub shards: usize,
    /// Threads; 0 for one per core.
    pub workers: usize,
    /// Seed of every random choice.
    pub seed: u64,
    /// The folder to make.
    pub output: PathBuf,
    /// Replace an earlier dataset that was made from another request.
    pub overwrite: bool,
}

impl Default for BuildOptions {
    /// Length 128, the original's short sequences, no validation split, one file, all cores, seed 0; input and output empty.
    fn default() -> Self {
        BuildOptions {
            input: Vec::new(),
            format: Format::Auto,
            sentences: Sentences::Split,
            seq_len: 128,
            short_seq_prob: 0.1,
            validation: 0.0,
            shards: 1,
            workers: 0,
            seed: 0,
            output: PathBuf::new(),
            overwrite: false,
        }
    }
}

/// Makes a dataset. When `output` already holds the dataset of exactly this request, it is kept and its manifest returned.
///
/// # Errors
/// [`Error::Setting`] and [`Error::Input`] for a request that makes no sense, [`Error::OutputExists`] when `output` holds a
/// dataset of another request and `overwrite` is not set, [`Error::EmptyCorpus`], [`Error::TooFewDocuments`], and errors of
/// reading and writing. Whatever fails, an existing output stays as it was.
pub fn build(opts: &BuildOptions, tok: &WordPiece, progress: &dyn Progress) -> Result<Manifest> {
    let settings = resolve(opts)?;
    let tokenizer =
        TokenizerRecord { digest: tok.digest(), vocab_size: tok.vocab_size(), id_type: id_type(tok).into() };
    let inputs = sources::expand(&opts.input)?;
    if let Some(existing) = up_to_date(opts, &settings, &tokenizer, &inputs)? {
        progress.finish(&format!(
            "{} is up to date: made from the same files with the same settings",
            opts.output.display()
        ));
        return Ok(existing);
    }
    let staging = Staging::begin(&opts.output, MANIFEST_FILE, opts.overwrite)?;
    let pool = crate::workers::pool(opts.workers)?;
    let manifest = pool.install(|| write(opts, settings, tokenizer, &inputs, tok, &staging, progress))?;
    staging.commit()?;
    Ok(manifest)
}

/// Checks the request and fixes every setting.
fn resolve(opts: &BuildOptions) -> Result<Settings> {
    let setting = |name: &'static str, reason: String| Err(Error::Setting { name, reason });
    if !(SHORTEST..=usize::from(u16::MAX)).contains(&opts.seq_len) {
        return setting("seq-len", format!("{} is outside {SHORTEST}..={}", opts.seq_len, u16::MAX));
    }
    for (name, share) in [("short-seq-prob", opts.short_seq_prob), ("validation", opts.validation)] {
        if !(0.0..=1.0).contains(&share) {
            return setting(name, format!("{share} is not a share between 0 and 1"));
        }
    }
    if opts.validation > 0.5 {
        return setting("validation", format!("{} would hold out more than half of the documents", opts.validation));
    }
    if !(1..=99_999).contains(&opts.shards) {
        return setting("shards", format!("{} is outside 1..=99999", opts.shards));
    }
    Ok(Settings {
        pairing: "nsp".into(),
        seq_len: opts.seq_len,
        short_seq_prob: opts.short_seq_prob,
        validation: opts.validation,
        shards: opts.shards,
        seed: opts.seed,
        format: opts.format,
        sentences: opts.sentences,
    })
}

/// How this tokenizer's ids are stored.
fn id_type(tok: &WordPiece) -> &'static str {
    if tok.vocab_size() < 65_536 { "uint16" } else { "uint32" }
}

/// The manifest of the dataset at `output` when it is the one asked for.
fn up_to_date(
    opts: &BuildOptions,
    settings: &Settings,
    tokenizer: &TokenizerRecord,
    inputs: &[Input],
) -> Result<Option<Manifest>> {
    if staging::is_free(&opts.output)? || !opts.output.join(MANIFEST_FILE).is_file() {
        return Ok(None);
    }
    let manifest = match Manifest::read(&opts.output) {
        Err(_) if opts.overwrite => return Ok(None),
        manifest => manifest?,
    };
    let records: Vec<InputRecord> =
        inputs.iter().map(|input| sources::record_of(input, opts.format)).collect::<Result<_>>()?;
    match manifest.difference(settings, tokenizer, &records) {
        None => Ok(Some(manifest)),
        Some(_) if opts.overwrite => Ok(None),
        Some(difference) => Err(Error::OutputExists { path: opts.output.clone(), difference }),
    }
}

/// The two passes, into the staging folder.
fn write(
    opts: &BuildOptions,
    settings: Settings,
    tokenizer: TokenizerRecord,
    inputs: &[Input],
    tok: &WordPiece,
    staging: &Staging,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let folder = staging.folder();
    let (store, corpus, records) = tokenize(opts, inputs, tok, staging, progress)?;
    if corpus.tokens == 0 {
        return Err(Error::EmptyCorpus { inputs: opts.input.join(", ") });
    }

    let mut splits = Vec::new();
    let mut files = Vec::new();
    for (split, documents) in assign(&store, &settings)? {
        let (counts, records) = write_split(split, &documents, &store, &settings, tok, staging, progress)?;
        splits.push(counts);
        files.extend(records);
    }
    store.remove()?;

    let tokenizer_folder = folder.join(TOKENIZER_FOLDER);
    tok.save(&tokenizer_folder)?;
    let manifest = Manifest { layout: LAYOUT, settings, tokenizer, inputs: records, corpus, splits, files };
    let mut sums: Sums = manifest.files.iter().map(|file| (file.name.clone(), file.sha256.clone())).collect();
    for entry in fs::read_dir(&tokenizer_folder).map_err(Error::io("read", &tokenizer_folder))? {
        let entry = entry.map_err(Error::io("read", &tokenizer_folder))?;
        let name = format!("{TOKENIZER_FOLDER}/{}", entry.file_name().to_string_lossy());
        sums.insert(name, sha256_file(&entry.path())?.0);
    }
    let json = manifest.to_json();
    sums.insert(MANIFEST_FILE.into(), sha256_hex(json.as_bytes()));
    for (name, text) in [(MANIFEST_FILE, json), (SUMS_FILE, sums_text(&sums))] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Error::io("write", &path))?;
    }
    Ok(manifest)
}

/// A document's ids, sentence after sentence.
struct TokenizedDocument {
    ids: Vec<u32>,
    sentence_lengths: Vec<u32>,
    sentences_empty: u64,
}

fn tokenize_document(document: &Document, sentences: Sentences, tok: &WordPiece) -> TokenizedDocument {
    let mut tokenized = TokenizedDocument { ids: Vec::new(), sentence_lengths: Vec::new(), sentences_empty: 0 };
    let mut add = |sentence: &str| {
        let before = tokenized.ids.len();
        tok.encode_into(sentence, &mut tokenized.ids);
        match tokenized.ids.len() - before {
            0 => tokenized.sentences_empty += 1,
            length => tokenized.sentence_lengths.push(length as u32),
        }
    };
    for paragraph in &document.paragraphs {
        match sentences {
            Sentences::Split => split_sentences(paragraph).into_iter().for_each(&mut add),
            Sentences::Lines => add(paragraph),
        }
    }
    tokenized
}

/// The first pass: the whole corpus as ids.
fn tokenize(
    opts: &BuildOptions,
    inputs: &[Input],
    tok: &WordPiece,
    staging: &Staging,
    progress: &dyn Progress,
) -> Result<(TokenStore, CorpusCounts, Vec<InputRecord>)> {
    let mut writer = TokenStoreWriter::create(staging.folder(), id_type(tok) == "uint32")?;
    let mut counts = CorpusCounts::default();
    let total = inputs.iter().map(Input::bytes).sum();
    progress.start("tokenizing", Some(total), "bytes");
    let group_bytes = GROUP_BYTES_PER_WORKER * rayon::current_num_threads();
    let records = sources::for_each_group(inputs, opts.format, group_bytes, |group| {
        let bytes: usize = group.iter().flat_map(|d| &d.paragraphs).map(|p| p.len() + 1).sum();
        let tokenized: Vec<TokenizedDocument> =
            group.par_iter().map(|document| tokenize_document(document, opts.sentences, tok)).collect();
        for document in tokenized {
            counts.documents += 1;
            counts.documents_empty += u64::from(document.ids.is_empty());
            counts.sentences += document.sentence_lengths.len() as u64;
            counts.sentences_empty += document.sentences_empty;
            counts.tokens += document.ids.len() as u64;
            writer.push(&document.ids, &document.sentence_lengths)?;
        }
        progress.advance(bytes as u64);
        Ok(())
    })?;
    progress.finish(&format!(
        "tokenized {} documents: {} sentences, {} tokens",
        counts.documents, counts.sentences, counts.tokens
    ));
    Ok((writer.finish()?, counts, records))
}

/// Which documents go into which split: a function of (seed, number of the document). Empty documents go nowhere.
fn assign(store: &TokenStore, settings: &Settings) -> Result<Vec<(Split, Vec<u64>)>> {
    let (mut train, mut validation) = (Vec::new(), Vec::new());
    for document in (0..store.documents()).filter(|&d| !store.tokens_of(d).is_empty()) {
        let held_out = Random::new(settings.seed, Purpose::Split, 0, document).chance(settings.validation);
        if held_out { &mut validation } else { &mut train }.push(document);
    }
    let documents = (train.len() + validation.len()) as u64;
    let mut splits = vec![(Split::Train, train)];
    if settings.validation > 0.0 {
        splits.push((Split::Validation, validation));
    }
    for (split, found) in &splits {
        if found.len() < 2 {
            return Err(Error::TooFewDocuments {
                split: split.name(),
                found: found.len() as u64,
                documents,
                cure: match split {
                    Split::Validation => "Raise --validation, give more documents, or do without it (--validation 0)",
                    Split::Train => "Give more documents; in the text format a blank line divides them",
                },
            });
        }
    }
    Ok(splits)
}

/// Cuts a split's documents into `shards` runs of about the same number of tokens; a run may be empty.
fn shard_ranges(documents: &[u64], store: &TokenStore, shards: usize) -> Vec<Range<usize>> {
    let length = |document: &u64| {
        let tokens = store.tokens_of(*document);
        tokens.end - tokens.start
    };
    let total: u64 = documents.iter().map(length).sum();
    let mut ends = vec![0; shards];
    let mut before = 0;
    for (i, document) in documents.iter().enumerate() {
        let shard = (u128::from(before) * shards as u128 / u128::from(total.max(1))) as usize;
        ends[shard.min(shards - 1)] = i + 1;
        before += length(document);
    }
    let mut start = 0;
    ends.into_iter()
        .map(|end| {
            let range = start..end.max(start);
            start = range.end;
            range
        })
        .collect()
}

/// The second pass, for one split: pairs into Arrow files, one thread a file.
fn write_split(
    split: Split,
    documents: &[u64],
    store: &TokenStore,
    settings: &Settings,
    tok: &WordPiece,
    staging: &Staging,
    progress: &dyn Progress,
) -> Result<(SplitCounts, Vec<FileRecord>)> {
    let shards = match split {
        Split::Train => settings.shards,
        Split::Validation => 1,
    };
    progress.start(&format!("pairing ({})", split.name()), Some(documents.len() as u64), "documents");
    let results: Vec<(SplitCounts, FileRecord)> = shard_ranges(documents, store, shards)
        .into_par_iter()
        .enumerate()
        .map(|(shard, range)| {
            let name = format!("{}-{shard:05}-of-{shards:05}.arrow", split.name());
            let mut file = ArrowFile::create(staging.folder(), &name, store, tok.special())?;
            let mut counts = SplitCounts::new(split);
            let maker = PairMaker::new(store, documents, settings);
            for index in range {
                maker.make(index, &mut counts, |pair| file.push(&pair))?;
                progress.advance(1);
            }
            Ok((counts, file.finish(split)?))
        })
        .collect::<Result<_>>()?;
    let mut total = SplitCounts::new(split);
    let mut files = Vec::with_capacity(results.len());
    for (counts, file) in results {
        total.add(&counts);
        files.push(file);
    }
    progress.finish(&format!("{}: {} examples from {} documents", split.name(), total.examples, total.documents));
    Ok((total, files))
}
