//! Bad input: one clear error, and what was there stays.

use std::fs;
use std::path::Path;

use bert_data::build::{BuildOptions, build};
use bert_data::progress::Silent;
use bert_data::vocab::{VocabOptions, train_to};
use bert_data::{Error, tokenizer::Tokenizer};

use crate::corpus::{Corpus, bytes_of};

/// Builds over an existing dataset with a corpus of this content, and expects an error that harms nothing.
fn error_of(content: &[u8], change: impl Fn(&mut BuildOptions)) -> Error {
    let corpus = Corpus::drawn(10, 10, 5);
    build(&corpus.options("out"), &corpus.tok, &Silent).unwrap();
    let before = bytes_of(&corpus.path("out"));
    fs::write(corpus.path("text/corpus.txt"), content).unwrap();
    let mut options = BuildOptions { overwrite: true, ..corpus.options("out") };
    change(&mut options);
    let error = build(&options, &corpus.tok, &Silent).unwrap_err();
    assert!(bytes_of(&corpus.path("out")) == before, "the existing output was touched");
    assert_eq!(fs::read_dir(corpus.dir.path()).unwrap().count(), 2, "something was left behind");
    error
}

fn names(error: &Error, words: &[&str]) {
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

#[test]
fn an_empty_corpus() {
    for content in ["", "\n\n  \n", "\u{200b}\u{7}\n"] {
        let error = error_of(content.as_bytes(), |_| ());
        assert!(matches!(error, Error::EmptyCorpus { .. }) && !error.is_request(), "{error}");
        names(&error, &["empty", "text"]);
    }
}

#[test]
fn a_corpus_of_one_document() {
    let error = error_of(b"d0p0 d0p1\nd0p2\n", |_| ());
    assert!(matches!(error, Error::TooFewDocuments { split: "train", found: 1, .. }), "{error}");
    names(&error, &["at least 2", "blank line"]);
}

#[test]
fn a_validation_split_without_documents() {
    let error = error_of(b"d0p0 d0p1\n\nd0p2\n\nd0p3\n", |options| options.validation = 0.001);
    names(&error, &["validation split has 0", "of 3", "--validation"]);
}

#[test]
fn a_file_that_is_not_utf_8() {
    let error = error_of(b"d0p0\n\nd0p1 \xff\n", |_| ());
    assert!(matches!(error, Error::NotUtf8 { line: 3, offset: 11, .. }) && !error.is_request(), "{error}");
    names(&error, &["corpus.txt", "line 3", "offset 11"]);
}

#[test]
fn a_file_that_is_not_of_its_format() {
    let error = error_of(b"no article\n", |options| options.format = bert_data::sources::Format::Wikiextractor);
    names(&error, &["corpus.txt, line 1", "--format text"]);
}

#[test]
fn settings_without_meaning() {
    for change in [
        (|o| o.seq_len = 4) as fn(&mut BuildOptions),
        |o| o.seq_len = 70_000,
        |o| o.short_seq_prob = -0.1,
        |o| o.validation = 0.9,
        |o| o.shards = 0,
        |o| o.input = vec!["/nowhere".into()],
        |o| o.input = vec![],
    ] {
        let error = error_of(b"d0p0\n\nd0p1\n", change);
        assert!(error.is_request(), "{error}");
    }
}

#[test]
fn an_output_of_another_request_is_kept_and_of_the_same_one_reused() {
    let corpus = Corpus::drawn(10, 10, 5);
    let options = corpus.options("out");
    let manifest = build(&options, &corpus.tok, &Silent).unwrap();
    let before = bytes_of(&options.output);
    let modified = fs::metadata(options.output.join("manifest.json")).unwrap().modified().unwrap();
    assert_eq!(build(&options, &corpus.tok, &Silent).unwrap(), manifest);
    assert_eq!(fs::metadata(options.output.join("manifest.json")).unwrap().modified().unwrap(), modified);

    let refused = |options: &BuildOptions, tok: &Tokenizer, words: &[&str]| {
        let error = build(options, tok, &Silent).unwrap_err();
        assert!(matches!(error, Error::OutputExists { .. }) && error.is_request(), "{error}");
        names(&error, words);
        names(&error, &["--overwrite"]);
        assert!(bytes_of(&options.output) == before);
    };
    let other = BuildOptions { seq_len: 32, ..options.clone() };
    refused(&other, &corpus.tok, &["seq_len is 64", "32 in this request"]);
    refused(&options, &Corpus::new(corpus.documents.clone(), 2000).tok, &["another tokenizer"]);
    let more = corpus.path("more.txt");
    fs::write(&more, "d0p0\n").unwrap();
    let mut with_more = options.clone();
    with_more.input.push(more.to_str().unwrap().to_string());
    refused(&with_more, &corpus.tok, &["1 input files"]);
    let text = fs::read_to_string(corpus.path("text/corpus.txt")).unwrap();
    fs::write(corpus.path("text/corpus.txt"), text.replacen("d0p0", "d0p1", 1)).unwrap();
    refused(&options, &corpus.tok, &["corpus.txt has changed"]);

    let replaced = BuildOptions { overwrite: true, ..options };
    assert_ne!(build(&replaced, &corpus.tok, &Silent).unwrap(), manifest);
    assert_eq!(fs::read_dir(corpus.dir.path()).unwrap().count(), 3, "something was left behind");
}

#[test]
fn a_folder_that_is_no_dataset_is_not_replaced() {
    let corpus = Corpus::drawn(10, 10, 5);
    fs::create_dir(corpus.path("out")).unwrap();
    fs::write(corpus.path("out/diary.txt"), "dear").unwrap();
    let options = BuildOptions { overwrite: true, ..corpus.options("out") };
    assert!(build(&options, &corpus.tok, &Silent).unwrap_err().is_request());
    assert_eq!(fs::read_to_string(corpus.path("out/diary.txt")).unwrap(), "dear");
}

#[test]
fn vocabularies_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let open = |text: &str| {
        let path = dir.path().join("vocab.txt");
        fs::write(&path, text).unwrap();
        let error = Tokenizer::open(dir.path()).unwrap_err();
        assert!(error.is_request(), "{error}");
        error.to_string()
    };
    assert!(open("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n").contains("[MASK] is missing"));
    assert!(open("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\na\n").contains("line 6 and again on line 7"));
    fs::write(dir.path().join("tokenizer_config.json"), "{").unwrap();
    assert!(open("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n").contains("tokenizer_config.json"));
    assert!(Tokenizer::open(Path::new("/nowhere")).unwrap_err().is_request());
}

#[test]
fn a_vocabulary_too_small_for_the_characters() {
    let corpus = Corpus::drawn(10, 10, 5);
    let options = VocabOptions { input: corpus.options("x").input, size: 10, ..Default::default() };
    let error = train_to(&options, &corpus.path("vocab"), false, &Silent).unwrap_err();
    assert!(error.is_request());
    names(&error, &["size: 10", "--alphabet"]);
    assert_eq!(fs::read_dir(corpus.dir.path()).unwrap().count(), 1, "something was left behind");

    train_to(&VocabOptions { size: 100, ..options.clone() }, &corpus.path("vocab"), false, &Silent).unwrap();
    let again = train_to(&VocabOptions { size: 90, ..options.clone() }, &corpus.path("vocab"), false, &Silent);
    assert!(matches!(again, Err(Error::OutputExists { .. })));
    train_to(&VocabOptions { size: 90, ..options }, &corpus.path("vocab"), true, &Silent).unwrap();
}
