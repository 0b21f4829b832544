//! Documents -> examples, as Arrow files.
//!
//! Two passes. The first reads the corpus and keeps its tokens in temporary files; the second makes examples from them. Every
//! random choice is a function of (seed, document), so neither the number of workers nor the order in which they finish has any
//! effect on a byte of the output. A build that was stopped at any moment goes on from what is finished and ends with the same
//! bytes.
//!
//! ```text
//! documents -> tokenize -> store -> splits -> pairs | sentences -> rows -> arrow_file -> shards
//! ```

mod arrow_file;
mod draft;
mod memory;
mod merge;
mod pairs;
mod part;
mod rows;
mod sentences;
mod shards;
mod splits;
mod store;
mod tokenize;
mod work;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::checksum::{SUMS_FILE, Sums, sha256_file, sha256_hex, sums_text};
use crate::cleaning::CleaningOptions;
use crate::error::{Error, Result};
use crate::examples::Columns;
use crate::manifest::{LAYOUT, MANIFEST_FILE, Manifest, Settings, StaticMasks, TokenizerRecord};
use crate::masking::{MaskKind, Masker};
use crate::progress::Progress;
use crate::sources::{self, Format, Input, InputRecord, Mixture, ReadOptions, Unreadable};
use crate::staging;
use crate::tokenizer::{PairLayout, Tokenizer};
use memory::Shares;
use shards::Recipe;
use tokenize::{CorpusRead, Tokenized};
use work::{Request, WorkFolder};

pub use memory::{DEFAULT_MEMORY, DEFAULT_SHARD_SIZE, parse_size};
pub use merge::merge;
pub use part::Part;

/// Folder of the tokenizer's copy inside a dataset.
pub const TOKENIZER_FOLDER: &str = "tokenizer";
/// Shortest useful example: `[CLS] a [SEP] b [SEP]`.
const SHORTEST: usize = 5;

/// How examples are made of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Pairing {
    /// Two segments; the second follows the first or comes from another document (BERT).
    #[default]
    Nsp,
    /// Two segments that follow each other, in their order or swapped (ALBERT). A document of a single sentence is paired with
    /// another document and labelled as swapped, as the original does it.
    Sop,
    /// Full sentences up to the length, on into the next document (RoBERTa).
    FullSentences,
    /// Full sentences up to the length, of one document (RoBERTa).
    DocSentences,
}

impl Pairing {
    /// Whether examples are pairs with a label.
    pub fn has_pairs(self) -> bool {
        matches!(self, Pairing::Nsp | Pairing::Sop)
    }

    /// The name in settings and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Pairing::Nsp => "nsp",
            Pairing::Sop => "sop",
            Pairing::FullSentences => "full-sentences",
            Pairing::DocSentences => "doc-sentences",
        }
    }

    /// Whether this is the default, which settings leave out.
    pub fn is_nsp(&self) -> bool {
        *self == Pairing::Nsp
    }
}

/// What counts as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Sentences {
    /// Lines are cut into sentences by rules; a line that is one sentence stays whole.
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
    /// What to do about a line, record or page that cannot be used.
    pub unreadable: Unreadable,
    /// p^exponent, for inputs such as languages: the small ones are used more often and the large ones less. None: all as
    /// they are.
    pub sampling_exponent: Option<f64>,
    /// What is taken out of the corpus. At most a quarter of `memory` is used for comparing documents.
    pub cleaning: CleaningOptions,
    /// What counts as a sentence.
    pub sentences: Sentences,
    /// How examples are made of documents.
    pub pairing: Pairing,
    /// Longest example in tokens, special tokens included.
    pub seq_len: usize,
    /// Share of the documents whose pairs aim at a random shorter length. The original has 0.1.
    pub short_seq_prob: f64,
    /// Masks drawn while building, as the original does it; none: while loading, anew in every epoch.
    pub static_masks: Option<StaticMasks>,
    /// Share of the documents held out for validation; 0 for none.
    pub validation: f64,
    /// Number of files of the training split; more where one would exceed `shard_size`.
    pub shards: usize,
    /// Most bytes of a file, about.
    pub shard_size: u64,
    /// The part of the documents that this machine works on; none: all.
    pub part: Option<Part>,
    /// Threads; 0 for one per core.
    pub workers: usize,
    /// Most bytes of memory to use. A single document is held whatever its length.
    pub memory: u64,
    /// Seed of every random choice.
    pub seed: u64,
    /// The folder to make.
    pub output: PathBuf,
    /// Replace an earlier dataset that was made from another request.
    pub overwrite: bool,
    /// Go on with a build of the same request that was stopped; begin where there is none.
    pub resume: bool,
}

impl Default for BuildOptions {
    /// Pairs of length 128, the original's short sequences, masks while loading, no validation split, one file, all cores, 2 GiB,
    /// seed 0; input and output empty.
    fn default() -> Self {
        BuildOptions {
            input: Vec::new(),
            format: Format::Auto,
            unreadable: Unreadable::Stop,
            sampling_exponent: None,
            cleaning: CleaningOptions::default(),
            sentences: Sentences::Split,
            pairing: Pairing::Nsp,
            seq_len: 128,
            short_seq_prob: 0.1,
            static_masks: None,
            validation: 0.0,
            shards: 1,
            shard_size: DEFAULT_SHARD_SIZE,
            part: None,
            workers: 0,
            memory: DEFAULT_MEMORY,
            seed: 0,
            output: PathBuf::new(),
            overwrite: false,
            resume: false,
        }
    }
}

/// Makes a dataset. When `output` already holds the dataset of exactly this request, it is kept and its manifest returned.
///
/// # Errors
/// [`Error::Setting`] and [`Error::Input`] for a request that makes no sense, [`Error::OutputExists`] when `output` holds a
/// dataset of another request and `overwrite` is not set, [`Error::Interrupted`] when a build was stopped and `resume` is not
/// set or the request differs, [`Error::EmptyCorpus`], [`Error::TooFewDocuments`], and errors of reading and writing. Where
/// those can be put right (a full disk), what is finished is kept: [`Error::Stopped`]. Whatever fails, an existing output stays as
/// it was.
pub fn build(opts: &BuildOptions, tok: &Tokenizer, progress: &dyn Progress) -> Result<Manifest> {
    let settings = resolve(opts)?;
    if opts.pairing.has_pairs() && tok.pair_layout() == PairLayout::DoubleSeparator {
        return Err(Error::Setting {
            name: "pairing",
            reason: format!(
                "{} makes pairs `[CLS] A [SEP] B [SEP]` with segments, and pairs of this tokenizer are `<s> A </s></s> B </s>` without (RoBERTa); give --pairing full-sentences or doc-sentences, or another tokenizer",
                opts.pairing.name()
            ),
        });
    }
    let masker = settings.static_masks.map(|masks| Masker::new(masks.masking, tok)).transpose()?;
    let tokenizer =
        TokenizerRecord { digest: tok.digest(), vocab_size: tok.vocab_size(), id_type: id_type(tok).into() };
    let inputs = sources::expand(&opts.input)?;
    if let Some(existing) = up_to_date(opts, &settings, &tokenizer, &inputs)? {
        WorkFolder::clean(&opts.output)?;
        progress.finish(&format!(
            "{} is up to date: made from the same files with the same settings",
            opts.output.display()
        ));
        return Ok(existing);
    }
    let pool = crate::workers::pool(opts.workers)?;
    let memory = memory::shares(opts.memory, opts.cleaning.memory, pool.current_num_threads())?;
    let work = WorkFolder::begin(opts, &Request::new(opts, &settings, &tokenizer, &inputs))?;
    let columns = Columns {
        wide: tokenizer.id_type == "uint32",
        pairing: settings.pairing,
        masked: settings.static_masks.is_some(),
    };
    let recipe = Recipe { settings: &settings, columns, special: tok.special(), masker, shard_size: opts.shard_size };
    let build = Build { opts, tokenizer, inputs: &inputs, tok, recipe: &recipe, memory, work: &work, progress };
    match pool.install(|| build.write()) {
        Ok(manifest) => {
            work.commit()?;
            Ok(manifest)
        }
        // What the machine refuses can be put right; what is wrong with the corpus begins anew with another corpus.
        Err(error @ (Error::Io { .. } | Error::Arrow { .. })) if !error.is_request() => {
            Err(Error::Stopped { source: Box::new(error), folder: work.keep() })
        }
        Err(error) => Err(error),
    }
}

impl BuildOptions {
    fn reading(&self) -> ReadOptions {
        ReadOptions { format: self.format, unreadable: self.unreadable }
    }
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
    if opts.shard_size < 1 << 16 {
        return setting("shard-size", format!("{} bytes are hardly a file; give 64KiB or more", opts.shard_size));
    }
    if opts.static_masks.is_some_and(|masks| masks.masking.kind == MaskKind::Permutation) {
        return setting(
            "masking kind",
            "permutation targets have an order that files do not hold; they are drawn while loading (--masking dynamic)".into(),
        );
    }
    if opts.static_masks.is_some_and(|masks| !(1..=1000).contains(&masks.dupe_factor)) {
        return setting("dupe-factor", "outside 1..=1000; the original has 10".into());
    }
    if opts.part.is_some_and(|part| part.index >= part.of) {
        return setting("part", "parts are counted from 0 and end below their number".into());
    }
    Ok(Settings {
        pairing: opts.pairing,
        seq_len: opts.seq_len,
        // Full sentences have no target length to vary.
        short_seq_prob: if opts.pairing.has_pairs() { opts.short_seq_prob } else { 0.0 },
        validation: opts.validation,
        shards: opts.shards,
        seed: opts.seed,
        format: opts.format,
        unreadable: opts.unreadable,
        cleaning: opts.cleaning.clone(),
        mixture: Mixture::parse(&opts.input, opts.sampling_exponent)?,
        sentences: opts.sentences,
        static_masks: opts.static_masks,
        part: opts.part,
        merged_parts: None,
    })
}

/// How this tokenizer's ids are stored.
fn id_type(tok: &Tokenizer) -> &'static str {
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
        inputs.iter().map(|input| sources::record_of(input, opts.reading())).collect::<Result<_>>()?;
    match manifest.difference(settings, tokenizer, &records) {
        None => Ok(Some(manifest)),
        Some(_) if opts.overwrite => Ok(None),
        Some(difference) => Err(Error::OutputExists { path: opts.output.clone(), difference }),
    }
}

/// A build under way.
struct Build<'a> {
    opts: &'a BuildOptions,
    tokenizer: TokenizerRecord,
    inputs: &'a [Input],
    tok: &'a Tokenizer,
    recipe: &'a Recipe<'a>,
    memory: Shares,
    work: &'a WorkFolder,
    progress: &'a dyn Progress,
}

impl Build<'_> {
    /// The two passes, into the work folder.
    fn write(self) -> Result<Manifest> {
        let Build { opts, tokenizer, inputs, tok, recipe, memory, work, progress } = self;
        let wide = recipe.columns.wide;
        let mut cleaning = opts.cleaning.clone();
        cleaning.memory = memory.cleaning;
        let Tokenized { store, read } =
            tokenize::tokenize(opts, &cleaning, inputs, tok, wide, memory.group, work.folder(), progress)?;
        let CorpusRead { corpus, inputs: records, mut sources, dropped, not_remembered } = read;
        if corpus.tokens == 0 {
            return Err(Error::EmptyCorpus { inputs: opts.input.join(", ") });
        }
        if let Some(mixture) = &recipe.settings.mixture {
            mixture.settle(&mut sources);
        }
        let dataset = work.dataset();
        let mut splits = Vec::new();
        let mut files = Vec::new();
        for list in splits::assign(&store, recipe.settings, &sources, work.folder())? {
            let (counts, records) = shards::write_split(&list, &store, recipe, &dataset, &work.records(), progress)?;
            splits.push(counts);
            files.extend(records);
        }
        tok.save(&dataset.join(TOKENIZER_FOLDER))?;
        let settings = recipe.settings.clone();
        let manifest = Manifest {
            layout: LAYOUT,
            settings,
            tokenizer,
            inputs: records,
            sources,
            corpus,
            dropped,
            not_remembered,
            splits,
            files,
        };
        write_manifest(&dataset, &manifest)?;
        Ok(manifest)
    }
}

/// Writes the manifest and the list of checksums beside the files they are about.
fn write_manifest(dataset: &Path, manifest: &Manifest) -> Result<()> {
    let mut sums: Sums = manifest.files.iter().map(|file| (file.name.clone(), file.sha256.clone())).collect();
    let tokenizer_folder = dataset.join(TOKENIZER_FOLDER);
    for entry in fs::read_dir(&tokenizer_folder).map_err(Error::io("read", &tokenizer_folder))? {
        let entry = entry.map_err(Error::io("read", &tokenizer_folder))?;
        let name = format!("{TOKENIZER_FOLDER}/{}", entry.file_name().to_string_lossy());
        sums.insert(name, sha256_file(&entry.path())?.0);
    }
    let json = manifest.to_json();
    sums.insert(MANIFEST_FILE.into(), sha256_hex(json.as_bytes()));
    for (name, text) in [(MANIFEST_FILE, json), (SUMS_FILE, sums_text(&sums))] {
        let path = dataset.join(name);
        fs::write(&path, text).map_err(Error::io("write", &path))?;
    }
    Ok(())
}
