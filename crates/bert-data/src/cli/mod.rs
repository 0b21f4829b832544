//! The commands. Results go to standard output, progress and errors to standard error. Exit code 0: done, 1: the work
//! failed, 2: the request was wrong.

mod bench;
mod build;
mod cleaning;
mod fetch;
mod inspect;
mod merge;
mod stats;
mod verify;
mod vocab;

use std::process::ExitCode;

use bert_data::Error;
use clap::{Args, Parser, Subcommand};

/// From raw text to Arrow files of BERT examples.
#[derive(Parser)]
#[command(name = "bert-data", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a vocabulary on a corpus (WordPiece, byte-level BPE or Unigram), or extend one
    Vocab(vocab::Vocab),
    /// Make a dataset of examples from a corpus
    Build(Box<build::Build>),
    /// Get a corpus or a task from the Hugging Face Hub
    Fetch(fetch::Fetch),
    /// Put the parts that several machines built into one dataset
    Merge(merge::Merge),
    /// Show an example of a dataset as a person reads it, with its masks
    Inspect(inspect::Inspect),
    /// Count what is in a dataset: documents, tokens, lengths, unknown tokens
    Stats(stats::Stats),
    /// Check every byte of a dataset: checksums, schema, ids in range
    Verify(verify::Verify),
    /// Measure how fast a dataset is read with masks
    Bench(bench::Bench),
}

/// What is read, shared by the commands that read a corpus.
#[derive(Args)]
struct Corpus {
    /// Files, folders, or patterns in quotation marks; `sample` is the built-in corpus. Settings follow a colon:
    /// 'books/:weight=2' (each document twice), 'web.jsonl:text=body' (the field or column of the text; otherwise "text"),
    /// 'dump:format=wikipedia-xml'. Endings .gz, .bz2, .xz and .zst are decompressed
    #[arg(long, required = true, num_args = 1.., value_name = "GLOB")]
    input: Vec<String>,
    /// How the files mark their documents; `auto` looks at each file, so a corpus may mix formats
    #[arg(long, value_enum, default_value = "auto")]
    format: bert_data::sources::Format,
    /// What to do about lines, records and pages that are not UTF-8 or not JSON
    #[arg(long, value_enum, default_value = "stop")]
    unreadable: bert_data::sources::Unreadable,
    #[command(flatten)]
    cleaning: cleaning::Cleaning,
    /// Threads; 0 for one per core
    #[arg(long, default_value_t = 0, value_name = "N")]
    workers: usize,
}

/// Why a command did not end well.
enum Failure {
    /// An error of the library.
    Error(Error),
    /// Problems that were already printed.
    Printed,
    /// Standard output could not be written.
    Output(std::io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Output(error)
    }
}

pub(crate) fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Vocab(command) => command.run(),
        Command::Build(command) => command.run(),
        Command::Fetch(command) => command.run(),
        Command::Merge(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Stats(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Bench(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe went away (`bert-data stats DIR | head`): nobody is left to tell.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Output(error)) => {
            eprintln!("error: cannot write to standard output: {error}");
            ExitCode::from(1)
        }
        Err(Failure::Printed) => ExitCode::from(1),
        Err(Failure::Error(error)) => {
            eprintln!("error: {error}");
            ExitCode::from(if error.is_request() { 2 } else { 1 })
        }
    }
}
