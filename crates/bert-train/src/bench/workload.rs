//! What a measured step does.

use bert_data::loader::MaskedExample;
use bert_model::{
    BertConfig, BertForPreTraining, BertForSequenceClassification, ParameterStore, Pass, PretrainingBatch, Sequences,
    Targets as TaskTargets, backward,
};
use candle_core::Device;

use crate::config::{OptimizerConfig, Precision};
use crate::error::Result;
use crate::optimizer::Optimizer;
use crate::pretrain::{Targets, collate};

/// The kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Masked-language model and next sentence: forward, backward, clipping, update.
    Pretrain,
    /// A classifier of two classes: forward, backward, clipping, update.
    Finetune,
    /// Hidden states of all tokens, no gradients.
    Encode,
}

/// A model, and what a step of it needs.
pub(super) enum Workload {
    Pretrain(BertForPreTraining, Optimizer),
    Finetune(BertForSequenceClassification, Optimizer),
    Encode(BertForPreTraining),
}

/// One step's input.
pub(super) struct Input {
    batch: PretrainingBatch,
    targets: Targets,
}

impl Input {
    /// Masked tokens, which the head of pre-training predicts.
    pub fn masked(&self) -> usize {
        self.targets.mlm
    }
}

impl Workload {
    pub fn new(config: &BertConfig, work: Work, precision: Precision, device: &Device) -> Result<Self> {
        let optimizer = |store: &ParameterStore| Optimizer::new(&OptimizerConfig::default(), precision, store);
        Ok(match work {
            Work::Pretrain => {
                let model = BertForPreTraining::new(config, 1, device)?;
                let optimizer = optimizer(model.parameters())?;
                Self::Pretrain(model, optimizer)
            }
            Work::Finetune => {
                let model = BertForSequenceClassification::new(config, 2, 1, device)?;
                let optimizer = optimizer(model.parameters())?;
                Self::Finetune(model, optimizer)
            }
            Work::Encode => Self::Encode(BertForPreTraining::new(config, 1, device)?),
        })
    }

    pub fn parameters(&self) -> &ParameterStore {
        match self {
            Self::Pretrain(model, _) | Self::Encode(model) => model.parameters(),
            Self::Finetune(model, _) => model.parameters(),
        }
    }

    /// Sequences of the given lengths.
    pub fn input(&self, lengths: &[usize]) -> Input {
        let vocab_size = match self {
            Self::Pretrain(model, _) | Self::Encode(model) => model.config().vocab_size,
            Self::Finetune(model, _) => model.config().vocab_size,
        };
        let examples: Vec<_> = lengths.iter().enumerate().map(|(i, &length)| example(i, length, vocab_size)).collect();
        Input { batch: collate(&examples), targets: Targets::of(&examples) }
    }

    /// One step; encoding has a pass of its own.
    pub fn step(&mut self, input: &Input, pass: Pass) -> Result<()> {
        match self {
            Self::Pretrain(model, optimizer) => {
                let parts = model.loss(&input.batch, &pass)?;
                backward(&optimizer.scaled(input.targets.normalise(&parts)?)?, model.parameters())?;
                optimizer.step(model.parameters(), 1e-4)?;
            }
            Self::Finetune(model, optimizer) => {
                let sequences: &Sequences = &input.batch.sequences;
                let classes = input.batch.next_sentence_labels.clone();
                let part = model.loss(sequences, &TaskTargets::Classes(classes), &pass)?;
                backward(&optimizer.scaled((&part.sum / part.weight)?)?, model.parameters())?;
                optimizer.step(model.parameters(), 1e-4)?;
            }
            Self::Encode(model) => {
                model.hidden_states(&input.batch.sequences, &Pass { train: false, ..pass })?;
            }
        }
        Ok(())
    }
}

/// An example whose tokens spread over the vocabulary and of which 15% are predicted.
fn example(index: usize, length: usize, vocab_size: usize) -> MaskedExample {
    let token = |position: usize| ((index * length + position) * 7919 % vocab_size) as u32;
    let predicted = (length * 3).div_ceil(20);
    let positions: Vec<u32> = (0..predicted).map(|i| (1 + i * (length - 2) / predicted) as u32).collect();
    MaskedExample {
        input_ids: (0..length).map(token).collect(),
        second_start: length / 2,
        labels: positions.iter().map(|&at| token(at as usize + 1)).collect(),
        positions,
        ranks: Vec::new(),
        pair_label: Some(index % 2 == 1),
    }
}
