//! From a TOML file and `--set key=value` to one resolved, validated configuration.
//!
//! ```text
//! name or file -> raw TOML -> overrides -> presets filled in -> typed (unknown keys refused) -> checked
//! ```
//! After that nothing re-checks a value, and nothing reads a file or the environment for one.

mod builtin;
mod changes;
mod checks;
mod finetune;
mod micro_batch;
mod model;
mod precision;
mod pretrain;
mod raw;
mod schedule;

pub use builtin::{Kind, names};
pub use changes::{changed_keys, digest};
pub use finetune::FinetuneConfig;
pub use micro_batch::MicroBatch;
pub use model::{OPEN_VOCABULARY, model_config};
pub use precision::Precision;
pub use pretrain::{
    BatchUnit, CheckpointConfig, DataConfig, EvaluationConfig, Masking, MaskingConfig, PhaseConfig, PretrainConfig,
};
pub use raw::Raw;
pub use schedule::{OptimizerConfig, OptimizerKind, ScheduleConfig, ScheduleKind};
