//! From raw text to batches of BERT examples.
//!
//! ```text
//! corpus files -> documents -> sentences -> token ids -> pairs -> Arrow files -> memory-mapped examples -> masks -> batches
//!     sources       cleaning         tokenizer           build                  examples          masking    loader
//! ```
//!
//! The three principal types: [`tokenizer::Tokenizer`] turns text into ids, [`examples::ExampleSet`] is a dataset on disk,
//! and [`loader::Loader`] hands out masked examples from any point of a run. Everything random is a function of
//! (seed, epoch, number of the example or document), never of what was drawn before.
//!
//! ```no_run
//! use std::sync::Arc;
//! use bert_data::build::{BuildOptions, build};
//! use bert_data::examples::{ExampleSet, Split};
//! use bert_data::loader::{Cursor, Loader};
//! use bert_data::masking::{Masker, MaskingOptions};
//! use bert_data::progress::Silent;
//! use bert_data::vocab::{VocabOptions, train};
//!
//! # fn main() -> bert_data::Result<()> {
//! let input = vec!["corpus/*.txt".to_string()];
//! let tokenizer = train(&VocabOptions { input: input.clone(), size: 8000, ..Default::default() }, &Silent)?;
//! let output = "dataset".into();
//! build(&BuildOptions { input, output, ..Default::default() }, &tokenizer, &Silent)?;
//!
//! let examples = Arc::new(ExampleSet::open("dataset".as_ref(), Split::Train)?);
//! let masker = Masker::new(MaskingOptions::default(), &tokenizer)?;
//! let mut loader = Loader::new(examples, masker, 0, Cursor::default());
//! let batch = loader.next_batch(32);
//! # Ok(()) }
//! ```

pub mod bench;
pub mod build;
pub mod checksum;
pub mod cleaning;
pub mod drops;
mod error;
pub mod examples;
pub mod fetch;
pub mod inspect;
pub mod loader;
pub mod manifest;
mod mapping;
pub mod masking;
pub mod order;
pub mod progress;
mod random;
pub mod sample;
pub mod sources;
mod staging;
pub mod stats;
pub mod tasks;
pub mod tokenizer;
pub mod verify;
pub mod vocab;
mod workers;

pub use error::{Error, Result};
