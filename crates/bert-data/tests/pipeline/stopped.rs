//! Builds that are stopped: killed at any moment, out of room, begun with other settings.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::corpus::{Draws, bytes_of};

/// A folder with a corpus of about `megabytes` and a vocabulary.
fn folder(megabytes: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut draws = Draws(7);
    let mut text = String::new();
    while text.len() < megabytes << 20 {
        for _ in 0..1 + draws.below(60) {
            for _ in 0..1 + draws.below(20) {
                text.push_str(&format!("w{} ", draws.below(900)));
            }
            text.push('\n');
        }
        text.push('\n');
    }
    fs::write(dir.path().join("corpus.txt"), text).unwrap();
    let mut vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n".to_string();
    (0..900).for_each(|i| vocabulary.push_str(&format!("w{i}\n")));
    fs::write(dir.path().join("vocab.txt"), vocabulary).unwrap();
    dir
}

/// Begins a build with little memory, so that it commits often.
fn start(dir: &Path, output: &Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_bert-data"))
        .args(["build", "--input", "corpus.txt", "--tokenizer", "vocab.txt", "--sentences", "lines"])
        .args(["--memory", "160MiB", "--workers", "2", "--shards", "9", "--validation", "0.1", "--output"])
        .arg(output)
        .args(more)
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for its end; gives the exit code and what it said.
fn end(child: Child) -> (i32, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap())
}

/// Kills a build after this time; false when it had ended before.
fn kill_after(mut child: Child, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    while Instant::now() < until {
        if child.try_wait().unwrap().is_some() {
            let (code, err) = end(child);
            assert_eq!(code, 0, "{err}");
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

#[test]
fn killed_at_ten_random_moments_and_resumed_it_ends_with_the_same_bytes() {
    let seed = std::env::var("BERT_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("BERT_KILL_SEED={seed}");
    let mut draws = Draws(seed);
    let dir = folder(12);
    let d = dir.path();
    let out = d.join("out");
    let begin = Instant::now();
    let (code, err) = end(start(d, &d.join("undisturbed"), &[]));
    assert_eq!(code, 0, "{err}");
    let mut whole = begin.elapsed();
    let expected = bytes_of(&d.join("undisturbed"));

    let (mut went_on, mut kills) = (0, 0);
    while kills < 10 {
        // One moment in each tenth of the build's time.
        let moment = whole.mul_f64((f64::from(kills) + draws.below(1000) as f64 / 1000.0) / 10.0);
        if !kill_after(start(d, &out, &["--resume"]), moment) {
            // The machine was slower before; the bytes are looked at all the same.
            assert!(bytes_of(&out) == expected, "other bytes without a kill");
            fs::remove_dir_all(&out).unwrap();
            whole = whole.mul_f64(0.9);
            continue;
        }
        kills += 1;
        println!("kill {kills} after {moment:?} of {whole:?}");
        went_on += usize::from(d.join(".out.partial/state.json").is_file());
        assert!(!out.exists() || bytes_of(&out) == expected, "an output that is not whole");
        // Every second time the resumed build is killed too.
        if kills % 2 == 0 {
            kill_after(start(d, &out, &["--resume"]), whole.mul_f64(draws.below(1000) as f64 / 1500.0));
        }
        let (code, err) = end(start(d, &out, &["--resume"]));
        assert_eq!(code, 0, "{err}");
        assert!(bytes_of(&out) == expected, "other bytes after kill {kills}");
        assert!(!d.join(".out.partial").exists(), "temporary files were left behind");
        fs::remove_dir_all(&out).unwrap();
    }
    assert!(went_on > 0, "no kill left anything to go on from");
}

#[test]
fn finished_files_are_not_made_again() {
    let dir = folder(1);
    let d = dir.path();
    assert_eq!(end(start(d, &d.join("undisturbed"), &[])).0, 0);
    let expected = bytes_of(&d.join("undisturbed"));

    // A build stopped behind its third file: the work folder as it is then.
    let partial = d.join(".out.partial");
    let mut child = start(d, &d.join("out"), &["--resume"]);
    let third = partial.join("dataset/train-00002-of-00009.arrow");
    while !third.exists() {
        if child.try_wait().unwrap().is_some() {
            // Too quick to be stopped there on this machine; the kills above have seen such places.
            println!("skipped: finished_files_are_not_made_again: the build ended before it could be stopped");
            return;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let first = partial.join("dataset/train-00000-of-00009.arrow");
    if !first.exists() {
        println!("skipped: finished_files_are_not_made_again: the build ended before it could be stopped");
        return;
    }
    let before = fs::metadata(&first).unwrap().modified().unwrap();

    // Without --resume, and with other settings, it says what there is and touches nothing.
    for (more, words) in [
        (vec![], "holds an interrupted build"),
        (vec!["--resume", "--seed", "5"], "seed is 0 there and 5 in this request"),
        (vec!["--resume", "--pairing", "sop"], "pairing is \"nsp\" there and \"sop\" in this request"),
        (vec!["--resume", "--shard-size", "1MiB"], "shard-size"),
    ] {
        let (code, err) = end(start(d, &d.join("out"), &more));
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(words) && err.contains("--resume"), "{err}");
    }
    let (code, err) = end(start(d, &d.join("out"), &["--resume"]));
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("files from before") && err.contains("tokenized before"), "{err}");
    assert_eq!(fs::metadata(d.join("out/train-00000-of-00009.arrow")).unwrap().modified().unwrap(), before);
    assert!(bytes_of(&d.join("out")) == expected);
}

#[test]
fn a_corpus_that_changed_in_between_is_refused() {
    let dir = folder(3);
    let d = dir.path();
    let mut child = start(d, &d.join("out"), &[]);
    while !d.join(".out.partial/state.json").is_file() {
        assert!(child.try_wait().unwrap().is_none(), "the build ended before it could be stopped");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let text = fs::read_to_string(d.join("corpus.txt")).unwrap();
    fs::write(d.join("corpus.txt"), &text[..text.len() / 2]).unwrap();
    let (code, err) = end(start(d, &d.join("out"), &["--resume"]));
    assert_eq!(code, 2);
    assert!(err.contains("corpus.txt has changed"), "{err}");
}

/// A small file system of its own, where this user may make one.
#[cfg(target_os = "linux")]
struct SmallDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount(dir: &Path, options: &str) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success())
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_clear_error_and_keeps_what_is_finished() {
    let dir = folder(3);
    let d = dir.path();
    assert_eq!(end(start(d, &d.join("undisturbed"), &[])).0, 0);
    let expected = bytes_of(&d.join("undisturbed"));
    let disk = SmallDisk(tempfile::tempdir().unwrap());
    // Room for the ids, but not for the examples made of them as well.
    if !SmallDisk::mount(disk.0.path(), "size=3m") {
        println!("skipped: a_full_disk_is_a_clear_error_and_keeps_what_is_finished: mounting a tmpfs is not permitted");
        return;
    }
    let out = disk.0.path().join("out");
    let (code, err) = end(start(d, &out, &[]));
    assert_eq!(code, 1, "{err}");
    for words in ["No space left", "What is finished is kept", "--resume"] {
        assert!(err.contains(words), "`{words}` is not in {err}");
    }
    assert!(!out.exists());
    let kept = disk.0.path().join(".out.partial/dataset/train-00000-of-00009.arrow");
    assert!(kept.is_file(), "the first file was not kept: {err}");
    assert!(SmallDisk::mount(disk.0.path(), "remount,size=64m"));
    let (code, err) = end(start(d, &out, &["--resume"]));
    assert_eq!(code, 0, "{err}");
    assert!(bytes_of(&out) == expected);
}
