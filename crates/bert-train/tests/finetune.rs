//! Pre-training, fine-tuning, evaluation, filling and export through the real binary, on the embedded sample tasks.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{bert_train, code_and_message, prepared};
use serde_json::Value;

/// Runs the binary and returns the JSON object on its standard output.
fn json(args: &[&str]) -> Value {
    let output = bert_train().args(args).arg("--json").output().unwrap();
    let (code, message) = code_and_message(&output);
    assert_eq!(code, 0, "{args:?}: {message}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {message}"))
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn from_text_to_scores() {
    let (folder, config) = prepared();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = path("run");
    let report = json(&[
        "pretrain",
        "--config",
        config.to_str().unwrap(),
        "--output",
        &run,
        "--set",
        "data.input=[\"sample\"]",
        "--set",
        "data.vocab_size=1450",
        "--set",
        "phase.0.steps=20",
        "--set",
        "phase.1.steps=10",
    ]);
    assert_eq!(report["steps"], 30);
    assert!(report["held_out"]["mlm_loss"].as_f64().unwrap().is_finite());
    assert_eq!(report["filled"]["masks"][0].as_array().unwrap().len(), 5);
    // Known for examples of 32, 64 and 128 tokens, and these have up to 40.
    assert!(report["best_possible"].is_null());

    let filled = json(&["fill-mask", "--model", &run, "--top", "3", "The [MASK] was on the [MASK] ."]);
    assert_eq!(filled["masks"].as_array().unwrap().len(), 2);
    let probabilities: Vec<f64> =
        filled["masks"][1].as_array().unwrap().iter().map(|c| c["probability"].as_f64().unwrap()).collect();
    assert!(probabilities.windows(2).all(|pair| pair[0] >= pair[1]) && probabilities.iter().sum::<f64>() <= 1.0);

    // A checkpoint's model is the finished model: the last one was written at the last step.
    let exported = path("exported");
    let checkpoint = format!("{run}/checkpoints/step-00000030");
    let output = bert_train().args(["export", "--checkpoint", &checkpoint, "--output", &exported]).output().unwrap();
    assert!(output.status.success(), "{}", code_and_message(&output).1);
    let files = |folder: &str| {
        common::contents(Path::new(folder))
            .into_iter()
            .map(|(path, bytes)| (path.file_name().unwrap().to_owned(), bytes))
            .collect::<Vec<_>>()
    };
    assert!(files(&exported) == files(&format!("{run}/model")), "the exported folder differs from the run's model");

    for (task, metrics) in [
        ("cola", vec!["matthews"]),
        ("sst-2", vec!["accuracy"]),
        ("mrpc", vec!["f1", "accuracy"]),
        ("sts-b", vec!["pearson", "spearman"]),
    ] {
        let tuned = path(task);
        let report = json(&[
            "finetune",
            "--task",
            task,
            "--model",
            &run,
            "--data",
            "sample",
            "--output",
            &tuned,
            "--set",
            "epochs=2",
            "--set",
            "max_seq_len=48",
            "--set",
            "optimizer.lr=1e-3",
            "--set",
            "micro_batch=16",
        ]);
        let last = &report["epochs"][1];
        assert_eq!(last["examples"], 100);
        assert_eq!(report["train_examples"], 400);
        assert_eq!(*last, read_json(&Path::new(&tuned).join("results.json"))["epochs"][1]);
        assert_eq!(last["metrics"].as_array().unwrap().len(), metrics.len());
        for (metric, pair) in metrics.iter().zip(last["metrics"].as_array().unwrap()) {
            assert_eq!(pair[0], *metric);
        }
        // The saved model has the scores of the last epoch.
        let again = json(&["evaluate", "--task", task, "--model", &tuned, "--data", "sample", "--max-seq-len", "48"]);
        assert_eq!(again, *last, "{task}");
        let config = read_json(&Path::new(&tuned).join("model/config.json"));
        assert_eq!(config["architectures"][0], "BertForSequenceClassification");
        assert_eq!(config["id2label"].is_object(), task != "sts-b");
    }

    // Predictions for the dev sentences have the accuracy that was reported, and a regression gives scores.
    let dev = fs::read_to_string(common::repository().join("data/tasks/SST-2/dev.tsv")).unwrap();
    let (texts, gold): (Vec<_>, Vec<_>) = dev.lines().skip(1).map(|line| line.rsplit_once('\t').unwrap()).unzip();
    let input = path("texts");
    fs::write(&input, texts.join("\n")).unwrap();
    let predict = |model: &str, input: &str| {
        let output = bert_train().args(["predict", "--model", model, "--max-seq-len", "48", input]).output().unwrap();
        assert!(output.status.success(), "{}", code_and_message(&output).1);
        String::from_utf8(output.stdout).unwrap()
    };
    let predicted = predict(&path("sst-2"), &input);
    let right = predicted.lines().zip(&gold).filter(|(line, gold)| line.split('\t').next() == Some(gold)).count();
    let accuracy = right as f64 / gold.len() as f64;
    let reported = read_json(Path::new(&path("sst-2/results.json")))["epochs"][1]["metrics"][0][1].clone();
    assert_eq!(predicted.lines().count(), gold.len());
    assert!((accuracy - reported.as_f64().unwrap()).abs() < 1e-9, "{accuracy} predicted, {reported} reported");
    fs::write(&input, "a cat sleeps .\ta cat is asleep .\n").unwrap();
    assert!(predict(&path("sts-b"), &input).trim().parse::<f32>().unwrap().is_finite());
    let output = bert_train().args(["predict", "--model", &run, &input]).output().unwrap();
    let (code, message) = code_and_message(&output);
    assert!(code == 2 && message.contains("has no classifier"), "{code}: {message}");

    // Random weights: nothing is loaded, and the result is another one.
    let scratch = json(&[
        "finetune",
        "--task",
        "sst-2",
        "--model",
        &run,
        "--from-scratch",
        "--data",
        "sample",
        "--output",
        &path("scratch"),
        "--set",
        "epochs=2",
        "--set",
        "max_seq_len=48",
        "--set",
        "optimizer.lr=1e-3",
        "--set",
        "micro_batch=16",
    ]);
    assert_ne!(scratch["epochs"], read_json(Path::new(&path("sst-2/results.json")))["epochs"]);
}
