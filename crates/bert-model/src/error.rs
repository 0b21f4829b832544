//! What can go wrong with a model, each with the place and the cure.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration that describes no model.
    #[error("model configuration: {key} = {value}: {cure}")]
    Config {
        /// The key of the configuration.
        key: &'static str,
        /// Its value.
        value: String,
        /// Why it is impossible and what would be possible.
        cure: String,
    },
    /// A name that is no preset.
    #[error("no model is called `{0}`; there are {list}, and the grid L-{{2,4,6,8,10,12}}_H-{{128,256,512,768}}", list = crate::PRESETS.join(", "))]
    UnknownPreset(String),
    /// A sequence longer than the table of positions.
    #[error(
        "a sequence of {length} tokens, but the model has {max} positions (max_position_embeddings): shorten the sequences or train a model with more positions"
    )]
    TooLong {
        /// Length of the sequence.
        length: usize,
        /// Positions of the model.
        max: usize,
    },
    /// A pass in a type of activations that there is no form for.
    #[error(
        "activations in {}: there are forms for it on GPUs in builds for CUDA only, and none among the reference forms; compute in f32",
        dtype.as_str()
    )]
    Precision {
        /// The type asked for.
        dtype: candle_core::DType,
    },
    /// A tensor of another shape than the model's.
    #[error(
        "tensor `{name}` has shape {found:?}, the model needs {expected:?}: the weights belong to another configuration"
    )]
    Shape {
        /// Name of the tensor in the file.
        name: String,
        /// Shape in the model.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A file that cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that is not what it should be.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// Whether the request was wrong, rather than the work having failed.
    pub fn is_request(&self) -> bool {
        match self {
            Self::Config { .. }
            | Self::UnknownPreset(_)
            | Self::TooLong { .. }
            | Self::Precision { .. }
            | Self::Shape { .. } => true,
            Self::Io { .. } | Self::File { .. } | Self::Candle(_) => false,
        }
    }
}
