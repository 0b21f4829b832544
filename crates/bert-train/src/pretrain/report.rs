//! What a finished run reached, for people and as JSON.

use std::path::PathBuf;

use bert_data::build::Pairing;
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
    /// What the examples of the training are.
    pub pairing: Pairing,
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

/// What is to be told of pairs, in words.
pub(super) fn pair_task(pairing: Pairing) -> &'static str {
    match pairing {
        Pairing::Sop => "sentence order",
        Pairing::Nsp | Pairing::FullSentences | Pairing::DocSentences => "next sentence",
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { held_out, baseline, .. } = self;
        let number = |value: f64| format!("{value:.3}");
        let percent = |share: f64| format!("{:.1}%", 100.0 * share);
        let best = self.best_possible;
        let mut rows = vec![
            (
                "masked-token loss (nats)".to_string(),
                number(held_out.mlm_loss),
                number(baseline.unigram_loss),
                best.map(|best| number(best.mlm_loss)),
            ),
            (
                "masked-token accuracy".to_string(),
                percent(held_out.mlm_accuracy),
                percent(baseline.unigram_accuracy),
                best.map(|best| percent(best.mlm_accuracy)),
            ),
        ];
        if held_out.pairs > 0 {
            let name = format!("{} accuracy", pair_task(self.pairing).replace(' ', "-"));
            rows.push((
                name,
                percent(held_out.nsp_accuracy),
                percent(0.5),
                best.map(|best| percent(best.nsp_accuracy)),
            ));
        }
        let what = if held_out.pairs > 0 { "pairs" } else { "examples" };
        let (examples, masked) = (held_out.examples, held_out.masked_tokens);
        writeln!(f, "held out: {examples} {what}, {masked} masked tokens, after {} steps\n", self.steps)?;
        writeln!(f, "{:<26}{:>10}{:>12}{:>16}", "", "model", "baseline *", "best possible")?;
        for (name, model, baseline, best) in rows {
            writeln!(f, "{name:<26}{model:>10}{baseline:>12}{:>16}", best.as_deref().unwrap_or("unknown"))?;
        }
        let of_pairs =
            if held_out.pairs > 0 { format!("; for {}s, chance", pair_task(self.pairing)) } else { String::new() };
        writeln!(f, "\n* token frequencies of the training text alone{of_pairs}")?;
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
