//! Checking a dataset to the last byte.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::build::TOKENIZER_FOLDER;
use crate::checksum::{SUMS_FILE, read_sums, sha256_file};
use crate::error::{Error, Result};
use crate::examples::{Example, ExampleSet, Split};
use crate::progress::Progress;
use crate::tokenizer::Tokenizer;

/// What was checked and what was found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Files whose checksum was computed.
    pub files: u64,
    /// Examples whose ids were read.
    pub examples: u64,
    /// Everything that is not as it was written.
    pub problems: Vec<Problem>,
}

/// One thing that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

/// Checks the checksum of every file, that no file is missing or too many, and, when those are right, the content: schema,
/// number of examples, ids below the vocabulary's size, the form `[CLS] A [SEP] B [SEP]` or `[CLS] A [SEP]`, lengths, masks.
///
/// # Errors
/// [`Error`] when the folder is no dataset or cannot be read. What is wrong inside it is not an error of this function but
/// its result.
pub fn verify(dir: &Path, progress: &dyn Progress) -> Result<Report> {
    let mut report = Report::default();
    let sums = read_sums(dir)?;
    let found = files_of(dir)?;
    let mut problem = |name: &str, what: String| {
        report.problems.push(Problem { path: dir.join(name), what });
    };
    for name in found.iter().filter(|name| *name != SUMS_FILE && !sums.contains_key(*name)) {
        problem(name, format!("not listed in {SUMS_FILE}"));
    }
    progress.start("checksums", Some(sums.len() as u64), "files");
    for (name, expected) in &sums {
        if !found.contains(name) {
            problem(name, format!("missing, although {SUMS_FILE} lists it"));
        } else if sha256_file(&dir.join(name))?.0 != *expected {
            problem(name, "its bytes are not those that were written (the SHA-256 differs)".into());
        }
        progress.advance(1);
    }
    progress.finish(&format!("{} checksums", sums.len()));
    report.files = sums.len() as u64;
    if report.problems.is_empty() {
        contents(dir, progress, &mut report)?;
    }
    Ok(report)
}

/// Names of all files, relative to the folder and with `/`.
fn files_of(dir: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for (folder, prefix) in
        [(dir.to_owned(), String::new()), (dir.join(TOKENIZER_FOLDER), format!("{TOKENIZER_FOLDER}/"))]
    {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
            let entry = entry.map_err(Error::io("read", &folder))?;
            if entry.path().is_file() {
                names.insert(format!("{prefix}{}", entry.file_name().to_string_lossy()));
            }
        }
    }
    Ok(names)
}

fn contents(dir: &Path, progress: &dyn Progress, report: &mut Report) -> Result<()> {
    let tok = Tokenizer::open(&dir.join(TOKENIZER_FOLDER))?;
    for split in [Split::Train, Split::Validation] {
        let set = match ExampleSet::open(dir, split) {
            Ok(set) => set,
            Err(Error::Damaged { path, reason }) => {
                report.problems.push(Problem { path, what: reason });
                continue;
            }
            Err(error) => return Err(error),
        };
        if tok.digest() != set.manifest().tokenizer.digest {
            report.problems.push(Problem {
                path: dir.join(TOKENIZER_FOLDER),
                what: "not the tokenizer that the manifest names".into(),
            });
            return Ok(());
        }
        let seq_len = set.manifest().settings.seq_len;
        progress.start(&format!("examples ({})", split.name()), Some(set.len() as u64), "examples");
        for i in 0..set.len() {
            if let Some(what) = fault(&set.get(i), seq_len, &tok) {
                report
                    .problems
                    .push(Problem { path: dir.to_owned(), what: format!("{} example {i}: {what}", split.name()) });
                break;
            }
            if i % 4096 == 4095 {
                progress.advance(4096);
            }
        }
        report.examples += set.len() as u64;
        progress.finish(&format!("{}: {} examples", split.name(), set.len()));
    }
    Ok(())
}

/// What is wrong with an example, if anything.
fn fault(example: &Example<'_>, seq_len: usize, tok: &Tokenizer) -> Option<String> {
    let ids = example.tokens.to_vec();
    let special = tok.special();
    if ids.len() > seq_len {
        return Some(format!("{} tokens, more than seq_len {seq_len}", ids.len()));
    }
    if let Some(id) = ids.iter().find(|&&id| id as usize >= tok.vocab_size()) {
        return Some(format!("id {id} is outside the vocabulary of {}", tok.vocab_size()));
    }
    if ids.len() < 3 || ids.first() != Some(&special.cls) || ids.last() != Some(&special.sep) {
        return Some("not of the form [CLS] .. [SEP]".into());
    }
    let second = example.second_start;
    let is_pair = second >= 3 && second + 2 <= ids.len() && ids[second - 1] == special.sep;
    if example.pair_label.is_some() && !is_pair {
        return Some(format!("not of the form [CLS] A [SEP] B [SEP] with B at {second}"));
    }
    let masks = example.masks?;
    let labels = masks.labels.to_vec();
    let fits = masks.positions.is_sorted_by(|a, b| a < b)
        && masks.positions.len() == labels.len()
        && masks.positions.last().is_none_or(|&last| usize::from(last) < ids.len())
        && labels.iter().all(|&label| (label as usize) < tok.vocab_size() && !tok.is_special(label));
    (!fits).then(|| "masked positions or labels that do not fit the tokens".into())
}
