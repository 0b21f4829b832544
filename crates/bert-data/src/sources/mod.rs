//! Corpus files -> documents: finding the files, reading them line by line, cutting them into documents and sentences.
//!
//! Documents are streamed. What is held is one document, never a file and never the corpus.

mod lines;
mod sentences;
mod text;
mod wikiextractor;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sample;
use lines::Lines;

pub use sentences::split_sentences;

/// The input that means the embedded sample corpus.
pub const SAMPLE_INPUT: &str = "sample";

/// How a corpus file marks its documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Look at each file: `wikiextractor` when it begins with `<doc `, else `text`. So one corpus may mix both.
    #[default]
    Auto,
    /// One sentence or paragraph a line, a blank line between documents.
    Text,
    /// What WikiExtractor writes: `<doc id=".." url=".." title="..">`, a title line, paragraphs, `</doc>`.
    Wikiextractor,
}

/// One corpus file, or one text of the embedded sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The file's path; for the sample `sample/NAME`.
    pub path: PathBuf,
    embedded: Option<&'static str>,
}

impl Input {
    /// Number of bytes, 0 when that cannot be told (reading the file will say why).
    pub fn bytes(&self) -> u64 {
        match self.embedded {
            Some(text) => text.len() as u64,
            None => fs::metadata(&self.path).map_or(0, |metadata| metadata.len()),
        }
    }
}

/// What was read from one corpus file: enough to tell later whether it is still the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// The path as it was given.
    pub path: String,
    /// The format it was read as, never `auto`.
    pub format: Format,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// A piece of a corpus that hangs together: an article, a book.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// Its lines, trimmed and not empty, in order. A line is a paragraph or a sentence.
    pub paragraphs: Vec<String>,
}

/// Turns what a user gives as input (globs, files, folders, or [`SAMPLE_INPUT`]) into the list of files.
///
/// Folders are walked, hidden files left out. Each pattern's files come sorted by path, a file named twice comes once, so the
/// list does not depend on the file system.
///
/// # Errors
/// [`Error::Input`] for a pattern that is not valid or names no file.
pub fn expand(patterns: &[String]) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    let mut seen = BTreeSet::new();
    for pattern in patterns {
        if pattern == SAMPLE_INPUT {
            for (name, text) in sample::corpus() {
                let path = Path::new(SAMPLE_INPUT).join(name);
                if seen.insert(path.clone()) {
                    inputs.push(Input { path, embedded: Some(*text) });
                }
            }
            continue;
        }
        let mut files = Vec::new();
        for path in matches(pattern)? {
            walk(&path, &mut files)?;
        }
        if files.is_empty() {
            return Err(Error::Input {
                pattern: pattern.clone(),
                reason: "no file matches. Check the path; quote a pattern with * so that the shell leaves it alone"
                    .into(),
            });
        }
        files.sort();
        for path in files {
            if seen.insert(path.clone()) {
                inputs.push(Input { path, embedded: None });
            }
        }
    }
    if inputs.is_empty() {
        return Err(Error::Setting {
            name: "input",
            reason: "no input given. Name a file, a folder, a pattern, or `sample`".into(),
        });
    }
    Ok(inputs)
}

/// The paths a pattern names. A path that exists is taken as it is, even when it holds characters special to globs.
fn matches(pattern: &str) -> Result<Vec<PathBuf>> {
    if Path::new(pattern).exists() {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let bad = |reason: String| Error::Input { pattern: pattern.to_string(), reason };
    glob::glob(pattern)
        .map_err(|e| bad(format!("not a valid pattern: {e}")))?
        .map(|entry| entry.map_err(|e| bad(format!("cannot be searched: {e}"))))
        .collect()
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(Error::io("read", path))? {
        let entry = entry.map_err(Error::io("read", path))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            walk(&entry.path(), files)?;
        }
    }
    Ok(())
}

/// Streams the documents of one input. Iterate to its end, then ask for [`record`](Documents::record).
pub struct Documents {
    lines: Lines,
    format: Format,
    path: PathBuf,
    finished: bool,
}

impl Documents {
    /// Opens an input and, for [`Format::Auto`], looks at how it begins.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened or read.
    pub fn open(input: &Input, format: Format) -> Result<Self> {
        let mut lines = Lines::open(&input.path, input.embedded)?;
        let format = match format {
            Format::Auto if lines.begins_with(b"<doc ")? => Format::Wikiextractor,
            Format::Auto => Format::Text,
            given => given,
        };
        Ok(Documents { lines, format, path: input.path.clone(), finished: false })
    }

    /// What was read. Complete only after the last document.
    pub fn record(self) -> InputRecord {
        let (sha256, bytes) = self.lines.finish();
        InputRecord { path: self.path.to_string_lossy().into_owned(), format: self.format, bytes, sha256 }
    }
}

impl Iterator for Documents {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let document = match self.format {
            Format::Wikiextractor => wikiextractor::next_document(&mut self.lines),
            Format::Auto | Format::Text => text::next_document(&mut self.lines),
        };
        // After an error, or at the end, there is nothing more to read.
        self.finished = !matches!(document, Ok(Some(_)));
        document.transpose()
    }
}

/// The record of an input without its documents: for asking whether a corpus is the one a dataset was made from.
///
/// # Errors
/// [`Error::Io`] when it cannot be read.
pub(crate) fn record_of(input: &Input, format: Format) -> Result<InputRecord> {
    let mut documents = Documents::open(input, format)?;
    documents.lines.skip_to_end()?;
    Ok(documents.record())
}

/// Reads all inputs in order and hands their documents over in groups of about `group_bytes` of text.
///
/// Groups exist so that a group's documents can be worked on in parallel while memory stays bounded.
///
/// # Errors
/// Those of reading, and those of `each`.
pub(crate) fn for_each_group(
    inputs: &[Input],
    format: Format,
    group_bytes: usize,
    mut each: impl FnMut(Vec<Document>) -> Result<()>,
) -> Result<Vec<InputRecord>> {
    let mut records = Vec::with_capacity(inputs.len());
    let mut group = Vec::new();
    let mut bytes = 0;
    for input in inputs {
        let mut documents = Documents::open(input, format)?;
        for document in &mut documents {
            let document = document?;
            bytes += document.paragraphs.iter().map(String::len).sum::<usize>();
            group.push(document);
            if bytes >= group_bytes {
                each(std::mem::take(&mut group))?;
                bytes = 0;
            }
        }
        records.push(documents.record());
    }
    if !group.is_empty() {
        each(group)?;
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b/c")).unwrap();
        fs::write(dir.path().join("b/c/two.txt"), "One.\n\nTwo.\n").unwrap();
        fs::write(dir.path().join("b/.hidden"), "no").unwrap();
        fs::write(dir.path().join("a.txt"), "<doc id=\"1\" url=\"u\" title=\"T\">\nT\n\nThree.\n</doc>\n").unwrap();
        dir
    }

    #[test]
    fn folders_are_walked_and_files_come_once_and_sorted() {
        let dir = folder();
        let root = dir.path().to_str().unwrap().to_string();
        let names = |patterns: &[String]| -> Vec<String> {
            expand(patterns)
                .unwrap()
                .iter()
                .map(|i| i.path.strip_prefix(dir.path()).unwrap().to_string_lossy().into_owned())
                .collect()
        };
        assert_eq!(names(std::slice::from_ref(&root)), ["a.txt", "b/c/two.txt"]);
        assert_eq!(names(&[format!("{root}/*.txt"), root.clone()]), ["a.txt", "b/c/two.txt"]);
        assert_eq!(names(&[format!("{root}/b/**/*.txt")]), ["b/c/two.txt"]);
    }

    #[test]
    fn a_pattern_without_files_is_a_wrong_request() {
        let error = expand(&["/nowhere/*.txt".to_string()]).unwrap_err();
        assert!(error.is_request() && error.to_string().contains("/nowhere/*.txt"), "{error}");
        assert!(expand(&["a[".to_string()]).unwrap_err().is_request());
        assert!(expand(&[]).unwrap_err().is_request());
    }

    #[test]
    fn the_format_of_each_file_is_seen() {
        let dir = folder();
        let inputs = expand(&[dir.path().to_str().unwrap().to_string()]).unwrap();
        let mut paragraphs = Vec::new();
        let records = for_each_group(&inputs, Format::Auto, 1, |group| {
            paragraphs.extend(group.into_iter().map(|d| d.paragraphs));
            Ok(())
        })
        .unwrap();
        assert_eq!(paragraphs, [["Three."], ["One."], ["Two."]]);
        assert_eq!(records[0].format, Format::Wikiextractor);
        assert_eq!(records[1].format, Format::Text);
        assert_eq!(records[0], record_of(&inputs[0], Format::Auto).unwrap());
        assert_eq!(records[1].bytes, 11);
    }
}
