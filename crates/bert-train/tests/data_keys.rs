//! Keys about examples: what they say must be what the data are, and batches by tokens.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use bert_data::build::{BuildOptions, build};
use bert_data::manifest::StaticMasks;
use bert_data::masking::{MaskKind, MaskingOptions};
use bert_data::progress::Silent;
use bert_data::vocab::{VocabOptions, train};
use bert_train::Error;
use bert_train::config::PretrainConfig;
use common::{metrics, prepared, run};

fn load(config: &Path, sets: &[&str]) -> Result<PretrainConfig, Error> {
    let mut all = vec!["phase.0.steps=5", "phase.1.steps=4", "schedule.warmup_steps=2", "evaluation.every=3"];
    all.extend(sets);
    PretrainConfig::load(config.to_str().unwrap(), &all.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// Datasets of both phases under `folder`, with masks drawn while building or without.
fn built(folder: &Path, masks: Option<MaskKind>) -> [PathBuf; 2] {
    let input = vec![folder.join("corpus.txt").to_str().unwrap().to_owned()];
    let vocabulary = VocabOptions { input: input.clone(), size: 90, ..VocabOptions::default() };
    let tokenizer = train(&vocabulary, &Silent).unwrap();
    [(24, 4), (40, 6)].map(|(seq_len, max_predictions)| {
        let masking = |kind| MaskingOptions { kind, max_predictions, ..MaskingOptions::default() };
        let output = folder.join(format!("{masks:?}-{seq_len}"));
        let options = BuildOptions {
            input: input.clone(),
            seq_len,
            validation: 0.1,
            static_masks: masks.map(|kind| StaticMasks { dupe_factor: 2, masking: masking(kind) }),
            output: output.clone(),
            ..BuildOptions::default()
        };
        build(&options, &tokenizer, &Silent).unwrap();
        output
    })
}

/// Settings that name the datasets.
fn of_data(data: &[PathBuf; 2]) -> [String; 2] {
    [0, 1].map(|phase| format!("phase.{phase}.data={:?}", data[phase].to_str().unwrap()))
}

/// A run stopped after each step ends with the bytes of one that was not.
fn resumes_exactly(config: &PretrainConfig, folder: &Path) {
    let (whole, pieces) = (folder.join("whole"), folder.join("pieces"));
    run(config, &whole, false).unwrap();
    for step in 1..9 {
        match run(config, &pieces, true) {
            Err(Error::Interrupted { step: at }) => assert_eq!(at, step),
            other => panic!("{other:?}"),
        }
    }
    run(config, &pieces, true).unwrap();
    let model = |run: &Path| fs::read(run.join("model/model.safetensors")).unwrap();
    assert!(model(&whole) == model(&pieces), "the weights differ");
    assert_eq!(metrics(&whole), metrics(&pieces));
}

/// The cursor that a checkpoint holds.
fn position(run: &Path, step: u64) -> u64 {
    let file = run.join(format!("checkpoints/step-{step:08}/state.json"));
    let state: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    state["state"]["cursor"]["position"].as_u64().unwrap()
}

#[test]
fn masks_drawn_while_building_are_asked_for_by_name() {
    let (folder, config) = prepared();
    let folder = folder.path();
    let config = |sets: &[&str], data: &[PathBuf; 2]| {
        let data = of_data(data);
        load(&config, &[&data.each_ref().map(String::as_str), sets].concat()).unwrap()
    };
    let (fixed, spans) = (built(folder, Some(MaskKind::Token)), built(folder, Some(MaskKind::Span)));
    let drawn = built(folder, None);
    for (sets, data, words) in [
        (&[][..], &fixed, &["phase.0.data", "drawn while it was built", "data.masking=\"static\""][..]),
        (&["masking.kind=span"], &fixed, &["data.masking=\"static\""]),
        (&["data.masking=static"], &drawn, &["phase.0.data", "no masks", "--masking static"]),
        (&["data.masking=static", "masking.kind=span"], &fixed, &["kind token", "masking.kind is span"]),
        (&["data.masking=static"], &spans, &["kind span", "masking.kind is token"]),
        (&["data.masking=static", "masking.rate=0.3"], &fixed, &["rate 0.15", "masking.rate is 0.3"]),
        (&["data.masking=static", "masking.random=0.2"], &fixed, &["random 0.1", "masking.random is 0.2"]),
        (&["data.masking=static", "phase.1.max_predictions=5"], &fixed, &["up to 6 masks", "max_predictions is 5"]),
        (&["data.pairing=full-sentences"], &drawn, &["examples are nsp", "data.pairing is full-sentences"]),
        (&["data.pairing=sop"], &drawn, &["examples are nsp", "data.pairing is sop"]),
    ] {
        let output = folder.join("refused");
        let error = run(&config(sets, data), &output, false).unwrap_err();
        assert!(error.is_request(), "{sets:?}: {error}");
        for word in words {
            assert!(error.to_string().contains(word), "{sets:?}: {word:?} is not in {error}");
        }
        assert!(!output.exists(), "{sets:?} left a folder");
    }
    resumes_exactly(&config(&["data.masking=static"], &fixed), folder);
}

#[test]
fn static_masks_cannot_be_built_by_a_run() {
    let (_folder, config) = prepared();
    let error = load(&config, &["data.masking=static"]).unwrap_err().to_string();
    assert!(error.contains("data.masking") && error.contains("phase.0 names no data"), "{error}");
    let error = load(&config, &["data.masking=statik"]).unwrap_err().to_string();
    assert!(error.contains("dynamic, static"), "{error}");
}

#[test]
fn a_checkpoint_holds_the_place_of_what_was_trained_on() {
    let (folder, config) = prepared();
    let output = folder.path().join("run");
    let config = load(&config, &[]).unwrap();
    for step in 1..5 {
        assert!(matches!(run(&config, &output, true), Err(Error::Interrupted { .. })));
        // Batches of 8, however many examples were made ahead by then.
        assert_eq!(position(&output, step), 8 * step);
    }
}

#[test]
fn batches_by_tokens_resume_exactly() {
    let (folder, config) = prepared();
    let sets =
        ["phase.0.batch_unit=tokens", "phase.0.batch=192", "phase.0.micro_batch=64", "phase.1.batch_unit=tokens"];
    let config = load(&config, &[&sets[..], &["phase.1.batch=200"]].concat()).unwrap();
    resumes_exactly(&config, folder.path());
}

#[test]
fn a_batch_by_tokens_must_hold_a_sequence() {
    let (_folder, config) = prepared();
    let refused = |sets: &[&str], words: &[&str]| {
        let error = load(&config, sets).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{sets:?}: {error}");
    };
    refused(&["phase.1.batch_unit=tokens"], &["phase.1.batch", "8 tokens", "a sequence of 40"]);
    refused(&["phase.1.batch_unit=tokens", "phase.1.batch=80", "phase.1.micro_batch=20"], &["20 tokens"]);
    refused(&["phase.1.batch_unit=token"], &["did you mean `tokens`"]);
}
