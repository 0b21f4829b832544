//! One changed byte anywhere is found.

use std::fs;
use std::path::Path;

use bert_data::build::{BuildOptions, build};
use bert_data::examples::{ExampleSet, Split};
use bert_data::progress::Silent;
use bert_data::verify::{Report, verify};

use crate::corpus::{Corpus, bytes_of};

fn dataset() -> Corpus {
    let corpus = Corpus::drawn(40, 20, 10);
    let options = BuildOptions { validation: 0.2, ..corpus.options("out") };
    build(&options, &corpus.tok, &Silent).unwrap();
    corpus
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// The problems, or the error when the folder cannot be read at all.
fn found(dir: &Path) -> Vec<String> {
    match verify(dir, &Silent) {
        Ok(Report { problems, .. }) => problems.iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn a_dataset_as_written_has_no_problems() {
    let corpus = dataset();
    let report = verify(&corpus.path("out"), &Silent).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(report.files as usize, bytes_of(&corpus.path("out")).len() - 1);
    assert!(report.examples > 50);
}

#[test]
fn a_flipped_byte_is_found_in_every_file() {
    let corpus = dataset();
    let dir = corpus.path("out");
    for (name, bytes) in bytes_of(&dir) {
        for at in [0, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            flip(&dir.join(&name), at);
            let problems = found(&dir);
            assert!(!problems.is_empty(), "{name}, byte {at}: not found");
            if name != "SHA256SUMS" {
                assert!(problems.iter().any(|p| p.contains(&name)), "{name}, byte {at}: not named in {problems:?}");
            }
            flip(&dir.join(&name), at);
        }
    }
    assert!(found(&dir).is_empty());
}

#[test]
fn missing_and_additional_files_are_found() {
    let corpus = dataset();
    let dir = corpus.path("out");
    fs::write(dir.join("train-00001-of-00001.arrow"), "x").unwrap();
    assert!(found(&dir)[0].contains("not listed"));
    fs::remove_file(dir.join("train-00001-of-00001.arrow")).unwrap();
    fs::remove_file(dir.join("validation-00000-of-00001.arrow")).unwrap();
    assert!(found(&dir)[0].contains("missing"));
}

#[test]
fn a_torn_file_is_an_error_when_opened_and_not_a_crash() {
    let corpus = dataset();
    let path = corpus.path("out/train-00000-of-00001.arrow");
    let whole = fs::read(&path).unwrap();
    for length in [0, 5, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = ExampleSet::open(&corpus.path("out"), Split::Train).unwrap_err().to_string();
        assert!(error.contains("train-00000-of-00001.arrow"), "{length}: {error}");
    }
    // Damage in the footer and in the batches' headers must not crash either.
    for at in (0..whole.len()).rev().take(2000).chain(0..2000.min(whole.len())).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        fs::write(&path, bytes).unwrap();
        let _ = ExampleSet::open(&corpus.path("out"), Split::Train);
    }
}

#[test]
fn a_changed_manifest_is_refused_when_opened() {
    let corpus = dataset();
    let path = corpus.path("out/manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"seed\": 17", "\"seed\": 18")).unwrap();
    let error = ExampleSet::open(&corpus.path("out"), Split::Train).unwrap_err().to_string();
    assert!(error.contains("manifest.json") && error.contains("changed"), "{error}");
}
