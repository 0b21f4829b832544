//! Fine-tuning on a task of GLUE, and evaluation on it.

mod batch;
mod evaluate;
pub mod metrics;
mod run;
mod task_data;

pub use evaluate::{Evaluation, evaluate, evaluate_folder};
pub use run::{FinetuneOptions, FinetuneReport, finetune};
pub use task_data::{TaskInputs, encode};
