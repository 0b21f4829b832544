//! The training loop in one process: interruption after every step, accumulation, what is written.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use bert_data::loader::MaskedExample;
use bert_model::{BertConfig, BertForPreTraining, Pass, backward};
use bert_train::Error;
use bert_train::config::{OptimizerKind, PretrainConfig};
use bert_train::pretrain::{Targets, collate};
use candle_core::Device;
use common::{contents, metrics, prepared, run};

fn short(config: &Path) -> PretrainConfig {
    let overrides = ["phase.0.steps=5", "phase.1.steps=4", "schedule.warmup_steps=2", "evaluation.every=3"];
    PretrainConfig::load(config.to_str().unwrap(), &overrides.map(String::from)).unwrap()
}

#[test]
fn stopped_after_every_step_a_run_ends_with_the_same_bytes() {
    stop_after_every_step(OptimizerKind::Adamw);
}

#[test]
fn so_does_a_run_with_lamb() {
    stop_after_every_step(OptimizerKind::Lamb);
}

fn stop_after_every_step(kind: OptimizerKind) {
    let (folder, config) = prepared();
    let mut config = short(&config);
    config.optimizer.kind = kind;
    let (whole, pieces) = (folder.path().join("whole"), folder.path().join("pieces"));
    run(&config, &whole, false).unwrap();
    // The ninth step is the last, and a run that reaches its end is finished whatever signal came.
    for step in 1..9 {
        match run(&config, &pieces, true) {
            Err(Error::Interrupted { step: at }) => assert_eq!(at, step),
            other => panic!("{other:?}"),
        }
    }
    run(&config, &pieces, true).unwrap();
    let model = |run: &Path| fs::read(run.join("model/model.safetensors")).unwrap();
    assert!(model(&whole) == model(&pieces), "the weights differ");
    assert_eq!(metrics(&whole), metrics(&pieces));
}

#[test]
fn the_seed_and_nothing_else_makes_the_difference() {
    let (folder, config) = prepared();
    let mut config = short(&config);
    let model = |run: &str| fs::read(folder.path().join(run).join("model/model.safetensors")).unwrap();
    for name in ["a", "b"] {
        run(&config, &folder.path().join(name), false).unwrap();
    }
    config.seed += 1;
    run(&config, &folder.path().join("c"), false).unwrap();
    assert!(model("a") == model("b"), "the same seed gave other weights");
    assert!(model("a") != model("c"), "another seed gave the same weights");
}

#[test]
fn only_the_newest_checkpoints_stay_and_nothing_is_left_aside() {
    let (folder, config) = prepared();
    let mut config = short(&config);
    (config.checkpoint.every, config.checkpoint.keep) = (1, 2);
    let output = folder.path().join("run");
    run(&config, &output, false).unwrap();
    let mut names: Vec<_> = fs::read_dir(output.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["step-00000008", "step-00000009"]);
}

#[test]
fn an_interrupted_save_is_not_seen_and_does_not_stand_in_the_way() {
    let (folder, config) = prepared();
    let config = short(&config);
    let (whole, torn) = (folder.path().join("whole"), folder.path().join("torn"));
    run(&config, &whole, false).unwrap();
    assert!(matches!(run(&config, &torn, true), Err(Error::Interrupted { step: 1 })));
    // What a kill in the middle of the next save leaves: some files of it, under a hidden name.
    let aside = torn.join("checkpoints/.partial-step-00000002");
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("model.safetensors"), b"half of it").unwrap();
    // And a torn line of metrics.
    let lines = fs::read_to_string(torn.join("metrics.jsonl")).unwrap();
    fs::write(torn.join("metrics.jsonl"), lines + "{\"kind\":\"tra").unwrap();
    assert!(matches!(run(&config, &torn, true), Err(Error::Interrupted { step: 2 })));
    assert!(!aside.exists());
    run(&config, &torn, false).unwrap();
    let model = |run: &Path| contents(&run.join("model")).into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>();
    assert!(model(&whole) == model(&torn), "the weights differ");
    assert_eq!(metrics(&whole), metrics(&torn));
}

#[test]
fn a_checkpoint_that_cannot_be_written_costs_none_that_was() {
    let (folder, config) = prepared();
    let config = short(&config);
    let output = folder.path().join("run");
    assert!(matches!(run(&config, &output, true), Err(Error::Interrupted { step: 1 })));
    let before = contents(&output.join("checkpoints"));
    // A file where the folder has to be made: as good as a full disk.
    let obstacle = output.join("checkpoints/.partial-step-00000002");
    fs::write(&obstacle, "in the way").unwrap();
    let error = run(&config, &output, true).unwrap_err();
    assert!(!error.is_request() && error.to_string().contains(".partial-step-00000002"), "{error}");
    fs::remove_file(obstacle).unwrap();
    assert!(contents(&output.join("checkpoints")) == before, "the first checkpoint changed");
    run(&config, &output, false).unwrap();
}

#[test]
fn datasets_built_before_give_the_run_that_builds_them_itself() {
    let (folder, config) = prepared();
    let mut config = short(&config);
    let (own, given) = (folder.path().join("own"), folder.path().join("given"));
    run(&config, &own, false).unwrap();
    // The vocabulary comes with the datasets.
    config.data.input.clear();
    for (phase, name) in config.phase.iter_mut().zip(["seq-24", "seq-40"]) {
        phase.data = Some(own.join("data").join(name).to_str().unwrap().to_owned());
    }
    run(&config, &given, false).unwrap();
    let model = |run: &Path| fs::read(run.join("model/model.safetensors")).unwrap();
    assert!(model(&own) == model(&given), "the weights differ");

    // Examples longer than the phase, or of another vocabulary, are refused.
    config.phase.swap(0, 1);
    config.phase[0].seq_len = 24;
    let error = run(&config, &folder.path().join("long"), false).unwrap_err();
    assert!(error.is_request() && error.to_string().contains("up to 40 tokens"), "{error}");
}

/// Gradients of one batch in one piece and in three differ by rounding only. Dropout is off: it is a function of the
/// forward pass's number, and so of the pieces.
#[test]
fn accumulated_gradients_are_those_of_the_whole_batch() {
    let config = BertConfig {
        vocab_size: 50,
        hidden_size: 32,
        num_attention_heads: 2,
        intermediate_size: 48,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        initializer_range: 0.1,
        ..BertConfig::preset("tiny").unwrap()
    };
    // Unequal lengths and numbers of targets: a mean of means would differ.
    let batch: Vec<MaskedExample> = (0..6_u32)
        .map(|i| {
            let length = 6 + 2 * i;
            let positions: Vec<u32> = (1..=1 + i % 4).collect();
            MaskedExample {
                input_ids: (0..length).map(|at| (7 * i + 3 * at) % 50).collect(),
                second_start: length as usize / 2,
                labels: positions.iter().map(|at| (11 * at + i) % 50).collect(),
                positions,
                ranks: Vec::new(),
                pair_label: Some(i % 2 == 0),
            }
        })
        .collect();
    let targets = Targets::of(&batch);
    assert_eq!(targets, Targets { mlm: 1 + 2 + 3 + 4 + 1 + 2, nsp: 6 });
    let gradients = |micro_batch: usize| {
        let model = BertForPreTraining::new(&config, 5, &Device::Cpu).unwrap();
        for micro in batch.chunks(micro_batch) {
            let parts = model.loss(&collate(micro), &Pass::train(5, 0)).unwrap();
            backward(&targets.normalise(&parts).unwrap(), model.parameters()).unwrap();
        }
        model.parameters().gradients().unwrap()
    };
    for ((name, whole), (_, pieces)) in gradients(6).iter().zip(&gradients(2)) {
        let whole = whole.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let pieces = pieces.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let scale = whole.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(scale > 0.0, "{name} has no gradient");
        for (a, b) in whole.iter().zip(&pieces) {
            // The gradient of a key bias is zero but for rounding.
            assert!((a - b).abs() <= 2e-5 * scale + 1e-8, "{name}: {a} and {b}");
        }
    }
}
