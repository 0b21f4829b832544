//! What a run on the embedded sample shows beside its measurements.

use super::trainer::Trainer;
use crate::config::PretrainConfig;
use crate::error::Result;
use crate::fill_mask::{Filled, fill_mask};

/// The best loss of masked tokens that any model can have in expectation: known for the embedded sample only.
pub(super) fn best_possible_loss(config: &PretrainConfig) -> Option<f64> {
    is_sample(config).then(|| f64::NAN)
}

/// A sentence of the sample with a mask filled.
pub(super) fn fill_sample_sentence(trainer: &Trainer) -> Result<Option<Filled>> {
    if !is_sample(trainer.config()) {
        return Ok(None);
    }
    fill_mask(trainer.model(), trainer.tokenizer(), "the [MASK] .", 5).map(Some)
}

fn is_sample(config: &PretrainConfig) -> bool {
    config.data.input == [bert_data::sources::SAMPLE_INPUT]
}
