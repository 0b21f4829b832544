//! `bert-data`: vocabularies and datasets from the command line. See `bert-data --help`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
