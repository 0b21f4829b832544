//! `bert-data verify`

use std::io::Write;
use std::path::PathBuf;

use bert_data::progress::Bars;
use bert_data::verify::verify;

use super::Failure;

/// Arguments of `bert-data verify`.
#[derive(clap::Args)]
pub(super) struct Verify {
    /// Folder of the dataset
    dir: PathBuf,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), Failure> {
        let report = verify(&self.dir, &Bars::new())?;
        for problem in &report.problems {
            eprintln!("error: {problem}");
        }
        if !report.problems.is_empty() {
            eprintln!("{} problem(s); build the dataset again", report.problems.len());
            return Err(Failure::Printed);
        }
        writeln!(
            std::io::stdout(),
            "{}: {} files and {} examples are as they were written",
            self.dir.display(),
            report.files,
            report.examples
        )?;
        Ok(())
    }
}
