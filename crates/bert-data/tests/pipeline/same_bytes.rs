//! The same request gives the same bytes.

use std::fs;

use bert_data::build::{BuildOptions, build};
use bert_data::examples::{ExampleSet, Split};
use bert_data::progress::Silent;
use bert_data::vocab::{Algorithm, VocabOptions, train, train_to};

use crate::corpus::{Corpus, bytes_of};

/// Prose of a kind: words of syllables, so that there is something to merge.
fn prose(documents: usize) -> String {
    let syllables = ["ka", "lo", "mi", "tra", "né", "shu", "o", "ben", "Qui", "st"];
    let mut text = String::new();
    for d in 0..documents {
        for s in 0..20 {
            for w in 0..(3 + (d * 7 + s * 5) % 9) {
                let n = d * 131 + s * 31 + w * 17 + d * s * w;
                for k in 0..1 + n % 3 {
                    text.push_str(syllables[(n / (k + 1) + k * n) % syllables.len()]);
                }
                text.push(' ');
            }
            text.push_str(". ");
        }
        text.push_str("\n\n");
    }
    text
}

#[test]
fn a_vocabulary_does_not_depend_on_threads_or_on_the_order_of_files() {
    let dir = tempfile::tempdir().unwrap();
    let text = prose(60);
    let (one, two) = text.split_at(text.len() / 2 + 1);
    for (name, content) in [("a.txt", one), ("b.txt", two), ("y.txt", two), ("z.txt", one)] {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let vocabulary = |output: &str, input: Vec<String>, workers: usize| {
        let options = VocabOptions { input, size: 90, workers, ..Default::default() };
        train_to(&options, &dir.path().join(output), false, &Silent).unwrap();
        bytes_of(&dir.path().join(output))
    };
    let input = vec![file("a.txt"), file("b.txt")];
    let first = vocabulary("v1", input.clone(), 1);
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    );
    for (name, input, workers) in [
        ("again", input.clone(), 1),
        ("two", input.clone(), 2),
        ("four", input, 4),
        ("order", vec![file("y.txt"), file("z.txt")], 3),
    ] {
        assert!(vocabulary(name, input, workers) == first, "{name}: other bytes");
    }
    let tokens: Vec<&str> = std::str::from_utf8(&first["vocab.txt"]).unwrap().lines().collect();
    assert_eq!(tokens.len(), 90);
    assert_eq!(tokens[..5], ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);
}

#[test]
fn a_vocabulary_does_not_depend_on_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.txt");
    fs::write(&path, prose(60)).unwrap();
    let input = vec![path.to_str().unwrap().to_string()];
    for algorithm in [Algorithm::WordPiece, Algorithm::Bpe, Algorithm::Unigram] {
        let vocabulary = |output: &str, memory: u64, workers: usize| {
            let size = if algorithm == Algorithm::Bpe { 290 } else { 60 };
            let options = VocabOptions { input: input.clone(), algorithm, size, memory, workers, ..Default::default() };
            train_to(&options, &dir.path().join(output), true, &Silent).unwrap();
            bytes_of(&dir.path().join(output))
        };
        let plenty = vocabulary("plenty", 2 << 30, 2);
        for workers in [1, 3] {
            // Every group of documents becomes a file of counts.
            assert!(vocabulary("tiny", 1, workers) == plenty, "{algorithm:?}, {workers} workers: other bytes");
        }
    }
    let names = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 3, "temporary files were left");
}

#[test]
fn a_trained_vocabulary_spells_its_own_corpus() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.txt");
    fs::write(&path, prose(30)).unwrap();
    for lowercase in [true, false] {
        let input = vec![path.to_str().unwrap().to_string()];
        let tok = train(&VocabOptions { input, size: 200, lowercase, ..Default::default() }, &Silent).unwrap();
        assert!(!tok.encode(&prose(30)).contains(&tok.special().unk));
        assert_eq!(tok.token_id("Q").is_some(), !lowercase);
        // What was saved is read back as the same tokenizer, from the folder and from the list alone.
        let saved = dir.path().join(format!("saved-{lowercase}"));
        tok.save(&saved).unwrap();
        let opened = bert_data::tokenizer::Tokenizer::open(&saved).unwrap();
        assert_eq!((opened.tokens(), opened.normalization()), (tok.tokens(), tok.normalization()));
        assert_eq!(opened.digest(), tok.digest());
        for file in ["tokenizer.json", "tokenizer_config.json"] {
            fs::remove_file(saved.join(file)).unwrap();
        }
        let bare = bert_data::tokenizer::Tokenizer::open(&saved.join("vocab.txt")).unwrap();
        assert_eq!(bare.normalization(), tok.normalization(), "casing was not seen from the vocabulary");
    }
}

#[test]
fn a_dataset_does_not_depend_on_threads() {
    let corpus = Corpus::drawn(80, 30, 10);
    let dataset = |output: &str, workers: usize| {
        let options = BuildOptions { workers, shards: 3, validation: 0.2, ..corpus.options(output) };
        build(&options, &corpus.tok, &Silent).unwrap();
        bytes_of(&corpus.path(output))
    };
    let first = dataset("one", 1);
    for file in ["manifest.json", "SHA256SUMS", "train-00002-of-00003.arrow", "validation-00000-of-00001.arrow"] {
        assert!(first.contains_key(file), "{file} is missing");
    }
    assert!(first.keys().all(|name| !name.contains("temporary")));
    for (name, workers) in [("again", 1), ("two", 2), ("four", 4)] {
        assert!(dataset(name, workers) == first, "{name}: other bytes");
    }
}

#[test]
fn shards_hold_the_same_examples_in_the_same_order() {
    let corpus = Corpus::drawn(50, 30, 10);
    let examples = |output: &str, shards: usize| {
        let options = BuildOptions { shards, ..corpus.options(output) };
        build(&options, &corpus.tok, &Silent).unwrap();
        let set = ExampleSet::open(&options.output, Split::Train).unwrap();
        assert_eq!(set.manifest().files.len(), shards);
        (0..set.len())
            .map(|i| {
                let example = set.get(i);
                (example.tokens.to_vec(), example.second_start, example.pair_label)
            })
            .collect::<Vec<_>>()
    };
    let one = examples("one", 1);
    assert!(examples("seven", 7) == one);
    // More shards than documents: some are empty.
    assert!(examples("many", 60) == one);
}
