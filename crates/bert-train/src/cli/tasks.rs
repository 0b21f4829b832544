//! `bert-train finetune`, `evaluate` and `predict`.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::PathBuf;

use bert_data::tasks::{Task, TaskSplit};
use bert_train::config::FinetuneConfig;
use bert_train::finetune::{self, FinetuneOptions, TaskInputs, evaluate_folder};
use bert_train::model_folder::ModelFolder;
use bert_train::predict::{Predictor, read_texts};
use candle_core::Device;
use clap::{Args, ValueEnum};

/// Fine-tune a model on a task and save it, with dev scores after every epoch.
///
/// The result is the score after the last epoch; the best epoch's is printed beside it.
#[derive(Debug, Args)]
pub struct FinetuneArgs {
    /// cola, sst-2, mrpc or sts-b.
    #[arg(long)]
    task: String,
    /// A model folder in Hugging Face's layout, the folder of a pre-training run, or an id on the Hugging Face Hub.
    #[arg(long, value_name = "DIR|HUB-ID")]
    model: String,
    /// Folder with the task's official TSV files, or with the task's folder in it; `sample` is the embedded sample.
    #[arg(long, value_name = "DIR")]
    data: String,
    /// A built-in configuration (default) or a TOML file.
    #[arg(long, value_name = "NAME|FILE", default_value = "default")]
    config: String,
    /// Override a key of the configuration, such as optimizer.lr=3e-5 or epochs=4. Can be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The new folder: the model goes to RUN/model, the scores to RUN/results.json.
    #[arg(long, value_name = "RUN")]
    output: PathBuf,
    /// Take only the shape and the vocabulary of the model and start from random weights, for comparison.
    #[arg(long)]
    from_scratch: bool,
    /// Print the result as one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Score a fine-tuned model on a task with its official metrics.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// cola, sst-2, mrpc or sts-b.
    #[arg(long)]
    task: String,
    /// The folder of a fine-tuning run or of its model, or an id on the Hugging Face Hub.
    #[arg(long, value_name = "DIR|HUB-ID")]
    model: String,
    /// Folder with the task's official TSV files, or with the task's folder in it; `sample` is the embedded sample.
    #[arg(long, value_name = "DIR")]
    data: String,
    /// Which labelled file to score.
    #[arg(long, value_enum, default_value = "dev")]
    split: Split,
    /// Longest input in tokens.
    #[arg(long, value_name = "N", default_value_t = 128)]
    max_seq_len: usize,
    /// Print the scores as one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Print what a fine-tuned model says of texts: one line each, the label and its probability, or the score.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// The folder of a fine-tuning run or of its model, or an id on the Hugging Face Hub.
    #[arg(long, value_name = "DIR|HUB-ID")]
    model: String,
    /// Texts, one a line, with a tab between the two of a pair; `-` is standard input.
    #[arg(default_value = "-")]
    input: PathBuf,
    /// Longest input in tokens; what is longer is cut.
    #[arg(long, value_name = "N", default_value_t = 128)]
    max_seq_len: usize,
    /// Print one JSON object a line, with the logits.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Split {
    Train,
    Dev,
}

pub fn finetune(args: &FinetuneArgs, device: &Device) -> anyhow::Result<()> {
    let config = FinetuneConfig::load(&args.config, &args.set)?;
    let options = FinetuneOptions {
        task: Task::from_name(&args.task).map_err(bert_train::Error::from)?,
        inputs: TaskInputs::from_argument(&args.data),
        model: ModelFolder::find(&args.model)?,
        from_scratch: args.from_scratch,
        output: args.output.clone(),
        quiet: false,
        device: device.clone(),
    };
    let report = finetune::finetune(&config, &options)?;
    eprintln!("\n{report}");
    if args.json {
        super::print_json(&report)?;
    }
    Ok(())
}

pub fn evaluate(args: &EvaluateArgs, device: &Device) -> anyhow::Result<()> {
    let task = Task::from_name(&args.task).map_err(bert_train::Error::from)?;
    let inputs = TaskInputs::from_argument(&args.data);
    let split = match args.split {
        Split::Train => TaskSplit::Train,
        Split::Dev => TaskSplit::Dev,
    };
    let folder = ModelFolder::find(&args.model)?;
    let scores = evaluate_folder(&folder, task, inputs, split, args.max_seq_len, device)?;
    eprintln!("{}: {scores}", task.folder());
    if args.json {
        super::print_json(&scores)?;
    }
    Ok(())
}

pub fn predict(args: &PredictArgs, device: &Device) -> anyhow::Result<()> {
    let predictor = Predictor::open(&ModelFolder::find(&args.model)?, args.max_seq_len, device)?;
    let texts = if args.input.as_os_str() == "-" {
        read_texts(std::io::stdin().lock(), &args.input)?
    } else {
        let doing = "read the texts";
        let file = File::open(&args.input).map_err(|source| bert_train::Error::Io {
            path: args.input.clone(),
            doing,
            source,
        })?;
        read_texts(BufReader::new(file), &args.input)?
    };
    let mut out = std::io::stdout().lock();
    for prediction in predictor.predict(&texts)? {
        match args.json {
            true => writeln!(out, "{}", serde_json::to_string(&prediction)?)?,
            false => writeln!(out, "{prediction}")?,
        }
    }
    Ok(())
}
