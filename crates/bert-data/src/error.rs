//! The one error type of this crate. A message says what is wrong, where, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between a raw corpus and a batch of examples.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done, as a verb: "read", "create", "rename".
        action: &'static str,
        /// The file or folder it was done to.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },

    /// An input pattern is not a valid glob, or names nothing.
    #[error("input `{pattern}`: {reason}")]
    Input {
        /// The pattern as the user gave it.
        pattern: String,
        /// What is wrong with it, and the cure.
        reason: String,
    },

    /// A setting is outside the range in which it means something.
    #[error("{name}: {reason}")]
    Setting {
        /// The setting, named as on the command line without the dashes.
        name: &'static str,
        /// Its value, the range, and the cure.
        reason: String,
    },

    /// A text file holds bytes that are not UTF-8.
    #[error(
        "{}, line {line}: the byte at offset {offset} is not UTF-8. Convert the file (for instance with `iconv -t UTF-8`), or leave such lines out with --unreadable skip; a compressed file needs its ending (.gz, .bz2, .xz, .zst)",
        path.display()
    )]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Line of the first bad byte, counted from 1.
        line: u64,
        /// Offset of the first bad byte in the file, or in what is compressed in it, counted from 0.
        offset: u64,
    },

    /// A compressed file cannot be decompressed to its end.
    #[error(
        "{}, compressed byte {offset}: {reason}. Fetch or compress the file again; its ending says how it is compressed",
        path.display()
    )]
    Compressed {
        /// The file.
        path: PathBuf,
        /// How far the compressed file could be used, in bytes.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },

    /// A MediaWiki dump cannot be read on.
    #[error("{}, byte {offset} of the XML: {reason}", path.display())]
    Xml {
        /// The file.
        path: PathBuf,
        /// Offset in the (decompressed) XML, counted from 0.
        offset: u64,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// A Parquet file cannot be read.
    #[error("{}: {reason}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong, in which row group, and the cure.
        reason: String,
    },

    /// A corpus file does not follow the format it is read as.
    #[error("{}, line {line}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What was expected, and the cure.
        reason: String,
    },

    /// The input files hold no text at all.
    #[error("the corpus is empty: no text in {inputs}. Give files that hold text, one paragraph a line")]
    EmptyCorpus {
        /// The inputs that were read.
        inputs: String,
    },

    /// A split has no documents, or too few: a pair's random second segment comes from another document.
    #[error(
        "the {split} split has {found} usable document(s) of {documents} in the corpus, and at least {needed} are needed{}. {cure}",
        if *.needed > 1 { ", because a random second segment comes from another document" } else { "" }
    )]
    TooFewDocuments {
        /// "train" or "validation".
        split: &'static str,
        /// Documents with at least one token in that split.
        found: u64,
        /// Documents with at least one token in the whole corpus.
        documents: u64,
        /// Documents that there must be.
        needed: u64,
        /// What to change.
        cure: &'static str,
    },

    /// A vocabulary or tokenizer folder cannot be used.
    #[error("vocabulary {}: {reason}", path.display())]
    Vocabulary {
        /// The folder or file, or `<memory>` for a vocabulary that was handed over as a list.
        path: PathBuf,
        /// What is wrong with it, and the cure.
        reason: String,
    },

    /// An output folder exists already and would be different.
    #[error("{} exists already: {difference}. Choose another --output, or pass --overwrite to replace it", path.display())]
    OutputExists {
        /// The folder.
        path: PathBuf,
        /// How it differs from what was asked for.
        difference: String,
    },

    /// A build of the same output was stopped, and this request does not go on with it.
    #[error(
        "{} holds an interrupted build: {difference}. Pass --resume with its settings to go on with it, or remove that folder to begin anew", path.display()
    )]
    Interrupted {
        /// The folder of the interrupted build.
        path: PathBuf,
        /// How this request differs.
        difference: String,
    },

    /// The machine refused something, such as room on the disk; what is finished is kept.
    #[error(
        "{source}. What is finished is kept in {}: put that right and run the same command with --resume", folder.display()
    )]
    Stopped {
        /// What was refused.
        source: Box<Error>,
        /// The folder of the interrupted build.
        folder: PathBuf,
    },

    /// A file of this crate's own making is damaged or is not what it says it is.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit, and the cure.
        reason: String,
    },

    /// A fine-tuning task's file does not follow the official layout.
    #[error("{}, line {line}, column {column}: {reason}", path.display())]
    TaskFile {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// Column, counted from 1 and with its name where it has one.
        column: String,
        /// What was expected.
        reason: String,
    },

    /// The Hugging Face Hub did not give what was asked for.
    #[error("{what}: {reason}")]
    Hub {
        /// The dataset.
        what: String,
        /// Of what kind the problem is.
        kind: crate::fetch::HubProblem,
        /// What happened, and the cure.
        reason: String,
    },

    /// Encoding as Arrow failed.
    #[error("cannot write {} as Arrow: {source}", path.display())]
    Arrow {
        /// The file.
        path: PathBuf,
        /// Arrow's reason.
        source: arrow::error::ArrowError,
    },
}

impl Error {
    /// True when the request was wrong (exit code 2), false when the work failed (exit code 1).
    ///
    /// The line between them: a request is wrong when the user's flags, paths or settings alone explain the error;
    /// what is found inside a corpus or a data file is a failure of the work.
    pub fn is_request(&self) -> bool {
        match self {
            Error::Input { .. } | Error::Setting { .. } | Error::Vocabulary { .. } => true,
            Error::OutputExists { .. } | Error::Interrupted { .. } => true,
            Error::Io { action, source, .. } => *action == "open" && source.kind() == io::ErrorKind::NotFound,
            Error::NotUtf8 { .. }
            | Error::Compressed { .. }
            | Error::Xml { .. }
            | Error::Parquet { .. }
            | Error::Malformed { .. }
            | Error::EmptyCorpus { .. }
            | Error::TooFewDocuments { .. }
            | Error::Damaged { .. }
            | Error::TaskFile { .. }
            | Error::Stopped { .. }
            | Error::Hub { .. }
            | Error::Arrow { .. } => false,
        }
    }

    /// As [`Error::io`], for errors of Arrow; what the operating system refused is told as such.
    pub(crate) fn arrow(path: &Path) -> impl FnOnce(arrow::error::ArrowError) -> Error {
        let path = path.to_owned();
        move |source| match source {
            arrow::error::ArrowError::IoError(_, source) => Error::Io { action: "write", path, source },
            source => Error::Arrow { path, source },
        }
    }

    /// Makes the closure that turns an [`io::Error`] into one that names the file: `.map_err(Error::io("read", path))`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }
}
