//! Checkpoints: complete or absent.
//!
//! ```text
//! RUN/checkpoints/step-00001000/
//!   model.safetensors config.json vocab.txt tokenizer.json ..   loads in Hugging Face Transformers as it is
//!   optimizer.safetensors                                       moments by parameter name
//!   state.json                                                  everything else the next step depends on
//!   manifest.json                                               size and SHA-256 of every other file
//! ```
//! A checkpoint is written into a hidden folder beside its place, every file and the folder synced, and then renamed.
//! So a folder named `step-..` is complete, whatever interrupted the program.

mod folder;
mod manifest;
mod state;

pub use folder::{Checkpoint, Checkpoints, Snapshot};
pub use state::{Meters, State, Unread};
