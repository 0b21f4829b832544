//! A run killed with SIGKILL and resumed ends with the bytes of one that never stopped.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{bert_train, code_and_message, contents, metrics, prepared};

/// Starts the run and kills it as soon as `moment` exists and `delay` has passed.
fn run_and_kill(config: &Path, run: &Path, moment: &Path, delay: Duration) {
    let mut child = bert_train()
        .args(["pretrain", "--config"])
        .arg(config)
        .arg("--output")
        .arg(run)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !moment.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{} never came", moment.display());
        assert!(child.try_wait().unwrap().is_none(), "ended before {}", moment.display());
        std::thread::sleep(Duration::from_micros(200));
    }
    std::thread::sleep(delay);
    child.kill().unwrap(); // SIGKILL
    let status = child.wait().unwrap();
    assert!(!status.success(), "the run ended before it was killed");
}

fn run_to_the_end(config: &Path, run: &Path) -> String {
    let output = bert_train().args(["pretrain", "--config"]).arg(config).arg("--output").arg(run).output().unwrap();
    let (code, message) = code_and_message(&output);
    assert_eq!(code, 0, "{message}");
    message
}

#[test]
fn killed_at_several_moments_and_resumed_the_bytes_are_the_same() {
    let (folder, config) = prepared();
    let undisturbed = folder.path().join("undisturbed");
    run_to_the_end(&config, &undisturbed);

    let killed = folder.path().join("killed");
    let step = |n: u64| killed.join(format!("checkpoints/step-{n:08}"));
    let none = Duration::ZERO;
    // While the data is built; in phase 1 just after a checkpoint; between two; around the phase boundary at step 40;
    // in phase 2.
    run_and_kill(&config, &killed, &killed.join("run.json"), none);
    run_and_kill(&config, &killed, &step(8), none);
    run_and_kill(&config, &killed, &step(24), Duration::from_millis(7));
    run_and_kill(&config, &killed, &step(40), none);
    run_and_kill(&config, &killed, &step(56), Duration::from_millis(3));
    let message = run_to_the_end(&config, &killed);
    assert!(message.contains("going on from"), "{message}");

    let relative = |run: &Path, below: &str| -> Vec<_> {
        let files = contents(&run.join(below));
        files.into_iter().map(|(path, bytes)| (path.strip_prefix(run).unwrap().to_owned(), bytes)).collect()
    };
    for below in ["model", "data"] {
        assert!(relative(&undisturbed, below) == relative(&killed, below), "{below} differs");
    }
    // The last checkpoint: moments and state too.
    assert!(
        relative(&undisturbed, "checkpoints/step-00000080") == relative(&killed, "checkpoints/step-00000080"),
        "the last checkpoint differs"
    );
    assert_eq!(metrics(&undisturbed), metrics(&killed));
}

#[test]
fn sigterm_writes_a_checkpoint_and_the_same_command_goes_on() {
    let (folder, config) = prepared();
    let run = folder.path().join("run");
    let mut child = bert_train()
        .args(["pretrain", "--set", "phase.1.steps=100000", "--config"])
        .arg(&config)
        .arg("--output")
        .arg(&run)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !run.join("checkpoints/step-00000048").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "the checkpoint never came");
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let output = {
        child.wait().unwrap();
        child.wait_with_output().unwrap()
    };
    let (code, message) = code_and_message(&output);
    assert_eq!(code, 1, "{message}");
    let step: u64 = message
        .split("stopped by a signal after step ")
        .nth(1)
        .and_then(|rest| rest.split(';').next())
        .and_then(|step| step.parse().ok())
        .unwrap_or_else(|| panic!("{message}"));
    assert!(run.join(format!("checkpoints/step-{step:08}/manifest.json")).exists());
}
