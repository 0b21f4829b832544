//! `bert-data inspect`

use std::io::Write;
use std::path::PathBuf;

use bert_data::examples::{ExampleSet, Split};
use bert_data::inspect::describe;
use bert_data::masking::{MaskKind, Masker, MaskingOptions};
use bert_data::tokenizer::Tokenizer;

use super::Failure;

/// Arguments of `bert-data inspect`.
#[derive(clap::Args)]
pub(super) struct Inspect {
    /// Folder of the dataset
    dir: PathBuf,
    /// Number of the example, from 0
    #[arg(long, default_value_t = 0, value_name = "N")]
    example: usize,
    /// Epoch whose masks are shown
    #[arg(long, default_value_t = 0, value_name = "E")]
    epoch: u64,
    /// Seed of the masks, as the training run has it
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
    /// What is masked together
    #[arg(long, value_enum, default_value = "token", value_name = "KIND")]
    mask_kind: MaskKind,
    /// Which split
    #[arg(long, value_enum, default_value = "train")]
    split: Split,
}

impl Inspect {
    pub(super) fn run(self) -> Result<(), Failure> {
        let set = ExampleSet::open(&self.dir, self.split)?;
        let tokenizer = Tokenizer::open(set.tokenizer_dir())?;
        let options = MaskingOptions::of(self.mask_kind);
        let masker = Masker::for_examples(options, &tokenizer, &set)?;
        let text = describe(&set, &tokenizer, &masker, self.seed, self.epoch, self.example)?;
        write!(std::io::stdout(), "{text}")?;
        Ok(())
    }
}
