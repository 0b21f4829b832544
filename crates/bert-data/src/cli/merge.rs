//! `bert-data merge`

use std::io::Write;
use std::path::PathBuf;

use bert_data::build::merge;
use bert_data::progress::Bars;

use super::Failure;

/// Arguments of `bert-data merge`.
#[derive(clap::Args)]
pub(super) struct Merge {
    /// Folders of all parts of one build
    #[arg(required = true, num_args = 1.., value_name = "DIR")]
    parts: Vec<PathBuf>,
    /// Folder to make
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Replace an earlier dataset
    #[arg(long)]
    overwrite: bool,
}

impl Merge {
    pub(super) fn run(self) -> Result<(), Failure> {
        let manifest = merge(&self.parts, &self.output, self.overwrite, &Bars::new())?;
        for counts in &manifest.splits {
            let (split, output) = (counts.split.name(), self.output.display());
            writeln!(
                std::io::stdout(),
                "{split}: {} examples of {} documents in {output}",
                counts.examples,
                counts.documents
            )?;
        }
        Ok(())
    }
}
