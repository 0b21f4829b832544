//! `bert-train fill-mask`, `export` and `bench`.

use std::io::Write;
use std::path::PathBuf;

use bert_train::bench::{BenchOptions, Lengths, Work, bench as run_bench};
use bert_train::config::Precision;
use bert_train::export::export as run_export;
use bert_train::fill_mask::fill_mask_with;
use bert_train::model_folder::ModelFolder;
use candle_core::Device;
use clap::{Args, ValueEnum};

/// Print the most probable words for each [MASK] of a sentence.
#[derive(Debug, Args)]
pub struct FillMaskArgs {
    /// A pre-trained model's folder, the folder of its run, or an id on the Hugging Face Hub.
    #[arg(long, value_name = "DIR|HUB-ID")]
    model: String,
    /// How many words for each mask.
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// A sentence with [MASK] in it.
    text: String,
}

/// Copy the model of a checkpoint into a folder that Hugging Face Transformers loads.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A checkpoint, such as RUN/checkpoints/step-00001000.
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// The new folder.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

/// Measure the speed of training steps, or of encoding, on synthetic tokens.
///
/// Prints tokens a second, the time of a step and of its parts, its rate in FLOP/s, and the most memory
/// that the process and the GPU had. The FLOP of a training step, a multiply-add being two, are
///
///     6 N T + 12 L H (sum of S^2) + 6 n (H^2 + H V)
///
/// for N parameters of the L layers (without embeddings), T real tokens in sequences of S, n masked
/// tokens, H the hidden size and V the vocabulary. Encoding is a third of the first two terms;
/// fine-tuning has no third. The same formula holds for every program: work that one leaves out or does
/// twice (--recompute) changes its time only. Beside it stand the FLOP that were multiplied, and the
/// rate of a large matrix multiplication by the fastest way there is, the median of moments between the
/// steps; where that is AMX, which makes f32 of bf16, also by multiply-adds in f32.
///
/// On a GPU the rate by formula is also a share of the chip's dense peak: multiprocessors x highest clock
/// x FLOP a cycle. For bf16 and f16 with sums in f32 these are 2048 on compute capability 8.0, 1024 on
/// 8.6, 8.9 and 12.0 (half of it on GeForce cards, whose tensor cores sum in f32 at half the rate), 4096
/// on 9.0 and 8192 on 10.0; for tf32 half of that; for f32 128 on 8.0 and 256 later. Where the driver
/// names a higher clock than the data sheet, the peak is higher too (H100 SXM: 1,070 for 989 TFLOP/s).
/// The parts are timed in steps after the measured ones, since waiting for each slows a step down.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct BenchArgs {
    /// A model's name: tiny, mini, small, medium, base, large, or one of the grid such as L-4_H-512.
    #[arg(long, value_name = "NAME")]
    model: String,
    /// What a step does.
    #[arg(long, value_enum, default_value = "pretrain")]
    work: WorkArg,
    /// Tokens in a sequence.
    #[arg(long, value_name = "N", default_value_t = 128)]
    seq_len: usize,
    /// A file of lengths, one a line, which the sequences take in turn, instead of --seq-len.
    #[arg(long, value_name = "FILE", conflicts_with = "seq_len")]
    lengths: Option<PathBuf>,
    /// Sequences a step.
    #[arg(long, value_name = "N", default_value_t = 8)]
    batch: usize,
    /// Measured steps, after two that warm up.
    #[arg(long, value_name = "N", default_value_t = 10)]
    steps: usize,
    /// Compute the values inside a layer again in the backward pass instead of keeping them.
    #[arg(long)]
    recompute: bool,
    /// What products are computed in; all but f32 need a GPU.
    #[arg(long, value_enum, default_value = "f32")]
    precision: PrecisionArg,
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PrecisionArg {
    /// f32 throughout.
    F32,
    /// f32, with products whose factors are rounded to tf32.
    Tf32,
    /// bf16, with weights and sums in f32.
    Bf16,
    /// f16, with weights and sums in f32.
    F16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WorkArg {
    /// Masked-language model and next sentence: forward, backward, clipping, update.
    Pretrain,
    /// A classifier: forward, backward, clipping, update.
    Finetune,
    /// Hidden states of all tokens, no gradients.
    Encode,
}

pub fn fill_mask(args: &FillMaskArgs, device: &Device) -> anyhow::Result<()> {
    let filled = fill_mask_with(&ModelFolder::find(&args.model)?, &args.text, args.top, device)?;
    if args.json { super::print_json(&filled) } else { Ok(write!(std::io::stdout(), "{filled}")?) }
}

pub fn export(args: &ExportArgs) -> anyhow::Result<()> {
    run_export(&args.checkpoint, &args.output)?;
    eprintln!("{}", args.output.display());
    Ok(())
}

pub fn bench(args: &BenchArgs, device: &Device) -> anyhow::Result<()> {
    let report = run_bench(&BenchOptions {
        model: args.model.clone(),
        work: match args.work {
            WorkArg::Pretrain => Work::Pretrain,
            WorkArg::Finetune => Work::Finetune,
            WorkArg::Encode => Work::Encode,
        },
        lengths: args.lengths.clone().map_or(Lengths::Fixed(args.seq_len), Lengths::File),
        batch: args.batch,
        steps: args.steps,
        recompute: args.recompute,
        precision: match args.precision {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::Tf32 => Precision::Tf32,
            PrecisionArg::Bf16 => Precision::Bf16,
            PrecisionArg::F16 => Precision::F16,
        },
        device: device.clone(),
    })?;
    eprintln!("{report}");
    if args.json {
        super::print_json(&report)?;
    }
    Ok(())
}
