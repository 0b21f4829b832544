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
    /// Where to run: cpu, cuda (the first GPU), cuda:N or metal.
    #[arg(long, global = true, value_name = "DEVICE", default_value = "cpu")]
    device: String,
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
    let Cli { device, command } = Cli::parse();
    let device = bert_train::device::device(&device)?;
    match command {
        Command::Pretrain(args) => pretrain::run(&args, &device),
        Command::Finetune(args) => tasks::finetune(&args, &device),
        Command::Evaluate(args) => tasks::evaluate(&args, &device),
        Command::Predict(args) => tasks::predict(&args, &device),
        Command::FillMask(args) => tools::fill_mask(&args, &device),
        Command::Export(args) => tools::export(&args),
        Command::Bench(args) => tools::bench(&args, &device),
    }
}

/// One JSON object on standard output. A pipe that was closed is an error here and not a panic.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(value)?;
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
