//! Documents -> documents worth learning from: duplicates, repeated lines, short texts and other scripts are taken out.
//!
//! Nothing disappears: what is taken out is handed back with its reason, so that whoever asked can count it. The outcome
//! depends on the documents and their order alone, not on the number of threads: what looks at one text (hashes, filters)
//! runs in parallel, what compares texts runs in the order of the corpus. Memory is bounded by
//! [`CleaningOptions::memory`], whatever the corpus's size.

mod duplicates;
mod filters;
mod hash;
mod minhash;
mod near;
mod repeats;
mod sentences;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::drops::{Dropped, Drops, Reason};
use crate::error::{Error, Result};
use crate::sources::Document;
use duplicates::Duplicates;
use filters::Filters;
use near::NearDuplicates;
use repeats::Repeats;

pub use sentences::split_sentences;

/// What is taken out of a corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CleaningOptions {
    /// Documents that came before, word for word. On by default: a copy teaches nothing and, divided between training and
    /// validation, makes the validation loss too good.
    pub duplicates: bool,
    /// Documents that share at least this share of their runs of five words with one that came before, as MinHash
    /// estimates it; none, the default, looks for none. 0.8 is usual.
    pub near_duplicates: Option<f64>,
    /// How often the same line may come in the whole corpus; more are taken out. 0 for no limit. A page's furniture comes
    /// millions of times and keeps the loss from falling; a line of dialogue does not come 1,000 times, the default, in
    /// any corpus where it would be missed.
    pub line_repeats: u64,
    /// Fewest characters of a line; 0, the default, for no limit.
    pub min_line_chars: usize,
    /// Fewest characters of a document; 0, the default, for no limit.
    pub min_document_chars: usize,
    /// Unicode scripts, such as `Latin` or `Han`: a line more than half of whose letters are of others is taken out.
    /// Empty, the default, takes every script.
    pub scripts: Vec<String>,
    /// Memory for comparing, in bytes. When it is used up, documents that come later are still compared with those
    /// remembered, but not remembered themselves; how many is counted. It is no property of the dataset, so it is not
    /// written down.
    #[serde(skip, default = "default_memory")]
    pub memory: usize,
}

fn default_memory() -> usize {
    512 << 20
}

impl Default for CleaningOptions {
    fn default() -> Self {
        CleaningOptions { duplicates: true, line_repeats: 1000, ..CleaningOptions::none() }
    }
}

impl CleaningOptions {
    /// Takes nothing out.
    pub fn none() -> Self {
        CleaningOptions {
            duplicates: false,
            near_duplicates: None,
            line_repeats: 0,
            min_line_chars: 0,
            min_document_chars: 0,
            scripts: Vec::new(),
            memory: default_memory(),
        }
    }

    /// True when nothing is taken out.
    pub fn is_none(&self) -> bool {
        *self == CleaningOptions { memory: self.memory, ..CleaningOptions::none() }
    }
}

/// A document after cleaning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// What is left of it; may be nothing.
    pub(crate) document: Document,
    /// What was taken out.
    pub(crate) dropped: Vec<DroppedText>,
    /// Whether the whole document was taken out; then `document` is empty.
    pub(crate) gone: bool,
}

impl Cleaned {
    /// Counts what was taken out, its sentences and tokens excepted.
    pub(crate) fn count_dropped(&self, drops: &mut Drops) {
        for dropped in &self.dropped {
            drops.add(dropped.reason, dropped.count());
        }
    }
}

impl DroppedText {
    /// How much it is, sentences and tokens excepted.
    pub(crate) fn count(&self) -> Dropped {
        Dropped {
            documents: u64::from(self.is_document),
            lines: self.lines.len() as u64,
            bytes: self.lines.iter().map(|line| line.len() as u64).sum(),
            ..Dropped::default()
        }
    }
}

/// Lines that were taken out for one reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DroppedText {
    pub(crate) reason: Reason,
    pub(crate) lines: Vec<String>,
    /// Whether they were a whole document.
    pub(crate) is_document: bool,
}

/// How many documents could not be remembered for comparing, because the memory was used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NotRemembered {
    /// For exact duplicates.
    pub duplicates: u64,
    /// For near duplicates.
    pub near_duplicates: u64,
}

impl NotRemembered {
    /// True when all were remembered.
    pub fn is_empty(&self) -> bool {
        *self == NotRemembered::default()
    }
}

/// Cleans the documents of a corpus in order.
pub(crate) struct Cleaner {
    filters: Filters,
    duplicates: Option<Duplicates>,
    near: Option<NearDuplicates>,
    repeats: Option<Repeats>,
    min_document_chars: usize,
}

/// What is known of a document before it is compared with others.
struct Prepared {
    cleaned: Cleaned,
    digest: u64,
    signature: Option<minhash::Signature>,
    lines: Vec<u64>,
}

impl Cleaner {
    /// # Errors
    /// [`Error::Setting`] for an option without meaning.
    pub(crate) fn new(opts: &CleaningOptions) -> Result<Self> {
        if let Some(share) = opts.near_duplicates
            && !(0.1..=1.0).contains(&share)
        {
            return Err(Error::Setting {
                name: "near-duplicates",
                reason: format!("{share} is not between 0.1 and 1; 0.8 is usual"),
            });
        }
        Ok(Cleaner {
            filters: Filters::new(opts)?,
            duplicates: opts.duplicates.then(|| Duplicates::new(opts.memory / 4)),
            near: opts.near_duplicates.map(|share| NearDuplicates::new(share, opts.memory / 2)),
            repeats: (opts.line_repeats > 0).then(|| Repeats::new(opts.line_repeats, opts.memory / 4)),
            min_document_chars: opts.min_document_chars,
        })
    }

    /// Cleans the next documents of the corpus.
    pub(crate) fn clean(&mut self, documents: Vec<Document>) -> Vec<Cleaned> {
        let prepared: Vec<Prepared> = documents.into_par_iter().map(|document| self.prepare(document)).collect();
        prepared.into_iter().map(|prepared| self.compare(prepared)).collect()
    }

    /// How many documents could not be remembered.
    pub(crate) fn not_remembered(&self) -> NotRemembered {
        NotRemembered {
            duplicates: self.duplicates.as_ref().map_or(0, Duplicates::not_remembered),
            near_duplicates: self.near.as_ref().map_or(0, NearDuplicates::not_remembered),
        }
    }

    /// All that can be done without knowing other documents.
    fn prepare(&self, document: Document) -> Prepared {
        let cleaned = self.filters.apply(document);
        let paragraphs = &cleaned.document.paragraphs;
        Prepared {
            digest: if self.duplicates.is_some() { hash::document(paragraphs) } else { 0 },
            signature: self.near.as_ref().and_then(|_| minhash::Signature::of(paragraphs)),
            lines: match &self.repeats {
                Some(_) => paragraphs.iter().map(|line| hash::line(line)).collect(),
                None => Vec::new(),
            },
            cleaned,
        }
    }

    /// All that depends on the documents before.
    fn compare(&mut self, prepared: Prepared) -> Cleaned {
        let Prepared { mut cleaned, digest, signature, lines } = prepared;
        // Without any line there is nothing to compare.
        if cleaned.document.paragraphs.is_empty() {
            return cleaned;
        }
        if self.duplicates.as_mut().is_some_and(|duplicates| duplicates.is_known(digest)) {
            return cleaned.without_document(Reason::DuplicateDocument);
        }
        if let (Some(near), Some(signature)) = (&mut self.near, signature)
            && near.is_known(signature)
        {
            return cleaned.without_document(Reason::NearDuplicateDocument);
        }
        if let Some(repeats) = &mut self.repeats {
            let mut lines = lines.into_iter();
            cleaned.without_lines(Reason::RepeatedLine, |_| {
                lines.next().is_some_and(|line| repeats.is_too_frequent(line))
            });
        }
        let chars = || cleaned.document.paragraphs.iter().map(|line| line.chars().count()).sum::<usize>();
        if self.min_document_chars > 0 && !cleaned.document.paragraphs.is_empty() && chars() < self.min_document_chars {
            return cleaned.without_document(Reason::ShortDocument);
        }
        cleaned
    }
}

impl Cleaned {
    fn of(document: Document) -> Self {
        Cleaned { document, dropped: Vec::new(), gone: false }
    }

    /// Takes the whole document out.
    fn without_document(mut self, reason: Reason) -> Self {
        let lines = std::mem::take(&mut self.document.paragraphs);
        self.dropped.push(DroppedText { reason, lines, is_document: true });
        self.gone = true;
        self
    }

    /// Takes the lines out for which `is_out` is true; it is asked once for each line, in order.
    fn without_lines(&mut self, reason: Reason, mut is_out: impl FnMut(&str) -> bool) {
        let out: Vec<bool> = self.document.paragraphs.iter().map(|line| is_out(line)).collect();
        if !out.contains(&true) {
            return;
        }
        let mut out = out.into_iter();
        let (lines, paragraphs) =
            std::mem::take(&mut self.document.paragraphs).into_iter().partition(|_| out.next().unwrap_or(false));
        self.document.paragraphs = paragraphs;
        self.dropped.push(DroppedText { reason, lines, is_document: false });
    }
}

#[cfg(test)]
mod tests;
