//! Pre-training that starts from another model: the same vocabulary, a grown one, and what does not fit.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bert_data::progress::Silent;
use bert_data::tokenizer::Tokenizer;
use bert_data::vocab::{VocabOptions, train_to};
use bert_model::load_tensors;
use bert_train::Error;
use bert_train::config::PretrainConfig;
use bert_train::pretrain::{Report, Resume, RunOptions, pretrain};
use candle_core::Device;
use common::{contents, prepared};

/// One phase; `more` on top.
fn config(path: &Path, more: &[String]) -> PretrainConfig {
    let mut overrides =
        vec!["phase.1.steps=1".to_string(), "phase.0.steps=60".into(), "schedule.warmup_steps=2".into()];
    overrides.extend_from_slice(more);
    PretrainConfig::load(path.to_str().unwrap(), &overrides).unwrap()
}

/// Two steps at a rate that changes no weight: what the run reports is what it started from.
fn frozen(path: &Path, more: &[String]) -> PretrainConfig {
    let still = ["phase.0.steps=1", "schedule.warmup_steps=0", "optimizer.lr=1e-30"].map(String::from);
    config(path, &[&still, more].concat())
}

fn run(config: &PretrainConfig, output: &Path, stop: bool) -> Result<Report, Error> {
    let stop = Arc::new(AtomicBool::new(stop));
    pretrain(
        config.clone(),
        &RunOptions { output: output.to_owned(), resume: Resume::Auto, stop, quiet: true, device: Device::Cpu },
    )
}

fn set(key: &str, value: &Path) -> String {
    format!("{key}={:?}", value.to_str().unwrap())
}

/// A folder with a small configuration and a trained model, and that model's report.
fn parent() -> (tempfile::TempDir, PathBuf, PathBuf, Report) {
    let (folder, path) = prepared();
    let parent = folder.path().join("parent");
    let report = run(&config(&path, &[]), &parent, false).unwrap();
    (folder, path, parent, report)
}

/// The parent's vocabulary with pieces of another text behind it.
fn extended(folder: &Path, parent: &Path) -> PathBuf {
    let text = folder.join("field.txt");
    let line = "The rivergarden stonewinter answered; gardenstone and winterriver, β or so.\n";
    fs::write(&text, line.repeat(20)).unwrap();
    let old = parent.join("model");
    let size = Tokenizer::open(&old).unwrap().vocab_size() + 15;
    let input = vec![text.to_str().unwrap().to_string()];
    let mut options = VocabOptions { input, size, extend: Some(old), ..VocabOptions::default() };
    options.cleaning.duplicates = false;
    let output = folder.join("extended");
    train_to(&options, &output, false, &Silent).unwrap();
    output
}

#[test]
fn with_the_same_vocabulary_it_starts_where_the_model_ended() {
    let (folder, path, parent, report) = parent();
    let random = run(&frozen(&path, &[]), &folder.path().join("random"), false).unwrap();
    let child = run(&frozen(&path, &[set("init", &parent)]), &folder.path().join("child"), false).unwrap();
    assert_eq!(child.held_out.mlm_loss, report.held_out.mlm_loss);
    assert_eq!(child.held_out.nsp_loss, report.held_out.nsp_loss);
    assert!(child.held_out.mlm_loss < random.held_out.mlm_loss - 0.2, "no better than random weights");
}

#[test]
fn new_tokens_start_as_the_mean_of_their_pieces() {
    let (folder, path, parent, _) = parent();
    let vocabulary = extended(folder.path(), &parent);
    let more = [set("init", &parent), set("data.tokenizer", &vocabulary)];
    let child = folder.path().join("child");
    let report = run(&frozen(&path, &more), &child, false).unwrap();
    let random = [set("data.tokenizer", &vocabulary)];
    let random = run(&frozen(&path, &random), &folder.path().join("random"), false).unwrap();
    assert!(report.held_out.mlm_loss < random.held_out.mlm_loss - 0.2, "no better than random weights");

    let (old, new) = (Tokenizer::open(&parent.join("model")).unwrap(), Tokenizer::open(&vocabulary).unwrap());
    let tensor = |run: &Path, name: &str| load_tensors(&run.join("model")).unwrap().remove(name).unwrap();
    let words = |run: &Path| tensor(run, "bert.embeddings.word_embeddings.weight").to_vec2::<f32>().unwrap();
    let bias = |run: &Path| tensor(run, "cls.predictions.bias").to_vec1::<f32>().unwrap();
    let (before, after) = (words(&parent), words(&child));
    let (bias_before, bias_after) = (bias(&parent), bias(&child));
    assert_eq!((before.len(), after.len()), (old.vocab_size(), new.vocab_size()));
    assert!(before == after[..before.len()] && bias_before == bias_after[..before.len()], "old rows changed");

    let mut several = 0;
    for id in old.vocab_size()..new.vocab_size() {
        // A word's beginning is a text of its own; the library itself says how the old vocabulary cuts it.
        let token = new.decode_token(id as u32);
        if token.starts_with("##") {
            continue;
        }
        let pieces = old.encode_uncached(token);
        several += usize::from(pieces.len() > 1);
        let mean = |of: &dyn Fn(u32) -> f32| pieces.iter().map(|&piece| of(piece)).sum::<f32>() / pieces.len() as f32;
        for (column, value) in after[id].iter().enumerate() {
            let expected = mean(&|piece| before[piece as usize][column]);
            assert!((value - expected).abs() < 1e-6, "{token}: {value}, expected {expected}");
        }
        assert!((bias_after[id] - mean(&|piece| bias_before[piece as usize])).abs() < 1e-6, "{token}");
    }
    assert!(several > 3, "{:?}", &new.tokens()[old.vocab_size()..]);
    // What the old vocabulary could not read starts as the [UNK] that it was.
    let unknown = new.token_id("β").unwrap() as usize;
    assert_eq!(after[unknown], before[old.special().unk as usize]);
}

#[test]
fn a_stopped_run_goes_on_without_the_model_and_ends_with_the_same_bytes() {
    let (folder, path, parent, _) = parent();
    let config = config(&path, &["phase.0.steps=3".into(), set("init", &parent)]);
    let (whole, pieces) = (folder.path().join("whole"), folder.path().join("pieces"));
    run(&config, &whole, false).unwrap();
    assert!(matches!(run(&config, &pieces, true), Err(Error::Interrupted { step: 1 })));
    fs::remove_dir_all(&parent).unwrap();
    run(&config, &pieces, false).unwrap();
    let model = |run: &Path| fs::read(run.join("model/model.safetensors")).unwrap();
    assert!(model(&whole) == model(&pieces), "the weights differ");
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let (folder, path, parent, _) = parent();
    let other = folder.path().join("other");
    let refused = |more: &[String], words: &str| {
        let error = run(&frozen(&path, more), &other, false).unwrap_err();
        assert!(error.is_request() && error.to_string().contains(words), "{error}");
        assert!(!other.exists());
    };
    let init = set("init", &parent);
    refused(&[init.clone(), "model.hidden_size=64".into()], "hidden_size: 32 there, 64 here");
    refused(&["init=./nowhere/at/all".into()], "init ./nowhere/at/all: there is no such folder");

    // Two tokens that changed places.
    let before = contents(&parent);
    let moved = folder.path().join("moved.txt");
    let mut tokens = Tokenizer::open(&parent.join("model")).unwrap().tokens().to_vec();
    tokens.swap(20, 21);
    fs::write(&moved, tokens.join("\n")).unwrap();
    let words = format!("token 20 of its vocabulary is `{}`, and here it is `{}`", tokens[21], tokens[20]);
    refused(&[init.clone(), set("data.tokenizer", &moved)], &words);
    fs::write(&moved, tokens[..20].join("\n")).unwrap();
    refused(&[init, set("data.tokenizer", &moved)], "here it is missing");
    assert!(contents(&parent) == before, "the model changed");
}
