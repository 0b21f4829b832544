//! What a finished run reached, for people and as JSON.

use std::path::PathBuf;

use serde::Serialize;

use super::sample::BestPossible;
use super::validation::{Baseline, Measured};
use crate::fill_mask::Filled;

/// The end of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Steps done.
    pub steps: u64,
    /// Steps skipped because the gradient was not finite.
    pub skipped: u64,
    /// On held-out examples, with the final weights.
    pub held_out: Measured,
    /// What frequencies alone reach there.
    pub baseline: Baseline,
    /// What is possible, where that is known: on the embedded sample.
    pub best_possible: Option<BestPossible>,
    /// A sentence with a mask filled, where the text is the embedded sample.
    pub filled: Option<Filled>,
    /// The model's folder.
    pub model: PathBuf,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { held_out, baseline, .. } = self;
        let number = |value: f64| format!("{value:.3}");
        let percent = |share: f64| format!("{:.1}%", 100.0 * share);
        let best = self.best_possible;
        let rows = [
            (
                "masked-token loss (nats)",
                number(held_out.mlm_loss),
                number(baseline.unigram_loss),
                best.map(|best| number(best.mlm_loss)),
            ),
            (
                "masked-token accuracy",
                percent(held_out.mlm_accuracy),
                percent(baseline.unigram_accuracy),
                best.map(|best| percent(best.mlm_accuracy)),
            ),
            (
                "next-sentence accuracy",
                percent(held_out.nsp_accuracy),
                percent(0.5),
                best.map(|best| percent(best.nsp_accuracy)),
            ),
        ];
        let (pairs, masked) = (held_out.examples, held_out.masked_tokens);
        writeln!(f, "held out: {pairs} pairs, {masked} masked tokens, after {} steps\n", self.steps)?;
        writeln!(f, "{:<26}{:>10}{:>12}{:>16}", "", "model", "baseline *", "best possible")?;
        for (name, model, baseline, best) in rows {
            writeln!(f, "{name:<26}{model:>10}{baseline:>12}{:>16}", best.as_deref().unwrap_or("unknown"))?;
        }
        writeln!(f, "\n* token frequencies of the training text alone; for next sentences, chance")?;
        if best.is_some() {
            writeln!(f, "  best possible: by exact inference in the grammar that made the sample")?;
        }
        if self.skipped > 0 {
            writeln!(f, "{} of {} steps were skipped: their gradient was not finite", self.skipped, self.steps)?;
        }
        if let Some(filled) = &self.filled {
            write!(f, "\n{filled}")?;
        }
        write!(f, "\nmodel: {}", self.model.display())
    }
}
