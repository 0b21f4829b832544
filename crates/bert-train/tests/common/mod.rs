//! A small corpus, a small configuration and runs of the real binary.
#![allow(dead_code, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bert_train::Error;
use bert_train::config::PretrainConfig;
use bert_train::pretrain::{Report, Resume, RunOptions, pretrain};
use candle_core::Device;

/// Writes `documents` documents of invented sentences, a function of nothing but their number.
pub fn write_corpus(path: &Path, documents: usize) {
    let words = "river stone quiet garden winter letter window morning captain bridge silver answer evening market \
                 shadow island music summer paper voice"
        .split_whitespace()
        .collect::<Vec<_>>();
    let mut state = 7_u64;
    let mut next = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut text = String::new();
    for _ in 0..documents {
        let topic = next(words.len());
        for _ in 0..6 {
            let mut sentence = vec![words[topic]];
            sentence.extend((0..3 + next(6)).map(|_| words[next(words.len())]));
            text += &format!("{} .\n", sentence.join(" "));
        }
        text.push('\n');
    }
    fs::write(path, text).unwrap();
}

/// Writes a configuration of two short phases over the corpus at `corpus`; returns its path.
pub fn write_config(folder: &Path, corpus: &Path) -> PathBuf {
    let text = format!(
        r#"
seed = 3

[model]
preset = "tiny"
hidden_size = 32
num_attention_heads = 2
intermediate_size = 64
max_position_embeddings = 48

[data]
input = [{:?}]
vocab_size = 90
validation = 0.1

[optimizer]
lr = 2e-3

[schedule]
warmup_steps = 4

[[phase]]
seq_len = 24
steps = 40
batch = 8
micro_batch = 4
max_predictions = 4

[[phase]]
seq_len = 40
steps = 40
batch = 8
max_predictions = 6

[evaluation]
every = 15
examples = 20
log_every = 6

[checkpoint]
every = 8
keep = 3
"#,
        corpus.to_str().unwrap()
    );
    let path = folder.join("small.toml");
    fs::write(&path, text).unwrap();
    path
}

/// A temporary folder with a corpus and a configuration.
pub fn prepared() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus.txt");
    write_corpus(&corpus, 60);
    let config = write_config(folder.path(), &corpus);
    (folder, config)
}

/// The root of the project.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The binary, ready for arguments. Two threads: equal bytes are promised for a fixed number of them.
pub fn bert_train() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bert-train"));
    command.env("RAYON_NUM_THREADS", "2");
    command
}

/// Exit code and standard error.
pub fn code_and_message(output: &Output) -> (i32, String) {
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Every file below a folder with its bytes, in order of the paths.
pub fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The lines of metrics without their timings.
pub fn metrics(run: &Path) -> Vec<serde_json::Value> {
    fs::read_to_string(run.join("metrics.jsonl"))
        .unwrap()
        .lines()
        .map(|line| {
            let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
            value.as_object_mut().unwrap().remove("tokens_per_second");
            value
        })
        .collect()
}

/// A run in this process on the CPU, begun or gone on with; with `stop` interrupted after its first step.
pub fn run(config: &PretrainConfig, output: &Path, stop: bool) -> Result<Report, Error> {
    run_on(config, output, &Device::Cpu, stop)
}

/// [`run`] on a device.
pub fn run_on(config: &PretrainConfig, output: &Path, device: &Device, stop: bool) -> Result<Report, Error> {
    let options = RunOptions {
        output: output.to_owned(),
        resume: Resume::Auto,
        stop: Arc::new(AtomicBool::new(stop)),
        quiet: true,
        device: device.clone(),
    };
    pretrain(config.clone(), &options)
}
