//! The state of a run and its training step.

use bert_data::examples::ExampleSet;
use bert_data::loader::Cursor;
use bert_data::masking::{Masker, MaskingOptions};
use bert_data::tokenizer::Tokenizer;
use bert_model::{BertForPreTraining, Pass, backward};
use candle_core::Device;

use super::batch::{Targets, collate};
use super::data::{PhaseData, settle_vocabulary};
use super::feed::Feed;
use crate::checkpoint::{Checkpoint, Meters, Snapshot, State, Unread};
use crate::config::PretrainConfig;
use crate::error::Result;
use crate::optimizer::{Optimizer, Outcome};
use crate::schedule::Schedule;

/// A run between two steps: model, moments, data position. All that follows is a function of these.
pub struct Trainer {
    config: PretrainConfig,
    tokenizer: Tokenizer,
    phases: Vec<PhaseData>,
    digests: Vec<String>,
    model: BertForPreTraining,
    optimizer: Optimizer,
    schedule: Schedule,
    feed: Feed,
    state: State,
}

impl Trainer {
    /// A run at its beginning. `config` has at least one phase, `phases` the examples of each.
    pub fn new(config: PretrainConfig, tokenizer: Tokenizer, phases: Vec<PhaseData>, device: &Device) -> Result<Self> {
        let shape = settle_vocabulary(&config.model, &tokenizer)?;
        let model = BertForPreTraining::new(&shape, config.seed, device)?;
        let optimizer = Optimizer::new(&config.optimizer, config.precision, model.parameters())?;
        let state = State {
            step: 0,
            phase: 0,
            cursor: Cursor::default(),
            passes: 0,
            updates: 0,
            skipped: 0,
            loss_scale: optimizer.loss_scale(),
            meters: Meters::default(),
        };
        Ok(Self {
            feed: feed(&config, &tokenizer, &phases, &state)?,
            digests: phases.iter().map(|phase| phase.digest.clone()).collect(),
            schedule: Schedule::of_run(&config),
            config,
            tokenizer,
            phases,
            model,
            optimizer,
            state,
        })
    }

    /// Goes on from a checkpoint of this run.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.state = checkpoint.restore(&self.digests, &self.model, &mut self.optimizer)?;
        self.feed = feed(&self.config, &self.tokenizer, &self.phases, &self.state)?;
        Ok(())
    }

    /// The training step: one batch, one update.
    pub fn step(&mut self) -> Result<Outcome> {
        let phase = &self.config.phase[self.state.phase];
        let batch = self.feed.next_batch();
        let targets = Targets::of(batch.iter().flatten());
        let mut unread = Unread::default();
        for micro in &batch {
            let pass = Pass::train(self.config.seed, self.state.passes)
                .recomputing(phase.recompute)
                .computing_in(self.config.precision.dtype());
            let parts = self.model.loss(&collate(micro), &pass)?;
            // Gradients of the micro batches add up in place.
            backward(&self.optimizer.scaled(targets.normalise(&parts)?)?, self.model.parameters())?;
            unread.add(&parts)?;
            self.state.passes += 1;
        }
        let lr = self.schedule.rate(self.state.step + 1);
        // Clips; leaves everything as it is when the gradient is not finite.
        let (outcome, values) = self.optimizer.step_reading(self.model.parameters(), lr, unread.scalars())?;
        let tokens = batch.iter().flatten().map(|example| example.input_ids.len() as u64).sum();
        self.advance(&outcome, Meters { tokens, ..unread.meters(&values) })?;
        Ok(outcome)
    }

    /// Moves on to the next step, and to the next phase when this one is over.
    fn advance(&mut self, outcome: &Outcome, mut meters: Meters) -> Result<()> {
        if outcome.applied {
            meters.steps = 1;
            meters.norms = outcome.norm;
            self.state.meters.merge(&meters);
        } else {
            self.state.skipped += 1;
        }
        self.state.step += 1;
        self.state.updates = self.optimizer.updates();
        self.state.loss_scale = self.optimizer.loss_scale();
        self.state.cursor = self.feed.cursor();
        let end: u64 = self.config.phase[..=self.state.phase].iter().map(|p| p.steps).sum();
        if self.state.step == end && self.state.phase + 1 < self.config.phase.len() {
            self.state.phase += 1;
            self.state.cursor = Cursor::default();
            self.feed = feed(&self.config, &self.tokenizer, &self.phases, &self.state)?;
        }
        Ok(())
    }

    /// Whether all steps of all phases are done.
    pub fn is_finished(&self) -> bool {
        self.state.step >= self.config.total_steps()
    }

    /// What a checkpoint of this moment is made of.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            config: &self.config,
            data: &self.digests,
            model: &self.model,
            optimizer: &self.optimizer,
            tokenizer: &self.tokenizer,
            state: &self.state,
        }
    }

    /// The sums since they were last taken; they start again from zero.
    pub fn take_meters(&mut self) -> Meters {
        std::mem::take(&mut self.state.meters)
    }

    /// The rate of the step that was done last.
    pub fn last_rate(&self) -> f64 {
        self.schedule.rate(self.state.step)
    }

    /// The resolved configuration.
    pub fn config(&self) -> &PretrainConfig {
        &self.config
    }

    /// Where the run stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The model as it is now.
    pub fn model(&self) -> &BertForPreTraining {
        &self.model
    }

    /// The vocabulary.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The examples of a phase.
    pub fn phase_data(&self, phase: usize) -> &PhaseData {
        &self.phases[phase]
    }
}

/// The training examples of the state's phase, from the state's cursor on.
fn feed(config: &PretrainConfig, tokenizer: &Tokenizer, phases: &[PhaseData], state: &State) -> Result<Feed> {
    Feed::of_phase(config, tokenizer, state.phase, &phases[state.phase], state.cursor)
}

/// The masks of a phase.
pub(super) fn masker(
    config: &PretrainConfig,
    phase: usize,
    tokenizer: &Tokenizer,
    train: &ExampleSet,
) -> Result<Masker> {
    let options = MaskingOptions {
        kind: config.masking.kind,
        rate: config.masking.rate,
        mask: config.masking.mask,
        random: config.masking.random,
        max_predictions: config.phase[phase].max_predictions,
        ..MaskingOptions::default()
    };
    Ok(Masker::for_examples(options, tokenizer, train)?)
}

/// Seed of order and masks in a phase: two phases over the same examples must not repeat each other.
pub(super) fn phase_seed(seed: u64, phase: usize) -> u64 {
    // The odd constant is 2^64 divided by the golden ratio: distinct phases give far-apart seeds; phase 0 keeps its own.
    seed ^ (phase as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
