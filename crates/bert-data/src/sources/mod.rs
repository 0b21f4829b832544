//! Corpus files -> documents: finding the files, decompressing and reading them, cutting them into documents.
//!
//! Documents are streamed. What is held is a group of documents of bounded size, never a file and never the corpus. Whatever
//! a source leaves out is counted by reason ([`Drops`]).

mod bytes;
mod groups;
mod inputs;
mod jsonl;
mod lines;
mod parquet;
mod text;
mod weights;
mod wikiextractor;
mod wikipedia;

use std::fs::File;
use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::drops::Drops;
use crate::error::{Error, Result};
use bytes::{Reader, compression};
use lines::Lines;
use wikipedia::{Pages, RawPage};

pub(crate) use groups::for_each_group;
pub use inputs::{Input, InputSpec, TEXT_FIELD, expand};
pub(crate) use weights::copies;
pub use weights::{Mixture, SourceRecord};

/// The input that means the embedded sample corpus.
pub const SAMPLE_INPUT: &str = "sample";
/// Longest line, record or page that is read, in bytes; a longer one is left out and counted.
pub const LONGEST_RECORD: usize = 32 << 20;
/// A document of the `text` format that grows to this many bytes is cut there, between two lines.
pub const LONGEST_DOCUMENT: usize = 16 << 20;

/// How a corpus file marks its documents. Each may also be compressed, except `parquet`, which is so inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Look at each file's name and beginning; `text` when neither says more. So one corpus may mix formats.
    #[default]
    Auto,
    /// One sentence or paragraph a line, a blank line between documents.
    Text,
    /// What WikiExtractor writes: `<doc id=".." url=".." title="..">`, a title line, paragraphs, `</doc>`.
    Wikiextractor,
    /// A MediaWiki dump (`pages-articles.xml`).
    WikipediaXml,
    /// One JSON object a line, the text in one of its fields.
    Jsonl,
    /// A Parquet file, the text in one of its columns.
    Parquet,
}

/// What to do about a line, record or page that cannot be used: bytes that are not UTF-8, or malformed JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Unreadable {
    /// An error that names the file and the place.
    #[default]
    Stop,
    /// It is left out and counted.
    Skip,
}

impl Unreadable {
    /// Whether this is the default.
    pub fn is_stop(&self) -> bool {
        *self == Unreadable::Stop
    }
}

/// How corpus files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// The format of inputs that do not say otherwise.
    pub format: Format,
    /// What to do about a line, record or page that cannot be used.
    pub unreadable: Unreadable,
}

/// What was read from one corpus file: enough to tell later whether it is still the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// The path as it was given.
    pub path: String,
    /// The format it was read as, never `auto`.
    pub format: Format,
    /// The JSON field or Parquet column of the text; none for other formats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its length in bytes, as it lies on disk.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// A piece of a corpus that hangs together: an article, a book.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// Its lines, trimmed and not empty, in order. A line is a paragraph or a sentence.
    pub paragraphs: Vec<String>,
    /// Which of the given inputs it comes from, from 0.
    pub source: usize,
    /// True when it was cut because of its length and the next document is its continuation.
    pub continues: bool,
}

/// A document made of the lines of a text.
fn document_of(text: &str) -> Document {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Document { paragraphs: lines.map(String::from).collect(), ..Document::default() }
}

/// What a file holds, as it comes out of the sequential part of reading.
#[derive(Debug)]
enum Item {
    Document(Document),
    Page(RawPage),
}

impl Item {
    /// Length in bytes, about.
    fn bytes(&self) -> usize {
        match self {
            Item::Document(document) => document.paragraphs.iter().map(|paragraph| paragraph.len() + 1).sum(),
            Item::Page(page) => page.len(),
        }
    }
}

/// A file in its format.
enum Source {
    Text(Lines),
    Wikiextractor(Lines),
    WikipediaXml(Pages),
    Jsonl(jsonl::Records, Lines),
    Parquet(Box<parquet::Rows>),
}

/// Streams the documents of one input. Iterate to its end, then ask for [`record`](Documents::record).
pub struct Documents {
    source: Source,
    format: Format,
    input: Input,
    /// What pages left out; the sources count the rest themselves.
    drops: Drops,
    finished: bool,
}

impl Documents {
    /// Opens an input and, for [`Format::Auto`], looks at its name and how it begins.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened or read, [`Error::Compressed`], [`Error::Parquet`].
    pub fn open(input: &Input, opts: ReadOptions) -> Result<Self> {
        let Input { path, embedded, text, .. } = input;
        let unreadable = opts.unreadable;
        let given = input.format.unwrap_or(opts.format);
        let (compression, name) = if embedded.is_some() { (None, path.clone()) } else { compression(path) };
        let ending = name.extension().map(|ending| ending.to_ascii_lowercase().to_string_lossy().into_owned());
        let by_ending = match (given, ending.as_deref()) {
            (Format::Auto, Some("parquet")) => Format::Parquet,
            (Format::Auto, Some("jsonl" | "ndjson")) => Format::Jsonl,
            _ => given,
        };
        let is_parquet = by_ending == Format::Parquet
            || (given == Format::Auto && compression.is_none() && embedded.is_none() && begins_as_parquet(input)?);
        let (source, format) = if is_parquet {
            if compression.is_some() {
                return Err(Error::Parquet {
                    path: path.clone(),
                    reason: "a Parquet file is read at any place in it, which a compressed one does not allow. Decompress it; its columns are compressed inside".into(),
                });
            }
            (Source::Parquet(Box::new(parquet::Rows::open(path, text, unreadable)?)), Format::Parquet)
        } else {
            let mut reader = Reader::open(path, *embedded)?;
            let format = match by_ending {
                Format::Auto => by_beginning(reader.head()?),
                known => known,
            };
            let source = match format {
                Format::WikipediaXml => Source::WikipediaXml(Pages::new(reader, path, unreadable)),
                Format::Wikiextractor => Source::Wikiextractor(Lines::new(reader, path, unreadable)),
                Format::Jsonl => Source::Jsonl(jsonl::Records::new(text), Lines::new(reader, path, unreadable)),
                _ => Source::Text(Lines::new(reader, path, unreadable)),
            };
            (source, format)
        };
        Ok(Documents { source, format, input: input.clone(), drops: Drops::default(), finished: false })
    }

    /// What comes next, not worked on yet.
    fn next_item(&mut self) -> Result<Option<Item>> {
        if self.finished {
            return Ok(None);
        }
        let item = match &mut self.source {
            Source::Text(lines) => text::next_document(lines).map(|found| found.map(Item::Document)),
            Source::Wikiextractor(lines) => wikiextractor::next_document(lines).map(|found| found.map(Item::Document)),
            Source::Jsonl(records, lines) => records.next_document(lines).map(|found| found.map(Item::Document)),
            Source::Parquet(rows) => rows.next_document().map(|found| found.map(Item::Document)),
            Source::WikipediaXml(pages) => pages.next_page().map(|found| found.map(Item::Page)),
        };
        // After an error, or at the end, there is nothing more to read.
        self.finished = !matches!(item, Ok(Some(_)));
        item
    }

    /// Bytes of the file on disk that were used up, about: for telling how far the work has come.
    pub fn position(&self) -> u64 {
        match &self.source {
            Source::Text(lines) | Source::Wikiextractor(lines) | Source::Jsonl(_, lines) => lines.position(),
            Source::WikipediaXml(pages) => pages.position(),
            Source::Parquet(rows) => rows.position(),
        }
    }

    /// What was left out so far.
    pub fn drops(&self) -> Drops {
        let mut drops = self.drops.clone();
        drops.merge(match &self.source {
            Source::Text(lines) | Source::Wikiextractor(lines) | Source::Jsonl(_, lines) => &lines.drops,
            Source::WikipediaXml(pages) => &pages.drops,
            Source::Parquet(rows) => &rows.drops,
        });
        drops
    }

    /// What was read. What is left of the file is read for its digest.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read.
    pub fn record(self) -> Result<InputRecord> {
        let (sha256, bytes) = match self.source {
            Source::Text(lines) | Source::Wikiextractor(lines) | Source::Jsonl(_, lines) => lines.finish()?,
            Source::WikipediaXml(pages) => pages.finish()?,
            Source::Parquet(rows) => rows.finish()?,
        };
        let text = matches!(self.format, Format::Jsonl | Format::Parquet).then_some(self.input.text);
        Ok(InputRecord {
            path: self.input.path.to_string_lossy().into_owned(),
            format: self.format,
            text,
            bytes,
            sha256,
        })
    }
}

impl Iterator for Documents {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (bytes, outcome) = match self.next_item() {
                Ok(Some(Item::Document(document))) => {
                    return Some(Ok(Document { source: self.input.source, ..document }));
                }
                Ok(Some(Item::Page(page))) => (page.len(), page.article()),
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            };
            match outcome {
                Ok(Ok(document)) => return Some(Ok(Document { source: self.input.source, ..document })),
                Ok(Err(reason)) => self.drops.document(reason, bytes),
                Err(error) => {
                    self.finished = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// The format that a file's first bytes speak for.
fn by_beginning(head: &[u8]) -> Format {
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head).trim_ascii_start();
    match head {
        _ if head.starts_with(b"<doc ") => Format::Wikiextractor,
        _ if wikipedia::is_dump(head) => Format::WikipediaXml,
        _ if head.starts_with(b"{\"") => Format::Jsonl,
        _ => Format::Text,
    }
}

fn begins_as_parquet(input: &Input) -> Result<bool> {
    let file = File::open(&input.path).map_err(Error::io("open", &input.path))?;
    let mut begin = Vec::new();
    file.take(4).read_to_end(&mut begin).map_err(Error::io("read", &input.path))?;
    Ok(begin == b"PAR1")
}

/// The record of an input without its documents: for asking whether a corpus is the one a dataset was made from.
///
/// # Errors
/// [`Error::Io`] when it cannot be read.
pub(crate) fn record_of(input: &Input, opts: ReadOptions) -> Result<InputRecord> {
    Documents::open(input, opts)?.record()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_beginning_of_a_file_speaks_for_its_format() {
        for (head, format) in [
            ("\u{feff} <doc id=\"1\">", Format::Wikiextractor),
            ("<mediawiki xmlns=\"x\">", Format::WikipediaXml),
            ("<?xml version=\"1.0\"?>\n<mediawiki>", Format::WikipediaXml),
            ("\n  <page>\n", Format::WikipediaXml),
            ("<?xml version=\"1.0\"?>\n<html>", Format::Text),
            ("{\"id\": 1}", Format::Jsonl),
            ("{ braces }", Format::Text),
            ("", Format::Text),
        ] {
            assert_eq!(by_beginning(head.as_bytes()), format, "{head}");
        }
    }
}
