//! The program: what it prints where, and its exit codes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

struct Run {
    code: i32,
    out: String,
    err: String,
}

fn run(dir: &Path, arguments: &[&str]) -> Run {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_bert-data")).args(arguments).current_dir(dir).output().unwrap();
    Run {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// A folder with a corpus of both formats.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut wiki = String::new();
    let mut text = String::new();
    for i in 0..30 {
        let body = format!("The river number {i} is long. It flows to the sea. Boats go there, number {i} too.");
        wiki.push_str(&format!("<doc id=\"{i}\" url=\"u\" title=\"River {i}\">\nRiver {i}\n\n{body}\n</doc>\n"));
        text.push_str(&format!("Old tales speak of a king. He had {i} ships.\nThey all came home.\n\n"));
    }
    fs::create_dir_all(dir.path().join("wiki/AA")).unwrap();
    fs::write(dir.path().join("wiki/AA/wiki_00"), wiki).unwrap();
    fs::write(dir.path().join("tales.txt"), text).unwrap();
    dir
}

#[test]
fn from_text_to_a_verified_dataset() {
    let dir = folder();
    let d = dir.path();
    let vocab = run(d, &["vocab", "--input", "wiki", "tales.txt", "--size", "200", "--output", "vocab"]);
    assert_eq!(vocab.code, 0, "{}", vocab.err);
    assert!(vocab.out.starts_with("vocab: "), "{}", vocab.out);
    let build = [
        "build",
        "--input",
        "wiki",
        "--input",
        "*.txt",
        "--tokenizer",
        "vocab",
        "--seq-len",
        "32",
        "--validation",
        "0.2",
        "--output",
        "data",
    ];
    let built = run(d, &build);
    assert_eq!(built.code, 0, "{}", built.err);
    assert!(built.out.contains("train: ") && built.out.contains("validation: "), "{}", built.out);
    let again = run(d, &build);
    assert_eq!(again.code, 0);
    assert!(again.err.contains("up to date"), "{}", again.err);

    let inspect = run(d, &["inspect", "data", "--example", "3", "--epoch", "1"]);
    assert_eq!(inspect.code, 0);
    for part in ["A  [CLS]", "B  ", "[MASK](", "[SEP]", "to predict; B "] {
        assert!(inspect.out.contains(part), "`{part}` is not in {}", inspect.out);
    }
    let stats = run(d, &["stats", "data"]);
    assert_eq!(stats.code, 0);
    for part in ["documents", "60", "[UNK]", "bytes each"] {
        assert!(stats.out.contains(part), "`{part}` is not in {}", stats.out);
    }
    let verify = run(d, &["verify", "data"]);
    assert_eq!(verify.code, 0, "{}", verify.err);

    let ordered = run(d, &["inspect", "data", "--mask-kind", "permutation"]);
    assert!(ordered.code == 0 && ordered.out.contains("(#") && !ordered.out.contains("[MASK]"), "{}", ordered.out);
    for kind in ["token", "whole-word", "n-gram", "span", "frequency-weighted", "permutation"] {
        let bench = run(d, &["bench", "data", "--mask-kind", kind, "--seconds", "0.02", "--json"]);
        assert_eq!(bench.code, 0, "{}", bench.err);
        let rates: serde_json::Value = serde_json::from_str(&bench.out).unwrap();
        assert_eq!(rates["mask_kind"], kind);
        for way in ["one_core", "prefetched", "all_cores"] {
            assert!(rates[way].as_f64().unwrap() > 0.0, "{kind}: {rates}");
        }
    }
    let bench = run(d, &["bench", "data", "--seconds", "0.02"]);
    assert!(bench.out.contains("on one core, masks: token") && bench.out.lines().count() == 3, "{}", bench.out);

    let arrow = d.join("data/train-00000-of-00001.arrow");
    let mut bytes = fs::read(&arrow).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&arrow, bytes).unwrap();
    let verify = run(d, &["verify", "data"]);
    assert_eq!(verify.code, 1);
    assert!(verify.out.is_empty() && verify.err.contains("train-00000-of-00001.arrow"), "{}", verify.err);
}

#[test]
fn a_wrong_request_is_2_and_failed_work_is_1() {
    let dir = folder();
    let d = dir.path();
    assert_eq!(run(d, &["vocab", "--input", "wiki", "--size", "200", "--output", "vocab"]).code, 0);
    let expect = |code: i32, words: &str, arguments: &[&str]| {
        let run = run(d, arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.err);
        assert!(run.err.contains(words), "{arguments:?}: {}", run.err);
        assert!(run.out.is_empty(), "{arguments:?}: {}", run.out);
        // One error and not two; clap's own take several lines.
        assert_eq!(run.err.matches("error: ").count(), 1, "{}", run.err);
    };
    let build = ["build", "--tokenizer", "vocab", "--output", "data", "--input"];
    let with = |input: &'static str| [&build[..], &[input]].concat();
    expect(2, "--input", &["build", "--tokenizer", "vocab", "--output", "data"]);
    expect(
        2,
        "possible values: nsp, sop, full-sentences, doc-sentences",
        &[&with("wiki")[..], &["--pairing", "cbow"]].concat(),
    );
    expect(2, "--masking static", &[&with("wiki")[..], &["--dupe-factor", "5"]].concat());
    expect(2, "--masking static", &[&with("wiki")[..], &["--whole-word"]].concat());
    expect(
        2,
        "no target length",
        &[&with("wiki")[..], &["--short-seq-prob", "0.1", "--pairing", "doc-sentences"]].concat(),
    );
    expect(2, "raise it, or lower --workers", &[&with("wiki")[..], &["--memory", "100MiB"]].concat());
    expect(2, "is not a part", &[&with("wiki")[..], &["--part", "2/2"]].concat());
    expect(2, "missing.txt", &with("missing.txt"));
    expect(2, "seq-len", &[&with("wiki")[..], &["--seq-len", "2"]].concat());
    expect(2, "no such folder", &["build", "--tokenizer", "nowhere", "--output", "data", "--input", "wiki"]);
    fs::write(d.join("empty.txt"), "").unwrap();
    expect(1, "empty", &with("empty.txt"));
    fs::write(d.join("one.txt"), "One document.\n").unwrap();
    expect(1, "at least 2", &with("one.txt"));
    fs::write(d.join("latin.txt"), b"caf\xe9\n").unwrap();
    expect(1, "latin.txt, line 1: the byte at offset 3", &with("latin.txt"));
    assert!(!d.join("data").exists());
    expect(2, "exists already", &["vocab", "--input", "wiki", "--output", "vocab"]);
    expect(2, "manifest.json", &["inspect", "nowhere"]);
    assert_eq!(run(d, &with("wiki")).code, 0);
    expect(2, "counted from 0", &["inspect", "data", "--example", "9999999"]);
    expect(2, "seed is 0 there and 1 in this request", &[&with("wiki")[..], &["--seed", "1"]].concat());
    fs::write(d.join("nomask.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n").unwrap();
    expect(2, "[MASK] is missing", &["build", "--tokenizer", "nomask.txt", "--output", "x", "--input", "wiki"]);
}

#[test]
fn help_names_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    let help = run(dir.path(), &["--help"]);
    assert_eq!(help.code, 0);
    for command in ["vocab", "build", "merge", "inspect", "stats", "verify", "bench"] {
        assert!(help.out.contains(command));
    }
}
