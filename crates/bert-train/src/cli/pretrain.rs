//! `bert-train pretrain`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bert_train::config::PretrainConfig;
use bert_train::pretrain::{Resume, RunOptions, pretrain};
use candle_core::Device;
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};

/// Pre-train a model on text: masked tokens and next sentences.
///
/// Builds a vocabulary and examples where the configuration names none, trains phase by phase, writes checkpoints on
/// the way and the finished model to RUN/model. Ctrl-C finishes the step and writes a checkpoint; the same command
/// then goes on from there.
#[derive(Debug, Args)]
pub struct PretrainArgs {
    /// A built-in configuration (quickstart, tiny, mini, small, base, large) or a TOML file.
    #[arg(long, value_name = "NAME|FILE")]
    config: String,
    /// Override a key of the configuration, such as optimizer.lr=1e-4 or phase.0.steps=100. Can be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder of the run. [default: runs/NAME]
    #[arg(long, value_name = "RUN")]
    output: Option<PathBuf>,
    /// `auto`: go on from the newest sound checkpoint in RUN, or start; `never`: start; a path: go on from that
    /// checkpoint.
    #[arg(long, value_name = "auto|never|CHECKPOINT", default_value = "auto")]
    resume: String,
    /// Print the result as one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &PretrainArgs, device: &Device) -> anyhow::Result<()> {
    let config = PretrainConfig::load(&args.config, &args.set)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second signal ends the program at once, without a checkpoint.
        signal_hook::flag::register_conditional_shutdown(signal, 1, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    let options = RunOptions {
        output: args.output.clone().unwrap_or_else(|| default_output(&args.config)),
        resume: Resume::from(args.resume.as_str()),
        stop,
        quiet: false,
        device: device.clone(),
    };
    let report = pretrain(config, &options)?;
    eprintln!("\n{report}");
    if args.json {
        super::print_json(&report)?;
    }
    Ok(())
}

/// `runs/NAME` for a configuration of that name or for a file `NAME.toml`.
fn default_output(config: &str) -> PathBuf {
    let name = Path::new(config).file_stem().unwrap_or_default();
    Path::new("runs").join(name)
}
