//! The official files of the tasks, where they are at hand.

use std::path::{Path, PathBuf};

use bert_data::tasks::{Label, Task, TaskSplit, read};

fn tasks_folder(test: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("BERT_SHARED_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = shared.join("tasks");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {test}: {} is missing; set BERT_SHARED_DATA", folder.display());
    None
}

#[test]
fn the_official_files_have_their_official_numbers_of_examples() {
    let Some(dir) = tasks_folder("the_official_files_have_their_official_numbers_of_examples") else {
        return;
    };
    // Sizes from Wang et al. 2018 (GLUE), table 1, and the files' own line counts.
    for (task, train, dev, test) in [
        (Task::Cola, 8551, 1043, 1063),
        (Task::Sst2, 67_349, 872, 1821),
        (Task::Mrpc, 3668, 408, 1725),
        (Task::StsB, 5749, 1500, 1379),
    ] {
        for (split, expected) in [(TaskSplit::Train, train), (TaskSplit::Dev, dev), (TaskSplit::Test, test)] {
            let examples = read(task, split, &dir).unwrap();
            assert_eq!(examples.len(), expected, "{task:?} {split:?}");
            assert!(examples.iter().all(|e| e.label.is_some() == (split != TaskSplit::Test)));
            assert!(examples.iter().all(|e| e.text_b.is_some() == task.is_pair() && !e.text_a.trim().is_empty()));
        }
    }
    let mrpc = read(Task::Mrpc, TaskSplit::Train, &dir).unwrap();
    assert!(mrpc[0].text_a.starts_with("Amrozi accused his brother , whom he called \" the witness \""));
    assert_eq!(mrpc[0].label, Some(Label::Class(1)));
    let sts = read(Task::StsB, TaskSplit::Train, &dir).unwrap();
    assert_eq!(
        (sts[0].text_b.as_deref(), sts[0].label),
        (Some("An air plane is taking off."), Some(Label::Score(5.0)))
    );
    let cola = read(Task::Cola, TaskSplit::Dev, &dir).unwrap();
    assert_eq!(cola[0].text_a, "The sailors rode the breeze clear of the rocks.");
}

#[test]
fn a_task_that_is_not_there_names_the_command_that_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let error = read(Task::Mrpc, TaskSplit::Dev, dir.path()).unwrap_err();
    assert!(error.is_request());
    for word in ["dev.tsv", "no such file", "MRPC", "bert-data fetch mrpc"] {
        assert!(error.to_string().contains(word), "`{word}` is not in {error}");
    }
}
