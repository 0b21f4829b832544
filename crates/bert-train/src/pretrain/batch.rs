//! From examples to a batch, and the weights of its losses.

use bert_data::loader::MaskedExample;
use bert_model::{LossPart, PretrainingBatch, Sequences};
use candle_core::Tensor;

use crate::error::Result;

/// Number of targets of each loss in a whole batch, over all its micro batches.
///
/// Every micro batch's sum is divided by these, so that the gradient does not depend on how the batch was cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Targets {
    /// Masked tokens.
    pub mlm: usize,
    /// Sentence pairs.
    pub nsp: usize,
}

impl Targets {
    /// Counts the targets of a batch.
    pub fn of<'a>(batch: impl IntoIterator<Item = &'a MaskedExample>) -> Self {
        batch.into_iter().fold(Self { mlm: 0, nsp: 0 }, |sum, example| Self {
            mlm: sum.mlm + example.positions.len(),
            nsp: sum.nsp + usize::from(example.pair_label.is_some()),
        })
    }

    fn weight(&self, part: &LossPart) -> f64 {
        let targets = if part.name == "mlm" { self.mlm } else { self.nsp };
        targets.max(1) as f64
    }

    /// The part of the batch's mean loss that a micro batch contributes: `mlm_sum / mlm + nsp_sum / nsp`.
    pub fn normalise(&self, parts: &[LossPart]) -> Result<Tensor> {
        let mut loss: Option<Tensor> = None;
        for part in parts {
            let term = (&part.sum / self.weight(part))?;
            loss = Some(match loss {
                Some(sum) => (sum + term)?,
                None => term,
            });
        }
        loss.ok_or_else(|| candle_core::Error::Msg("the model returned no loss".into()).into())
    }
}

/// Packs examples on one token axis, without padding.
pub fn collate(examples: &[MaskedExample]) -> PretrainingBatch {
    let items: Vec<_> = examples.iter().map(|example| (example.input_ids.as_slice(), example.second_start)).collect();
    let sequences = Sequences::packed(&items);
    let mut masked_rows = Vec::new();
    let mut masked_labels = Vec::new();
    for (i, example) in examples.iter().enumerate() {
        masked_rows.extend(example.positions.iter().map(|&at| sequences.row(i, at as usize)));
        masked_labels.extend_from_slice(&example.labels);
    }
    PretrainingBatch {
        sequences,
        masked_rows,
        masked_labels,
        // Of one dataset either every example has a label or none has.
        next_sentence_labels: examples.iter().filter_map(|e| e.pair_label.map(u32::from)).collect(),
    }
}
