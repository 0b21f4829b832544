//! The batches of a phase: so many sequences, or packs of so many tokens. Both are made ahead on a thread, and both go on from a
//! cursor, which counts what was trained on and not what is made.

use bert_data::loader::{Cursor, Loader, MaskedExample, PackLoader, Rank};
use bert_data::tokenizer::Tokenizer;

use super::data::PhaseData;
use super::trainer::{masker, phase_seed};
use crate::config::{BatchUnit, PretrainConfig};
use crate::error::Result;

/// Hands out one batch after the other.
pub(super) enum Feed {
    /// `batch` sequences, cut into forward passes of `micro_batch`.
    Sequences {
        /// Where they come from.
        loader: Loader,
        /// Sequences a step.
        batch: usize,
        /// Sequences a forward pass.
        micro_batch: usize,
    },
    /// Packs of up to `micro_batch` tokens, each a forward pass.
    Packs {
        /// Where they come from.
        loader: PackLoader,
        /// Packs a step.
        packs: usize,
    },
}

impl Feed {
    /// The training examples of a phase, from a cursor on.
    pub fn of_phase(
        config: &PretrainConfig,
        tokenizer: &Tokenizer,
        phase: usize,
        data: &PhaseData,
        cursor: Cursor,
    ) -> Result<Self> {
        let masker = masker(config, phase, tokenizer, &data.train)?;
        let (seed, set) = (phase_seed(config.seed, phase), data.train.clone());
        let phase = &config.phase[phase];
        let (batch, micro_batch) = (phase.batch, phase.micro_batch());
        Ok(match phase.batch_unit {
            BatchUnit::Sequences => {
                Self::Sequences { loader: Loader::new(set, masker, seed, cursor), batch, micro_batch }
            }
            BatchUnit::Tokens => Self::Packs {
                loader: PackLoader::new(set, masker, seed, cursor, Rank::default(), micro_batch)?,
                packs: batch / micro_batch,
            },
        })
    }

    /// The next batch, as its forward passes.
    pub fn next_batch(&mut self) -> Vec<Vec<MaskedExample>> {
        match self {
            Self::Sequences { loader, batch, micro_batch } => {
                let mut examples = loader.next_batch(*batch).into_iter().peekable();
                let mut passes = Vec::new();
                while examples.peek().is_some() {
                    passes.push(examples.by_ref().take(*micro_batch).collect());
                }
                passes
            }
            Self::Packs { loader, packs } => loader.next_packs(*packs),
        }
    }

    /// The place behind the last batch that was handed out.
    pub fn cursor(&self) -> Cursor {
        match self {
            Self::Sequences { loader, .. } => loader.cursor(),
            Self::Packs { loader, .. } => loader.cursor(),
        }
    }
}
