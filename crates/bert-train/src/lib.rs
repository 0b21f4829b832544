//! Pre-training, fine-tuning and evaluation of BERT.
//!
//! Its three principal types: [`config::PretrainConfig`] (one resolved, validated configuration: what a run follows
//! from), [`pretrain::trainer::Trainer`] (a run between two steps, whose
//! [`step`](pretrain::trainer::Trainer::step) is the training step), and [`checkpoint::Checkpoint`] (a run on disk,
//! complete or absent).
//!
//! ```no_run
//! use bert_train::config::PretrainConfig;
//! use bert_train::pretrain::{Resume, RunOptions, pretrain};
//!
//! let config = PretrainConfig::load("quickstart", &["optimizer.lr=5e-4".into()])?;
//! let options = RunOptions {
//!     output: "runs/first".into(),
//!     resume: Resume::Auto,
//!     stop: Default::default(),
//!     quiet: false,
//!     device: candle_core::Device::Cpu,
//! };
//! let report = pretrain(config, &options)?;
//! println!("{report}");
//! # Ok::<(), bert_train::Error>(())
//! ```
//!
//! A run stopped at any moment and resumed ends with the bytes of one that never stopped: everything random is a
//! function of the seed and of numbers in the checkpoint.

pub mod bench;
pub mod checkpoint;
pub mod config;
pub mod device;
mod error;
pub mod export;
mod files;
pub mod fill_mask;
pub mod finetune;
pub mod loss_scale;
pub mod memory;
pub mod model_folder;
pub mod optimizer;
pub mod predict;
pub mod pretrain;
mod progress;
pub mod schedule;

pub use error::{ConfigError, Error, Result};
