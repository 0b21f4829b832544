//! Bad input to the real binary: one clear error, the right exit code, nothing that existed touched.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{bert_train, code_and_message, contents, prepared};

/// Runs `bert-train` with arguments; the code and message must be as given.
fn refused(args: &[&str], code: i32, words: &[&str]) {
    let output = bert_train().args(args).output().unwrap();
    let (found, message) = code_and_message(&output);
    assert_eq!(found, code, "{args:?}: {message}");
    for words in words {
        assert!(message.contains(words), "{args:?}: {words:?} is not in {message:?}");
    }
    assert!(output.stdout.is_empty(), "{args:?}: an error belongs on standard error");
    assert_eq!(
        message.lines().filter(|line| line.starts_with("error: ")).count(),
        1,
        "{args:?}: more than one error in {message:?}"
    );
    assert!(!message.contains("panicked"), "{args:?}: {message}");
}

fn pretrain(config: &Path, run: &Path, more: &[&str]) -> Vec<String> {
    let mut args = ["pretrain", "--config", config.to_str().unwrap(), "--output", run.to_str().unwrap()]
        .map(String::from)
        .to_vec();
    args.extend(more.iter().map(ToString::to_string));
    args
}

fn refused_run(args: &[String], code: i32, words: &[&str]) {
    refused(&args.iter().map(String::as_str).collect::<Vec<_>>(), code, words);
}

#[test]
fn configurations() {
    let (folder, config) = prepared();
    let run = folder.path().join("run");
    for (set, words) in [
        ("optimizer.lrr=1", "optimizer.lrr: there is no such key; did you mean `lr`?"),
        ("model.num_attention_heads=5", "5 heads do not divide hidden_size 32"),
        ("phase.1.seq_len=64", "64 is above model.max_position_embeddings 48"),
        ("model.vocab_size=10", "model.vocab_size: 10 is below the vocabulary's"),
    ] {
        refused_run(&pretrain(&config, &run, &["--set", set]), 2, &[words]);
    }
    refused(&["pretrain", "--config", "nothing"], 2, &["quickstart, tiny, mini"]);
    refused(&["pretrain"], 2, &["--config"]);
    for precision in ["tf32", "bf16", "f16"] {
        let (set, words) =
            (format!("precision={precision}"), format!("--device cpu: precision: {precision} is not to be had"));
        let other = folder.path().join(precision);
        refused_run(&pretrain(&config, &other, &["--set", &set]), 2, &[&words, "precision=f32"]);
        assert!(!other.exists(), "{precision} left a folder");
    }
    // The configurations that were refused before anything was built left no folder behind.
    for set in ["optimizer.lrr=1", "phase.0.steps=0"] {
        let other = folder.path().join("other");
        refused_run(&pretrain(&config, &other, &["--set", set]), 2, &[]);
        assert!(!other.exists());
    }
}

#[test]
fn corpora_and_vocabularies() {
    let (folder, config) = prepared();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let empty = write("empty.txt", b"\n\n");
    let one = write("one.txt", "a sentence of words .\nanother sentence of words .\n".repeat(20).as_bytes());
    let latin = write("latin.txt", b"first line\nna\xefve line\n");
    let vocabulary = write("vocab.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nriver\n");
    let set = |key: &str, value: &str| format!("{key}={value:?}");
    for (setting, code, words) in [
        (format!("data.input=[{empty:?}]"), 1, vec!["empty", "empty.txt"]),
        (format!("data.input=[{one:?}]"), 1, vec!["document"]),
        (format!("data.input=[{latin:?}]"), 1, vec!["latin.txt, line 2", "UTF-8"]),
        ("data.input=[\"no/such/file.txt\"]".into(), 2, vec!["no/such/file.txt"]),
        (set("data.tokenizer", &vocabulary), 2, vec!["vocab.txt", "[MASK] is missing"]),
    ] {
        let run = folder.path().join("run");
        refused_run(&pretrain(&config, &run, &["--set", &setting]), code, &words);
        // Nothing was built, so a corrected request can use the name.
        assert!(!run.exists(), "{setting} left a folder");
    }
}

#[test]
fn outputs_that_hold_something_are_not_touched() {
    let (folder, config) = prepared();
    let quick = ["--set", "phase.0.steps=6", "--set", "phase.1.steps=2"];

    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.txt"), "years of work").unwrap();
    let before = contents(&foreign);
    refused_run(&pretrain(&config, &foreign, &quick), 2, &["not a pre-training run", "choose another folder"]);
    assert_eq!(contents(&foreign), before);
    refused_run(&pretrain(&config, &foreign.join("thesis.txt"), &quick), 2, &["choose another"]);
    assert_eq!(contents(&foreign), before);

    let run = folder.path().join("run");
    let finished = bert_train().args(pretrain(&config, &run, &quick)).output().unwrap();
    assert!(finished.status.success(), "{}", code_and_message(&finished).1);
    let before = contents(&run);
    refused_run(&pretrain(&config, &run, &quick), 2, &["finished run"]);
    refused_run(&pretrain(&config, &run, &["--resume", "never"]), 2, &["finished run"]);
    let checkpoint = run.join("checkpoints/step-00000008");
    let (checkpoint, run_folder) = (checkpoint.to_str().unwrap(), run.to_str().unwrap());
    refused(&["export", "--checkpoint", checkpoint, "--output", run_folder], 2, &["exists already"]);
    refused(&["export", "--checkpoint", run_folder, "--output", "never-made"], 2, &["not a checkpoint"]);
    assert!(contents(&run) == before, "a refused request changed the run");
}

#[test]
fn a_changed_configuration_cannot_go_on_but_one_that_only_watches_can() {
    let (folder, config) = prepared();
    let run = folder.path().join("run");
    let whole = folder.path().join("whole");
    assert!(bert_train().args(pretrain(&config, &whole, &[])).output().unwrap().status.success());
    // An unfinished run: the finished one as it was at step 64.
    copy(&whole, &run);
    reopen(&run);
    fs::remove_dir_all(run.join("model")).unwrap();
    fs::remove_dir_all(run.join("checkpoints/step-00000080")).unwrap();
    let before = contents(&run);
    refused_run(
        &pretrain(&config, &run, &["--set", "optimizer.lr=1e-3", "--set", "phase.0.batch=16"]),
        2,
        &["optimizer.lr: 0.002 -> 0.001", "phase.0.batch: 8 -> 16", "old values"],
    );
    refused_run(&pretrain(&config, &run, &["--resume", "never"]), 2, &["not finished", "--resume auto"]);
    assert!(contents(&run) == before, "a refused request changed the run");

    // A flipped byte: an explicit request for that checkpoint fails ...
    let newest = run.join("checkpoints/step-00000072");
    let weights = newest.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let newest = newest.to_str().unwrap();
    let words = ["step-00000072: model.safetensors: its SHA-256 is not the manifest's", "damaged"];
    refused_run(&pretrain(&config, &run, &["--resume", newest]), 1, &words);
    refused(&["export", "--checkpoint", newest, "--output", "never-made"], 1, &words);
    assert!(!Path::new("never-made").exists());
    // ... and `auto` says so, and goes on from the one before, to the same end. What only watches may change.
    let output = bert_train().args(pretrain(&config, &run, &["--set", "checkpoint.keep=1"])).output().unwrap();
    let (code, message) = code_and_message(&output);
    assert_eq!(code, 0, "{message}");
    assert!(message.contains("warning: checkpoint") && message.contains("step-00000072"), "{message}");
    assert!(message.contains("going on from") && message.contains("step-00000064"), "{message}");
    let model = |run: &Path| fs::read(run.join("model/model.safetensors")).unwrap();
    assert!(model(&whole) == model(&run), "the weights differ");

    // No sound checkpoint at all is an error, not a new start.
    let lost = folder.path().join("lost");
    copy(&whole, &lost);
    reopen(&lost);
    for entry in fs::read_dir(lost.join("checkpoints")).unwrap() {
        fs::remove_file(entry.unwrap().path().join("optimizer.safetensors")).unwrap();
    }
    let output = bert_train().args(pretrain(&config, &lost, &[])).output().unwrap();
    let (code, message) = code_and_message(&output);
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("error: checkpoint") && message.contains("optimizer.safetensors"), "{message}");
}

/// Takes the mark of a finished run away.
fn reopen(run: &Path) {
    let file = run.join("run.json");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("\"finished\": true"));
    fs::write(&file, text.replace("\"finished\": true", "\"finished\": false")).unwrap();
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in contents(from) {
        let place = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    }
}

#[test]
fn models_texts_and_tasks() {
    let (folder, config) = prepared();
    let run = folder.path().join("run");
    let quick = ["--set", "phase.0.steps=6", "--set", "phase.1.steps=2"];
    assert!(bert_train().args(pretrain(&config, &run, &quick)).output().unwrap().status.success());
    let model = run.to_str().unwrap();

    refused(&["fill-mask", "--model", "./no/folder", "a [MASK]"], 2, &["./no/folder: there is no such folder"]);
    refused(&["fill-mask", "--model", model, "no mask here"], 2, &["holds no [MASK]"]);
    refused(&["fill-mask", "--model", model, &"[MASK] ".repeat(60)], 2, &["62 tokens, the model takes 48"]);
    refused(&["bench", "--model", "huge"], 2, &["tiny, mini"]);
    refused(&["bench", "--model", "tiny", "--steps", "0"], 2, &["--steps"]);

    let data = folder.path().join("tasks/SST-2");
    fs::create_dir_all(&data).unwrap();
    let tsv = "sentence\tlabel\nthe river is quiet\t1\nthe market is silver\t0\n";
    fs::write(data.join("train.tsv"), tsv).unwrap();
    fs::write(data.join("dev.tsv"), "sentence\tlabel\nthe river is quiet\n").unwrap();
    let data = folder.path().join("tasks");
    let data = data.to_str().unwrap();
    let out = folder.path().join("tuned");
    let out = out.to_str().unwrap();
    let finetune = |task: &str, more: &[&str], code: i32, words: &[&str]| {
        let mut args = vec!["finetune", "--task", task, "--model", model, "--data", data, "--output", out];
        args.extend(["--set", "max_seq_len=32"]);
        args.extend(more);
        refused(&args, code, words);
        assert!(!Path::new(out).exists(), "{args:?} left an output");
    };
    finetune("sst-2", &[], 1, &["dev.tsv, line 2", "column"]);
    finetune("sst-3", &[], 2, &["cola, sst-2, mrpc, sts-b"]);
    finetune("cola", &[], 2, &["train.tsv"]);
    finetune("sst-2", &["--set", "epochs=0"], 2, &["epochs: 0 is too few"]);
    finetune("sst-2", &["--set", "precision=bf16"], 2, &["--device cpu: precision: bf16 is not to be had"]);
    refused(&["bench", "--model", "tiny", "--precision", "f16"], 2, &["--device cpu: precision: f16 is not to be had"]);
    finetune("sst-2", &["--set", "max_seq_len=64"], 2, &["above the model's max_position_embeddings 48"]);
    refused(
        &["finetune", "--task", "sst-2", "--model", model, "--data", data, "--output", model],
        2,
        &["exists already"],
    );
    refused(&["evaluate", "--task", "sst-2", "--model", model, "--data", data], 2, &["fine-tune the model"]);
}

/// Two processes in one folder would tear each other's checkpoints.
#[test]
fn a_folder_in_use() {
    let (folder, config) = prepared();
    let run = folder.path().join("run");
    fs::create_dir(&run).unwrap();
    let held = fs::File::create(run.join(".lock")).unwrap();
    held.lock().unwrap();
    refused_run(&pretrain(&config, &run, &[]), 2, &["another process is training in this folder"]);
    assert_eq!(contents(&run).len(), 1);
}
