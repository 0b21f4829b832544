//! `micro_batch = "auto"`: the forward passes of a run that begins, and of one that goes on.

use bert_data::tokenizer::Tokenizer;
use candle_core::Device;

use super::data::settle_vocabulary;
use crate::config::{BatchUnit, MicroBatch, PhaseConfig, PretrainConfig};
use crate::error::Result;
use crate::memory::{PassSize, Training, free};

/// Takes over what the run found when it began: dropout is a function of the passes, so another size would be another run.
pub(super) fn adopt(config: &mut PretrainConfig, begun: &PretrainConfig) {
    for (phase, begun) in config.phase.iter_mut().zip(&begun.phase) {
        if phase.micro_batch == Some(MicroBatch::Auto) {
            phase.micro_batch = begun.micro_batch;
        }
    }
}

/// Puts the largest size that fits in the place of every `auto`.
///
/// # Errors
/// [`crate::Error::Request`] where not even the smallest pass fits.
pub(super) fn settle(config: &mut PretrainConfig, tokenizer: &Tokenizer, device: &Device, quiet: bool) -> Result<()> {
    if config.phase.iter().all(|phase| phase.micro_batch != Some(MicroBatch::Auto)) {
        return Ok(());
    }
    let model = settle_vocabulary(&config.model, tokenizer)?;
    let free = free(device)?;
    let (rate, precision) = (config.masking.rate, config.precision);
    for (index, phase) in config.phase.iter_mut().enumerate() {
        if phase.micro_batch != Some(MicroBatch::Auto) {
            continue;
        }
        let training = Training { model: &model, precision, recompute: phase.recompute };
        let key = format!("phase.{index}.micro_batch");
        let found = training.largest_pass(&key, phase.batch, free, |micro| pass_size(phase, rate, micro))?;
        if !quiet {
            let (unit, peak) = match phase.batch_unit {
                BatchUnit::Sequences => ("sequences", pass_size(phase, rate, found)),
                BatchUnit::Tokens => ("tokens", pass_size(phase, rate, found)),
            };
            let peak = peak.map_or(0, |pass| training.peak(&pass)) >> 20;
            eprintln!("{key}: {found} of {} {unit}, about {peak} MiB of {} MiB that are free", phase.batch, free >> 20);
        }
        phase.micro_batch = Some(MicroBatch::Size(found));
    }
    Ok(())
}

/// The largest pass of a phase with forward passes of `micro`; none where a sequence would not fit into it.
fn pass_size(phase: &PhaseConfig, masking_rate: f64, micro: usize) -> Option<PassSize> {
    let (tokens, sequences) = match phase.batch_unit {
        BatchUnit::Sequences => (micro * phase.seq_len, micro),
        BatchUnit::Tokens if micro < phase.seq_len => return None,
        // As many as would be full.
        BatchUnit::Tokens => (micro, micro.div_ceil(phase.seq_len)),
    };
    let masked = (tokens as f64 * masking_rate).ceil() as usize;
    Some(PassSize {
        tokens,
        masked: masked.min(sequences * phase.max_predictions),
        sequences,
        accumulates: micro < phase.batch,
    })
}
