//! Which documents go into which split, and which of a split's documents go into which file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Part;
use super::store::{TokenStore, read_at};
use crate::error::{Error, Result};
use crate::examples::Split;
use crate::manifest::Settings;
use crate::random::{Purpose, Random};
use crate::sources::{self, SourceRecord};

/// Bytes of a document's entry: its number in the store, the number of its tokens, which use of it this is and of how many.
const ENTRY: u64 = 24;
/// Entries read at a time.
const BLOCK: u64 = 4096;
/// Tokens in a run of documents that one worker turns into examples. Part of what the bytes of a packed dataset depend on:
/// examples do not cross it.
const RUN_TOKENS: u64 = 1 << 18;

/// The documents of a split that have tokens, in a temporary file.
pub(super) struct SplitList {
    pub(super) split: Split,
    path: PathBuf,
    file: File,
    documents: u64,
    tokens: u64,
    part: Part,
}

/// A document of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its number in the store.
    pub(super) document: u64,
    /// Number of its tokens, at least 1.
    pub(super) tokens: u64,
    /// Which use of it this is, from 0; uses follow each other in the list.
    pub(super) repetition: u64,
    /// How often it is used.
    pub(super) uses: u64,
}

impl Entry {
    /// The number that the random choices of this use in this copy of the corpus are made from.
    pub(super) fn epoch(&self, copy: u64) -> u64 {
        copy | self.repetition << 32
    }
}

impl SplitList {
    /// Number of documents.
    pub(super) fn len(&self) -> u64 {
        self.documents
    }

    /// Number of tokens.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// A document's number in the whole corpus, which its random choices are made from: the same however the corpus was
    /// divided among machines.
    pub(super) fn number(&self, document: u64) -> u64 {
        self.part.number(document)
    }

    /// The document at a place of the list.
    pub(super) fn document(&self, index: u64) -> Result<u64> {
        Ok(self.entry(index)?.document)
    }

    /// The entry at a place of the list.
    pub(super) fn entry(&self, index: u64) -> Result<Entry> {
        Ok(self.read(index..index + 1)?[0])
    }

    /// The entries of a range.
    pub(super) fn read(&self, range: Range<u64>) -> Result<Vec<Entry>> {
        let mut bytes = vec![0; ((range.end - range.start) * ENTRY) as usize];
        read_at(&self.file, &self.path, &mut bytes, range.start * ENTRY)?;
        let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let entry = |b: &[u8]| {
            let use_of = word(&b[16..]);
            Entry { document: word(b), tokens: word(&b[8..]), repetition: use_of >> 32, uses: use_of & 0xffff_ffff }
        };
        Ok(bytes.chunks_exact(ENTRY as usize).map(entry).collect())
    }

    /// Goes through the list, block by block.
    fn scan(&self, range: Range<u64>, mut each: impl FnMut(u64, Entry)) -> Result<()> {
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + BLOCK);
            for (i, entry) in self.read(start..end)?.into_iter().enumerate() {
                each(start + i as u64, entry);
            }
            start = end;
        }
        Ok(())
    }

    /// Cuts the list into `files` ranges of about the same number of tokens; a range may be empty.
    pub(super) fn file_ranges(&self, files: usize) -> Result<Vec<Range<u64>>> {
        let mut ends = vec![0; files];
        let mut before = 0;
        self.scan(0..self.documents, |i, entry| {
            let file = (u128::from(before) * files as u128 / u128::from(self.tokens.max(1))) as usize;
            ends[file.min(files - 1)] = i + 1;
            before += entry.tokens;
        })?;
        let mut start = 0;
        let ranges = ends.into_iter().map(|end| {
            let range = start..end.max(start);
            start = range.end;
            range
        });
        Ok(ranges.collect())
    }

    /// Cuts a range into runs for the workers.
    pub(super) fn runs(&self, range: Range<u64>) -> Result<Vec<Range<u64>>> {
        let mut runs = Vec::new();
        let (mut start, mut tokens) = (range.start, 0);
        self.scan(range.clone(), |i, entry| {
            tokens += entry.tokens;
            if tokens >= RUN_TOKENS {
                runs.push(start..i + 1);
                (start, tokens) = (i + 1, 0);
            }
        })?;
        if start < range.end {
            runs.push(start..range.end);
        }
        Ok(runs)
    }
}

/// Lists the documents of each split: a function of (seed, number of the document). Empty documents go nowhere.
/// One that is used several times comes several times in a row, in the training split only: what is held out is measured once.
pub(super) fn assign(
    store: &TokenStore,
    settings: &Settings,
    sources: &[SourceRecord],
    folder: &Path,
) -> Result<Vec<SplitList>> {
    let wanted = match settings.validation > 0.0 {
        true => vec![Split::Train, Split::Validation],
        false => vec![Split::Train],
    };
    let part = settings.part.unwrap_or_default();
    let mut writers = Vec::new();
    for split in wanted {
        let path = folder.join(format!("{}.documents", split.name()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(Error::io("create", &path))?;
        let writer = BufWriter::with_capacity(1 << 16, file.try_clone().map_err(Error::io("open", &path))?);
        writers.push((writer, SplitList { split, path, file, documents: 0, tokens: 0, part }));
    }
    let (mut documents, mut different) = (0, [0, 0]);
    for document in 0..store.documents() {
        let place = store.place(document)?;
        let tokens = place.tokens.end - place.tokens.start;
        if tokens == 0 {
            continue;
        }
        let number = part.number(document);
        let held_out = Random::new(settings.seed, Purpose::Split, 0, number).chance(settings.validation);
        let uses = match held_out {
            true => 1,
            false => sources::copies(weight_of(sources, number), settings.seed, number),
        };
        documents += 1;
        let different = &mut different[usize::from(held_out)];
        *different += u64::from(uses > 0);
        let (writer, list) = &mut writers[usize::from(held_out)];
        for repetition in 0..uses {
            for number in [document, tokens, repetition << 32 | uses] {
                writer.write_all(&number.to_le_bytes()).map_err(Error::io("write", &list.path))?;
            }
        }
        list.documents += uses;
        list.tokens += tokens * uses;
    }
    let mut lists = Vec::new();
    for ((mut writer, list), different) in writers.into_iter().zip(different) {
        writer.flush().map_err(Error::io("write", &list.path))?;
        let needed = if settings.pairing.has_pairs() { 2 } else { 1 };
        if different < needed {
            return Err(Error::TooFewDocuments {
                split: list.split.name(),
                found: different,
                documents,
                needed,
                cure: match list.split {
                    Split::Validation => "Raise --validation, give more documents, or do without it (--validation 0)",
                    Split::Train => "Give more documents; in the text format a blank line divides them",
                },
            });
        }
        lists.push(list);
    }
    Ok(lists)
}

/// How often a document of the corpus is used on average: the weight of the input that it comes from.
fn weight_of(sources: &[SourceRecord], mut number: u64) -> f64 {
    for source in sources {
        match number.checked_sub(source.documents) {
            Some(rest) => number = rest,
            None => return source.weight,
        }
    }
    1.0
}
