//! What a run on the embedded sample shows beside its measurements.

use bert_data::sample::{Floor, corpus, floors};
use bert_data::sources::SAMPLE_INPUT;
use bert_data::tokenizer::Tokenizer;
use serde::Serialize;

use super::trainer::Trainer;
use crate::config::{MaskingConfig, PretrainConfig};
use crate::error::Result;
use crate::fill_mask::{Filled, fill_mask};

/// Two sentences as the sample's grammar has them: the second says what the first leaves open.
const SENTENCE: &str = "Henry came to the station late on Wednesday. He purchased two [MASK] at the window.";

/// The best that any model can reach in expectation, on examples as long as those of the last phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BestPossible {
    /// Loss of masked tokens in nats.
    pub mlm_loss: f64,
    /// Share of masked tokens predicted right.
    pub mlm_accuracy: f64,
    /// Share of pairs told right.
    pub nsp_accuracy: f64,
}

impl BestPossible {
    /// Known where the text is the sample, cut and masked as in the working out of its floor.
    pub(super) fn of(trainer: &Trainer) -> Result<Option<Self>> {
        let config = trainer.config();
        let Some(phase) = config.phase.last() else { return Ok(None) };
        let as_worked_out = is_sample(config)
            && config.masking == MaskingConfig::default()
            && config.data.pairing.is_nsp()
            && config.data.masking.is_dynamic()
            && config.data.short_seq_prob == 0.1
            && has_whole_words(trainer.tokenizer());
        if !as_worked_out {
            return Ok(None);
        }
        let floor = floors()?.into_iter().find(|floor| floor.seq_len == phase.seq_len);
        Ok(floor.map(|Floor { mlm_loss, mlm_accuracy, nsp_accuracy, .. }| Self {
            mlm_loss,
            mlm_accuracy,
            nsp_accuracy,
        }))
    }
}

/// A sentence of the sample's kind with its mask filled; none on other text.
pub(super) fn fill_sentence(trainer: &Trainer) -> Result<Option<Filled>> {
    if !is_sample(trainer.config()) {
        return Ok(None);
    }
    fill_mask(trainer.model(), trainer.tokenizer(), SENTENCE, 5).map(Some)
}

fn is_sample(config: &PretrainConfig) -> bool {
    config.data.input == [SAMPLE_INPUT]
}

/// Whether no word of the sample is cut into pieces: losses for each token are comparable only then.
fn has_whole_words(tokenizer: &Tokenizer) -> bool {
    let mut words: Vec<&str> = corpus().iter().flat_map(|(_, text)| text.split_whitespace()).collect();
    words.sort_unstable();
    words.dedup();
    let whole = |ids: Vec<u32>| ids.windows(2).all(|pair| !tokenizer.continues_word(pair[0], pair[1]));
    words.iter().all(|word| whole(tokenizer.encode(word)))
}
