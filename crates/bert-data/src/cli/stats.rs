//! `bert-data stats`

use std::io::Write;
use std::path::PathBuf;

use bert_data::stats::stats;

use super::Failure;

/// Arguments of `bert-data stats`.
#[derive(clap::Args)]
pub(super) struct Stats {
    /// Folder of the dataset
    dir: PathBuf,
}

impl Stats {
    pub(super) fn run(self) -> Result<(), Failure> {
        write!(std::io::stdout(), "{}", stats(&self.dir)?)?;
        Ok(())
    }
}
