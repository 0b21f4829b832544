//! Training on a GPU beside the CPU. Skips with a line where there is none.
//!
//! `BERT_TEST_DEVICE` names another device than `cuda`. With `cpu` the tests are rehearsed: they compare the CPU with itself.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use bert_train::Error;
use bert_train::config::{Precision, PretrainConfig, Raw};
use candle_core::Device;
use common::{contents, prepared, run_on};
use serde::Deserialize;

/// The device to test; none where it is not there, which a line says.
fn gpu(test: &str) -> Option<Device> {
    let name = std::env::var("BERT_TEST_DEVICE").unwrap_or_else(|_| "cuda".into());
    bert_train::device::device(&name).inspect_err(|error| eprintln!("skipped {test}: {error}")).ok()
}

/// Loss and gradient norm of every line of training metrics.
fn losses(run: &Path) -> Vec<(f64, f64)> {
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let train = lines.filter(|line| line["kind"] == "train");
    train.map(|line| (line["loss"].as_f64().unwrap(), line["gradient_norm"].as_f64().unwrap())).collect()
}

fn close(a: f64, b: f64, share: f64) -> bool {
    (a - b).abs() <= share * b.abs()
}

#[test]
fn twenty_steps_beside_the_cpu() {
    let Some(device) = gpu("twenty_steps_beside_the_cpu") else { return };
    let (folder, config) = prepared();
    let overrides = ["phase.0.steps=12", "phase.1.steps=8", "evaluation.log_every=1", "schedule.warmup_steps=4"];
    let config = PretrainConfig::load(config.to_str().unwrap(), &overrides.map(String::from)).unwrap();
    let (cpu, gpu) = (folder.path().join("cpu"), folder.path().join("gpu"));
    run_on(&config, &cpu, &Device::Cpu, false).unwrap();
    run_on(&config, &gpu, &device, false).unwrap();
    let (cpu, gpu) = (losses(&cpu), losses(&gpu));
    assert_eq!((cpu.len(), gpu.len()), (20, 20));
    for (step, (cpu, gpu)) in cpu.iter().zip(&gpu).enumerate() {
        // Masks, dropout and order are the same, so only rounding differs, and twenty updates carry it on.
        let what = format!("step {}: loss and norm {gpu:?}, on the CPU {cpu:?}", step + 1);
        assert!(close(gpu.0, cpu.0, 1e-4) && close(gpu.1, cpu.1, 2e-3), "{what}");
    }
}

#[test]
fn stopped_and_resumed_the_bytes_are_the_same() {
    let Some(device) = gpu("stopped_and_resumed_the_bytes_are_the_same") else { return };
    let (folder, config) = prepared();
    let overrides = ["phase.0.steps=5", "phase.1.steps=4", "schedule.warmup_steps=2"];
    let config = PretrainConfig::load(config.to_str().unwrap(), &overrides.map(String::from)).unwrap();
    let [whole, again, pieces] = ["whole", "again", "pieces"].map(|name| folder.path().join(name));
    run_on(&config, &whole, &device, false).unwrap();
    run_on(&config, &again, &device, false).unwrap();
    for step in 1..9 {
        match run_on(&config, &pieces, &device, true) {
            Err(Error::Interrupted { step: at }) => assert_eq!(at, step),
            other => panic!("{other:?}"),
        }
    }
    run_on(&config, &pieces, &device, true).unwrap();
    let model = |run: &Path| contents(&run.join("model")).into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>();
    assert!(model(&whole) == model(&again), "a second run gives other weights");
    assert!(model(&whole) == model(&pieces), "a resumed run gives other weights");
}

/// One curve of `golden/parity.json`: mean losses of ten steps each.
#[derive(Deserialize)]
struct Curve {
    seed: u64,
    steps: Vec<u64>,
    loss: Vec<f64>,
    held_out_mlm_loss: f64,
}

/// The CPU's curves in f32, one a seed.
fn golden() -> Vec<Curve> {
    serde_json::from_str(include_str!("golden/parity.json")).unwrap()
}

/// How far apart seeds are at each point: the standard deviation, over that point and its neighbours.
fn spread(curves: &[Curve]) -> Vec<f64> {
    let points = curves[0].loss.len();
    let variance = |at: usize| {
        let mean = curves.iter().map(|curve| curve.loss[at]).sum::<f64>() / curves.len() as f64;
        curves.iter().map(|curve| (curve.loss[at] - mean).powi(2)).sum::<f64>() / (curves.len() - 1) as f64
    };
    let around = |at: usize| at.saturating_sub(1)..(at + 2).min(points);
    (0..points).map(|at| (around(at).map(variance).sum::<f64>() / around(at).len() as f64).sqrt()).collect()
}

/// What keeps `ours` from being the same training as `cpu`, the run of that seed: a point further away than two seeds may be from one
/// another, or all of them together on one side.
fn objection(ours: &[f64], cpu: &Curve, spread: &[f64]) -> Option<String> {
    let mut sum = 0.0;
    for (at, (ours, cpu_loss)) in ours.iter().zip(&cpu.loss).enumerate() {
        let deviations = (ours - cpu_loss) / spread[at];
        sum += deviations;
        if deviations.is_nan() || deviations.abs() > 2.0 {
            return Some(format!(
                "step {}: loss {ours:.4}, on the CPU {cpu_loss:.4} +- {:.4}",
                cpu.steps[at], spread[at]
            ));
        }
    }
    let mean = sum / cpu.loss.len() as f64;
    (mean.abs() > 0.5).then(|| format!("{mean:.2} standard deviations of seeds away from the CPU on average"))
}

fn parity_config(seed: u64, precision: Precision) -> PretrainConfig {
    let mut raw = Raw::parse(include_str!("golden/parity.toml"), "parity.toml".into()).unwrap();
    raw.set(&format!("seed={seed}")).unwrap();
    raw.set(&format!("precision={}", serde_json::to_value(precision).unwrap().as_str().unwrap())).unwrap();
    PretrainConfig::resolve(raw).unwrap()
}

fn curve_on(device: &Device, precision: Precision, cpu: &Curve, folder: &Path) -> (Vec<f64>, f64) {
    let output: PathBuf = folder.join(format!("{precision:?}"));
    let report = run_on(&parity_config(cpu.seed, precision), &output, device, false).unwrap();
    let ours = losses(&output).into_iter().map(|(loss, _)| loss).collect();
    (ours, report.held_out.mlm_loss)
}

#[test]
fn two_hundred_steps_in_f32_follow_the_cpu() {
    let Some(device) = gpu("two_hundred_steps_in_f32_follow_the_cpu") else { return };
    let (curves, folder) = (golden(), tempfile::tempdir().unwrap());
    let (ours, held_out) = curve_on(&device, Precision::F32, &curves[0], folder.path());
    eprintln!("f32: {ours:.4?}, held out {held_out:.4}; on the CPU {:.4}", curves[0].held_out_mlm_loss);
    // The first ten steps are nearly the same numbers.
    assert!(close(ours[0], curves[0].loss[0], 1e-4), "{} for {}", ours[0], curves[0].loss[0]);
    assert_eq!(objection(&ours, &curves[0], &spread(&curves)), None);
}

#[test]
fn two_hundred_steps_in_bf16_follow_the_cpu() {
    let test = "two_hundred_steps_in_bf16_follow_the_cpu";
    let Some(device) = gpu(test) else { return };
    if device.is_cpu() {
        return eprintln!("skipped {test}: the CPU trains in f32 only");
    }
    let (curves, folder) = (golden(), tempfile::tempdir().unwrap());
    let (ours, held_out) = curve_on(&device, Precision::Bf16, &curves[0], folder.path());
    eprintln!("bf16: {ours:.4?}, held out {held_out:.4}; on the CPU in f32 {:.4}", curves[0].held_out_mlm_loss);
    assert!(close(ours[0], curves[0].loss[0], 0.01), "{} for {}", ours[0], curves[0].loss[0]);
    assert_eq!(objection(&ours, &curves[0], &spread(&curves)), None);
}

/// What the two tests above would object to, which needs no GPU: a curve that learns a twentieth slower, one that is not a number at its
/// end, and every other seed's.
#[test]
fn the_comparison_can_fail() {
    let curves = golden();
    assert!(curves.len() >= 2 && curves[0].loss.len() == 20, "scripts/reference/parity_curves.py makes curves");
    let spread = spread(&curves);
    let first = &curves[0];
    assert_eq!(objection(&first.loss, first, &spread), None);
    let slower: Vec<f64> = first.loss.iter().map(|loss| first.loss[0] + 0.95 * (loss - first.loss[0])).collect();
    assert!(objection(&slower, first, &spread).is_some());
    let mut broken = first.loss.clone();
    broken[19] = f64::NAN;
    assert!(objection(&broken, first, &spread).is_some());
}

/// The configuration is one that the curves can have come from.
#[test]
fn the_curves_belong_to_the_configuration() {
    let config = parity_config(3, Precision::F32);
    assert_eq!((config.seed, config.total_steps(), config.evaluation.log_every), (3, 200, 10));
    for curve in golden() {
        assert_eq!(curve.steps, (1..=20).map(|i| 10 * i).collect::<Vec<_>>(), "seed {}", curve.seed);
    }
}
