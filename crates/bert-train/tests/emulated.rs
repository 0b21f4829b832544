//! Whole runs through the CUDA forms, their kernels emulated: training in bf16 and f16 follows f32, and resumes to the bit.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use bert_kernels::emulated;
use bert_train::Error;
use bert_train::config::PretrainConfig;
use common::{metrics, prepared, run};

fn config(file: &Path, precision: &str) -> PretrainConfig {
    let overrides = ["phase.0.steps=3", "phase.1.steps=2", "schedule.warmup_steps=1", "evaluation.every=0"];
    let mut overrides = overrides.map(String::from).to_vec();
    overrides.extend(
        ["evaluation.examples=2", "evaluation.log_every=1", &format!("precision={precision}")].map(String::from),
    );
    PretrainConfig::load(file.to_str().unwrap(), &overrides).unwrap()
}

/// Loss and norm of the gradient after every step.
fn curve(run: &Path) -> Vec<[f64; 2]> {
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let numbers = |line: serde_json::Value| ["loss", "gradient_norm"].map(|key| line[key].as_f64().unwrap());
    lines.filter(|line| line["kind"] == "train").map(numbers).collect()
}

#[test]
fn runs_follow_f32_and_resume_to_the_bit() {
    let (folder, file) = prepared();
    let wide = folder.path().join("f32");
    run(&config(&file, "f32"), &wide, false).unwrap();
    for (precision, tolerance) in [("bf16", 0.03), ("f16", 0.01)] {
        let config = config(&file, precision);
        let (whole, pieces) = (folder.path().join(precision), folder.path().join(format!("{precision}-pieces")));
        let Some(report) = emulated(|| run(&config, &whole, false)) else { return };
        assert_eq!(report.unwrap().skipped, 0, "{precision}");
        let curves = [curve(&whole), curve(&wide)];
        assert_eq!(curves.each_ref().map(Vec::len), [5, 5]);
        for (step, (narrow, wide)) in curves[0].iter().zip(&curves[1]).enumerate() {
            for (narrow, wide) in narrow.iter().zip(wide) {
                assert!((narrow / wide - 1.0).abs() < tolerance, "{precision}, step {}: {narrow} for {wide}", step + 1);
            }
        }
        for step in [1, 2] {
            let stopped = emulated(|| run(&config, &pieces, true)).unwrap();
            assert!(matches!(stopped, Err(Error::Interrupted { step: at }) if at == step), "{precision}");
        }
        emulated(|| run(&config, &pieces, false)).unwrap().unwrap();
        let model = |run: &Path| fs::read(run.join("model/model.safetensors")).unwrap();
        assert!(model(&whole) == model(&pieces), "{precision}: the weights differ");
        assert_eq!(metrics(&whole), metrics(&pieces), "{precision}");
    }
}
