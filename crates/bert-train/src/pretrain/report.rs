//! What a finished run reached, for people and as JSON.

use std::path::PathBuf;

use serde::Serialize;

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
    /// The best loss that any model can reach in expectation, where it is known: the embedded sample's.
    pub best_possible_mlm_loss: Option<f64>,
    /// A sentence with a mask filled, where the text is the embedded sample.
    pub filled: Option<Filled>,
    /// The model's folder.
    pub model: PathBuf,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let held_out = &self.held_out;
        let percent = |share: f64| format!("{:.1}%", 100.0 * share);
        writeln!(f, "held out: {} pairs, {} masked tokens", held_out.examples, held_out.masked_tokens)?;
        writeln!(f, "                          model     baseline")?;
        writeln!(
            f,
            "masked-token loss    {:>10.3} {:>12.3}  (token frequencies alone)",
            held_out.mlm_loss, self.baseline.unigram_loss
        )?;
        if let Some(best) = self.best_possible_mlm_loss {
            writeln!(
                f,
                "  best possible      {best:>10.3}               (entropy of the grammar that made the sample)"
            )?;
        }
        writeln!(
            f,
            "masked-token accuracy{:>10} {:>12}  (the most frequent token)",
            percent(held_out.mlm_accuracy),
            percent(self.baseline.unigram_accuracy)
        )?;
        writeln!(f, "next-sentence accuracy{:>9} {:>12}  (chance)", percent(held_out.nsp_accuracy), "50.0%")?;
        if self.skipped > 0 {
            writeln!(f, "{} of {} steps were skipped: their gradient was not finite", self.skipped, self.steps)?;
        }
        if let Some(filled) = &self.filled {
            write!(f, "\n{filled}")?;
        }
        write!(f, "\nmodel: {}", self.model.display())
    }
}
