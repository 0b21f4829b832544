//! What can go wrong, and whose fault it is.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every way training, evaluation or export can fail.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration that cannot be run as it stands.
    #[error(transparent)]
    Config(#[from] ConfigError),

    /// A request that contradicts itself or what is on disk: the cure is another request.
    #[error("{0}")]
    Request(String),

    /// A checkpoint that is torn, altered or from another program.
    #[error("checkpoint {}: {file}: {problem}", checkpoint.display())]
    Checkpoint {
        /// Folder of the checkpoint.
        checkpoint: PathBuf,
        /// File inside it.
        file: String,
        /// What is wrong with it and what to do.
        problem: String,
    },

    /// A file could not be read or written.
    #[error("{}: cannot {doing}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done, as a verb phrase: "read", "create the folder".
        doing: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// A file of ours or of Hugging Face's layout does not hold what it should.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },

    /// The run was asked to stop and did so at a checkpoint.
    #[error("stopped by a signal after step {step}; the same command goes on from there")]
    Interrupted {
        /// Steps completed.
        step: u64,
    },

    /// Text, vocabulary, examples or task files.
    #[error(transparent)]
    Data(#[from] bert_data::Error),

    /// The model or its files.
    #[error(transparent)]
    Model(#[from] bert_model::Error),

    /// A tensor operation.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// True when the request was wrong (exit code 2), false when the work failed (exit code 1).
    pub fn is_request(&self) -> bool {
        match self {
            Self::Config(_) | Self::Request(_) => true,
            Self::Data(error) => error.is_request(),
            Self::Model(error) => error.is_request(),
            Self::Checkpoint { .. }
            | Self::Io { .. }
            | Self::File { .. }
            | Self::Interrupted { .. }
            | Self::Tensor(_) => false,
        }
    }

    /// For `map_err`: an [`Error::Io`] at `path` while `doing`.
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, doing, source }
    }
}

/// One wrong key of a configuration: where it stands, what is wrong, and the cure.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{origin}: {}{problem}; {cure}", if key.is_empty() { String::new() } else { format!("{key}: ") })]
pub struct ConfigError {
    /// The file, the built-in configuration, or the `--set` that gave the value.
    pub origin: String,
    /// Dotted path of the key, as `--set` spells it; empty when the whole file is meant.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub cure: String,
}
