//! Arguments, and the commands they stand for. People read standard error; results go to standard output.

mod pretrain;
mod tasks;
mod tools;

use std::io::Write;

use clap::{Parser, Subcommand};

/// Pre-train, fine-tune, evaluate and use BERT.
#[derive(Debug, Parser)]
#[command(name = "bert-train", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Pretrain(pretrain::PretrainArgs),
    Finetune(tasks::FinetuneArgs),
    Evaluate(tasks::EvaluateArgs),
    Predict(tasks::PredictArgs),
    FillMask(tools::FillMaskArgs),
    Export(tools::ExportArgs),
    Bench(tools::BenchArgs),
}

/// Parses the arguments and runs the command.
pub fn run() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Pretrain(args) => pretrain::run(&args),
        Command::Finetune(args) => tasks::finetune(&args),
        Command::Evaluate(args) => tasks::evaluate(&args),
        Command::Predict(args) => tasks::predict(&args),
        Command::FillMask(args) => tools::fill_mask(&args),
        Command::Export(args) => tools::export(&args),
        Command::Bench(args) => tools::bench(&args),
    }
}

/// One JSON object on standard output. A pipe that was closed is an error here and not a panic.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(value)?;
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
