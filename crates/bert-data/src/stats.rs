//! What is in a dataset, in numbers.

use std::fmt;
use std::path::Path;

use crate::error::Result;
use crate::examples::{ExampleSet, Split};
use crate::manifest::{Manifest, SplitCounts};
use crate::tokenizer::Tokenizer;

/// Bars of the histogram of lengths.
const BINS: usize = 8;

/// The numbers of a dataset. Its `Display` is the table that `bert-data stats` prints.
#[derive(Debug, Clone)]
pub struct Stats {
    /// The dataset's manifest, which has the counts of the corpus.
    pub manifest: Manifest,
    /// What was counted in the Arrow files, split by split.
    pub splits: Vec<SplitStats>,
}

/// What was counted in the files of one split.
#[derive(Debug, Clone)]
pub struct SplitStats {
    /// The counts of building it.
    pub counts: SplitCounts,
    /// Length in bytes of its files.
    pub bytes: u64,
    /// All tokens, special tokens included.
    pub tokens: u64,
    /// `[UNK]` among them.
    pub unknown: u64,
    /// Number of examples of each length, the index being the length in tokens.
    pub lengths: Vec<u64>,
}

/// Counts a dataset.
///
/// # Errors
/// Those of opening it.
pub fn stats(dir: &Path) -> Result<Stats> {
    let mut splits = Vec::new();
    let manifest = Manifest::read(dir)?;
    for counts in &manifest.splits {
        let set = ExampleSet::open(dir, counts.split)?;
        let unk = Tokenizer::open(set.tokenizer_dir())?.special().unk;
        let mut stats = SplitStats {
            counts: counts.clone(),
            bytes: manifest.files.iter().filter(|f| f.split == counts.split).map(|f| f.bytes).sum(),
            tokens: 0,
            unknown: 0,
            lengths: vec![0; manifest.settings.seq_len + 1],
        };
        for i in 0..set.len() {
            let tokens = set.get(i).tokens;
            stats.tokens += tokens.len() as u64;
            stats.unknown += tokens.iter().filter(|&id| id == unk).count() as u64;
            if let Some(count) = stats.lengths.get_mut(tokens.len()) {
                *count += 1;
            }
        }
        splits.push(stats);
    }
    Ok(Stats { manifest, splits })
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest { settings, tokenizer, inputs, sources, corpus, dropped, not_remembered, .. } = &self.manifest;
        let row = |f: &mut fmt::Formatter<'_>, name: &str, value: u64, note: String| {
            writeln!(f, "  {name:<26}{:>14}  {note}", grouped(value))
        };
        writeln!(
            f,
            "{} of up to {} tokens, seed {}; vocabulary of {} tokens, stored as {}",
            settings.pairing.name(),
            settings.seq_len,
            settings.seed,
            tokenizer.vocab_size,
            tokenizer.id_type
        )?;
        writeln!(f, "corpus")?;
        row(f, "files", inputs.len() as u64, String::new())?;
        row(f, "bytes", inputs.iter().map(|i| i.bytes).sum(), String::new())?;
        row(f, "documents", corpus.documents, format!("{} of them empty, dropped", grouped(corpus.documents_empty)))?;
        let a_sentence = format!("{:.1} tokens each", ratio(corpus.tokens, corpus.sentences));
        row(f, "sentences", corpus.sentences, a_sentence)?;
        row(f, "tokens", corpus.tokens, String::new())?;
        if corpus.documents_cut > 0 {
            row(f, "cuts of long documents", corpus.documents_cut, "each makes one document more".into())?;
        }
        if !dropped.is_empty() {
            writeln!(f, "left out")?;
        }
        for (reason, dropped) in dropped.iter() {
            let count = if dropped.documents > 0 { dropped.documents } else { dropped.lines };
            let note = match dropped.tokens {
                0 => format!("{} bytes", grouped(dropped.bytes)),
                tokens => format!("{} tokens, {:.2}%", grouped(tokens), 100.0 * ratio(tokens, corpus.tokens + tokens)),
            };
            row(f, reason.in_words(), count, note)?;
        }
        let not_compared = not_remembered.duplicates.max(not_remembered.near_duplicates);
        if not_compared > 0 {
            row(f, "not remembered", not_compared, "documents that later ones were not compared with".into())?;
        }
        if settings.mixture.is_some() {
            writeln!(f, "inputs")?;
            for source in sources {
                let note = format!("documents, each used {:.3} times  {}", source.weight, source.input);
                row(f, "", source.documents, note)?;
            }
        }
        for split in &self.splits {
            split.fmt(f, settings.seq_len)?;
        }
        Ok(())
    }
}

impl SplitStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>, seq_len: usize) -> fmt::Result {
        let counts = &self.counts;
        let percent = |part: u64, whole: u64| format!("{:.2}%", 100.0 * ratio(part, whole));
        let name = match counts.split {
            Split::Train => "train",
            Split::Validation => "validation",
        };
        writeln!(f, "{name}")?;
        let mut row = |name: &str, value: u64, note: String| writeln!(f, "  {name:<26}{:>14}  {note}", grouped(value));
        row("documents", counts.documents, String::new())?;
        row("examples", counts.examples, format!("{:.1} tokens each", ratio(self.tokens, counts.examples)))?;
        for (name, count) in
            [("  random second segment", counts.examples_random_next), ("  swapped segments", counts.examples_swapped)]
        {
            if count > 0 {
                row(name, count, percent(count, counts.examples))?;
            }
        }
        row("tokens of its documents", counts.tokens, String::new())?;
        row("  kept", counts.tokens_kept, percent(counts.tokens_kept, counts.tokens))?;
        row("  cut off, too long", counts.tokens_truncated, percent(counts.tokens_truncated, counts.tokens))?;
        row("tokens of random segments", counts.tokens_random, String::new())?;
        row("[CLS] and [SEP]", counts.tokens_special, String::new())?;
        row("all tokens", self.tokens, format!("{:.3} bytes each", ratio(self.bytes, self.tokens)))?;
        row("  [UNK]", self.unknown, percent(self.unknown, self.tokens))?;
        writeln!(f, "  lengths in tokens")?;
        let width = seq_len.div_ceil(BINS);
        for bin in 0..BINS {
            let (low, high) = (bin * width + 1, ((bin + 1) * width).min(seq_len));
            if low > high {
                break;
            }
            let count: u64 = self.lengths[low..=high].iter().sum();
            let share = ratio(count, counts.examples);
            let bar = "#".repeat((share * 40.0).round() as usize);
            writeln!(f, "    {low:>5} to {high:<5} {:>12}  {bar}", grouped(count))?;
        }
        Ok(())
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// A number with commas between thousands.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
