//! `bert-data bench`

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bert_data::bench::{Rates, rates};
use bert_data::examples::{ExampleSet, Split};
use bert_data::masking::{MaskKind, Masker, MaskingOptions};
use bert_data::tokenizer::Tokenizer;
use clap::ValueEnum;

use super::Failure;

/// Arguments of `bert-data bench`.
#[derive(clap::Args)]
pub(super) struct Bench {
    /// Folder of the dataset
    dir: PathBuf,
    /// What is masked together; of a dataset with static masks those are read
    #[arg(long, value_enum, default_value = "token", value_name = "KIND")]
    mask_kind: MaskKind,
    /// Which split
    #[arg(long, value_enum, default_value = "train")]
    split: Split,
    /// Seconds to read in each of the three ways
    #[arg(long, default_value_t = 1.0, value_name = "S")]
    seconds: f64,
    /// Seed of order and masks
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) fn run(self) -> Result<(), Failure> {
        let time = Duration::try_from_secs_f64(self.seconds).ok().filter(|time| !time.is_zero());
        let time = time.ok_or_else(|| bert_data::Error::Setting {
            name: "seconds",
            reason: format!("{} is no time to measure; give 1 or so", self.seconds),
        })?;
        let set = Arc::new(ExampleSet::open(&self.dir, self.split)?);
        let tokenizer = Tokenizer::open(set.tokenizer_dir())?;
        let options = MaskingOptions::of(self.mask_kind);
        let masker = Masker::for_examples(options, &tokenizer, &set)?;
        let rates = rates(&set, &masker, self.seed, time)?;
        let mut out = std::io::stdout().lock();
        if self.json {
            let text = serde_json::to_string(&rates).map_err(std::io::Error::from)?;
            writeln!(out, "{text}")?;
            return Ok(());
        }
        let Rates { mask_kind, one_core, prefetched, all_cores, cores } = rates;
        let kind = mask_kind.and_then(|kind| kind.to_possible_value());
        let kind = kind.map_or_else(|| "static".to_string(), |kind| kind.get_name().to_string());
        writeln!(out, "{:.2} million tokens/s on one core, masks: {kind}", one_core / 1e6)?;
        writeln!(out, "{:.2} million tokens/s from a loader with its thread", prefetched / 1e6)?;
        writeln!(out, "{:.2} million tokens/s on all {cores} cores", all_cores / 1e6)?;
        Ok(())
    }
}
