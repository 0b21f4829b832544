//! `manifest.json`: what a dataset is, what it was made from and how, and the checksums of its files.
//!
//! It holds nothing that differs between two runs of the same request, such as a time or the number of workers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::build::{Pairing, Part, Sentences};
use crate::checksum::{read_sums, sha256_hex};
use crate::cleaning::{CleaningOptions, NotRemembered};
use crate::drops::Drops;
use crate::error::{Error, Result};
use crate::examples::Split;
use crate::masking::MaskingOptions;
use crate::sources::{Format, InputRecord, Mixture, SourceRecord, Unreadable};

/// Name of the manifest in a dataset's folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Version of the layout of the folder; another number means another reader.
pub const LAYOUT: u32 = 1;

/// The manifest of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the layout, [`LAYOUT`].
    pub layout: u32,
    /// The settings that made it.
    pub settings: Settings,
    /// The tokenizer, a copy of which lies in `tokenizer/`.
    pub tokenizer: TokenizerRecord,
    /// The corpus files, in the order in which they were read.
    pub inputs: Vec<InputRecord>,
    /// The inputs as they were given, in order, and how often each one's documents are used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceRecord>,
    /// What was read and not left out.
    pub corpus: CorpusCounts,
    /// What was left out, by reason. Tokens of the corpus before cleaning: `corpus.tokens` and those counted here.
    #[serde(default, skip_serializing_if = "Drops::is_empty")]
    pub dropped: Drops,
    /// Documents that later ones were not compared with, for want of memory.
    #[serde(default, skip_serializing_if = "NotRemembered::is_empty")]
    pub not_remembered: NotRemembered,
    /// What became of it, per split; a split that was not asked for is not listed.
    pub splits: Vec<SplitCounts>,
    /// The Arrow files.
    pub files: Vec<FileRecord>,
}

/// The settings that determine a dataset's examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How examples are made of documents.
    pub pairing: Pairing,
    /// Longest example, in tokens, `[CLS]` and `[SEP]` included.
    pub seq_len: usize,
    /// Share of the documents whose pairs aim at a random shorter length.
    pub short_seq_prob: f64,
    /// Share of the documents held out for validation.
    pub validation: f64,
    /// Least number of files of the training split.
    pub shards: usize,
    /// Seed of every random choice.
    pub seed: u64,
    /// The format asked for.
    pub format: Format,
    /// What was done about lines, records and pages that could not be used.
    #[serde(default, skip_serializing_if = "Unreadable::is_stop")]
    pub unreadable: Unreadable,
    /// Whether lines were cut into sentences.
    pub sentences: Sentences,
    /// What was taken out of the corpus.
    #[serde(default = "CleaningOptions::none", skip_serializing_if = "CleaningOptions::is_none")]
    pub cleaning: CleaningOptions,
    /// How often each input's documents are used; none: once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixture: Option<Mixture>,
    /// Masks drawn while building; none: masks are drawn while loading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_masks: Option<StaticMasks>,
    /// The part of the documents that is in this dataset; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// Number of parts that were merged into this dataset; none: it was built in one piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_parts: Option<u64>,
}

/// Masks that are drawn once, while building.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StaticMasks {
    /// How often the corpus is gone through, each time with other pairs and masks. The original has 10.
    pub dupe_factor: u64,
    /// How much is masked, and with what.
    pub masking: MaskingOptions,
}

/// Which tokenizer made the ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizerRecord {
    /// Digest of the vocabulary and the normalisation.
    pub digest: String,
    /// Number of tokens; all ids are below it.
    pub vocab_size: usize,
    /// How ids are stored: `uint16` while the vocabulary has fewer than 65,536 tokens, else `uint32`.
    pub id_type: String,
}

/// What was read from the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CorpusCounts {
    /// All documents, those that were left out excepted.
    pub documents: u64,
    /// Documents dropped because they hold no token.
    pub documents_empty: u64,
    /// Times that a very long document was cut, which made two of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub documents_cut: u64,
    /// Sentences with at least one token.
    pub sentences: u64,
    /// Sentences dropped because they hold no token (control characters only).
    pub sentences_empty: u64,
    /// All tokens.
    pub tokens: u64,
}

/// What became of the documents of one split. Every token of `tokens` is either in `tokens_kept` or in `tokens_truncated`. With
/// `dupe_factor` examples and tokens count once for each copy, documents and sentences once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitCounts {
    /// The split.
    pub split: Split,
    /// Its documents, the empty ones left out.
    pub documents: u64,
    /// Their sentences.
    pub sentences: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Examples made.
    pub examples: u64,
    /// Examples whose second segment comes from another document.
    pub examples_random_next: u64,
    /// Examples whose segments are swapped (`sop`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub examples_swapped: u64,
    /// Tokens that stand in the example of their own place in the text.
    pub tokens_kept: u64,
    /// Tokens dropped because their example was longer than `seq_len`.
    pub tokens_truncated: u64,
    /// Tokens of random second segments: copies, in addition to those kept.
    pub tokens_random: u64,
    /// `[CLS]` and `[SEP]` added.
    pub tokens_special: u64,
}

/// One Arrow file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// File name in the folder.
    pub name: String,
    /// The split it belongs to.
    pub split: Split,
    /// Number of examples.
    pub examples: u64,
    /// Number of tokens, special tokens included.
    pub tokens: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

impl Manifest {
    /// Reads the manifest of a dataset and checks it against the folder's list of checksums.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder has none, [`Error::Damaged`] when it was changed or has another layout.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST_FILE);
        let damaged = |reason: String| Error::Damaged { path: path.clone(), reason };
        let bytes = fs::read(&path).map_err(Error::io("open", &path))?;
        let sums = read_sums(dir)?;
        if sums.get(MANIFEST_FILE) != Some(&sha256_hex(&bytes)) {
            return Err(damaged(
                "its checksum is not the one in SHA256SUMS: it was changed after it was written. Build the dataset again"
                    .into(),
            ));
        }
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|e| damaged(format!("not a manifest this version can read: {e}")))?;
        if manifest.layout != LAYOUT {
            return Err(damaged(format!(
                "layout {} and this program reads layout {LAYOUT}; build the dataset again",
                manifest.layout
            )));
        }
        Ok(manifest)
    }

    /// The text of `manifest.json`.
    pub(crate) fn to_json(&self) -> String {
        // Serialising these types cannot fail: no maps with keys other than strings, no values that refuse.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The counts of a split; none when it was not made.
    pub fn split(&self, split: Split) -> Option<&SplitCounts> {
        self.splits.iter().find(|counts| counts.split == split)
    }

    /// In words, how the request that made `self` differs from `settings`, `tokenizer` and `inputs`; none when it does not.
    pub(crate) fn difference(
        &self,
        settings: &Settings,
        tokenizer: &TokenizerRecord,
        inputs: &[InputRecord],
    ) -> Option<String> {
        if let Some(difference) = difference_of_settings(&self.settings, settings) {
            return Some(difference);
        }
        if self.tokenizer != *tokenizer {
            return Some("it was made with another tokenizer".into());
        }
        if self.inputs.len() != inputs.len() {
            return Some(format!(
                "it was made from {} input files and this request has {}",
                self.inputs.len(),
                inputs.len()
            ));
        }
        let changed = self.inputs.iter().zip(inputs).find(|(old, new)| old != new);
        changed.map(|(old, new)| match old.path == new.path {
            true => format!("the input {} has changed since", new.path),
            false => format!("it was made from {} and this request has {} in its place", old.path, new.path),
        })
    }
}

/// In words, which settings of an earlier request differ from those of a new one; none when all are the same.
pub(crate) fn difference_of_settings(old: &Settings, new: &Settings) -> Option<String> {
    let (Ok(serde_json::Value::Object(old)), Ok(serde_json::Value::Object(new))) =
        (serde_json::to_value(old), serde_json::to_value(new))
    else {
        return None;
    };
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let in_words = |value: Option<&serde_json::Value>| value.map_or("not set".into(), ToString::to_string);
    let differing: Vec<String> = keys
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| format!("{key} is {} there and {} in this request", in_words(old.get(key)), in_words(new.get(key))))
        .collect();
    (!differing.is_empty()).then(|| differing.join(", "))
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl CorpusCounts {
    /// Adds the counts of another part of the corpus.
    pub(crate) fn add(&mut self, other: &CorpusCounts) {
        self.documents += other.documents;
        self.documents_empty += other.documents_empty;
        self.documents_cut += other.documents_cut;
        self.sentences += other.sentences;
        self.sentences_empty += other.sentences_empty;
        self.tokens += other.tokens;
    }
}

impl SplitCounts {
    /// Counts a document, in the first copy of the corpus only.
    pub(crate) fn add_document(&mut self, copy: u64, sentences: u64) {
        if copy == 0 {
            self.documents += 1;
            self.sentences += sentences;
        }
    }

    /// All counts at zero.
    pub(crate) fn new(split: Split) -> Self {
        SplitCounts {
            split,
            documents: 0,
            sentences: 0,
            tokens: 0,
            examples: 0,
            examples_random_next: 0,
            examples_swapped: 0,
            tokens_kept: 0,
            tokens_truncated: 0,
            tokens_random: 0,
            tokens_special: 0,
        }
    }

    /// Adds the counts of another part of the same split.
    pub(crate) fn add(&mut self, other: &SplitCounts) {
        self.documents += other.documents;
        self.sentences += other.sentences;
        self.tokens += other.tokens;
        self.examples += other.examples;
        self.examples_random_next += other.examples_random_next;
        self.examples_swapped += other.examples_swapped;
        self.tokens_kept += other.tokens_kept;
        self.tokens_truncated += other.tokens_truncated;
        self.tokens_random += other.tokens_random;
        self.tokens_special += other.tokens_special;
    }
}
