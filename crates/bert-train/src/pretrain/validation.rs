//! Measurements on held-out examples: the same examples with the same masks every time.

use bert_data::loader::{Cursor, Loader, MaskedExample};
use bert_model::{BertForPreTraining, Pass};
use serde::Serialize;

use super::batch::collate;
use super::trainer::{Trainer, masker, phase_seed};
use super::unigram::Unigram;
use crate::checkpoint::Unread;
use crate::error::Result;

/// The held-out examples of a phase, masked once and for all.
#[derive(Debug)]
pub struct Validation {
    examples: Vec<MaskedExample>,
    micro_batch: usize,
    /// What frequencies alone reach on them.
    pub baseline: Baseline,
}

/// Predicting masked tokens from the frequencies of tokens in the training examples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Baseline {
    /// Mean loss in nats.
    pub unigram_loss: f64,
    /// Share of masked tokens that are the most frequent token.
    pub unigram_accuracy: f64,
}

/// What a model reaches on held-out examples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    /// Examples.
    pub examples: usize,
    /// Examples that are labelled pairs; 0 where masked tokens are all there is to predict.
    pub pairs: usize,
    /// Masked tokens.
    pub masked_tokens: f64,
    /// Mean loss of masked tokens in nats.
    pub mlm_loss: f64,
    /// Share of masked tokens predicted right.
    pub mlm_accuracy: f64,
    /// Mean next-sentence loss in nats.
    pub nsp_loss: f64,
    /// Share of pairs told right; half of them are random.
    pub nsp_accuracy: f64,
}

impl Validation {
    /// Up to `evaluation.examples` held-out examples of a phase.
    pub fn of_phase(trainer: &Trainer, phase: usize) -> Result<Self> {
        let config = trainer.config();
        let data = trainer.phase_data(phase);
        let count = config.evaluation.examples.min(data.validation.len());
        let masker = masker(config, phase, trainer.tokenizer(), &data.train)?;
        let seed = phase_seed(config.seed, phase);
        let set = data.validation.clone();
        let examples = Loader::new(set, masker, seed, Cursor::default()).next_batch(count);
        let unigram = Unigram::count(&data.train, trainer.tokenizer());
        let labels = examples.iter().flat_map(|example| &example.labels);
        let (unigram_loss, unigram_accuracy) = unigram.score(labels);
        Ok(Self {
            examples,
            micro_batch: config.phase[phase].micro_sequences(),
            baseline: Baseline { unigram_loss, unigram_accuracy },
        })
    }

    /// Runs the model over them without dropout, in f32.
    pub fn measure(&self, model: &BertForPreTraining) -> Result<Measured> {
        let mut unread = Unread::default();
        for examples in self.examples.chunks(self.micro_batch) {
            unread.add(&model.loss(&collate(examples), &Pass::eval())?)?;
        }
        let values = unread.scalars().iter().map(|scalar| Ok(f64::from(scalar.to_scalar::<f32>()?)));
        let meters = unread.meters(&values.collect::<Result<Vec<_>>>()?);
        Ok(Measured {
            examples: self.examples.len(),
            pairs: meters.nsp_targets as usize,
            masked_tokens: meters.mlm_targets,
            mlm_loss: meters.mlm_mean(),
            mlm_accuracy: meters.mlm_accuracy(),
            nsp_loss: meters.nsp_mean(),
            nsp_accuracy: meters.nsp_accuracy(),
        })
    }
}
