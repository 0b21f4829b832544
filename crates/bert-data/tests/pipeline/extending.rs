//! A vocabulary that is extended with the words of a field.

use std::fs;

use bert_data::Error;
use bert_data::progress::Silent;
use bert_data::tokenizer::{SPECIAL_TOKENS, Tokenizer};
use bert_data::vocab::{Algorithm, VocabOptions, train, train_to};
use tempfile::TempDir;

use crate::corpus::bytes_of;

const TEXT: &str = "The cardiologist read the cardiogram: tachycardia, then bradycardia.\n\
                    β-blockers and γ rays slow a heart; the cardiogram shows bradycardia again.\n";

/// An uncased vocabulary, with placeholders in the middle, that can spell most words of the text, and a folder of it.
fn old(dir: &TempDir) -> (Tokenizer, VocabOptions) {
    let mut tokens: Vec<String> = SPECIAL_TOKENS.iter().map(ToString::to_string).collect();
    tokens.extend(["[unused0]", "[unused1]", "the", "heart", "card", "##io", "##gram"].map(String::from));
    for letter in ('a'..='z').chain([',', '.', ':', ';', '-']) {
        tokens.extend([letter.to_string(), format!("##{letter}")]);
    }
    let tok = Tokenizer::from_vocab(tokens, true).unwrap();
    tok.save(&dir.path().join("old")).unwrap();
    fs::write(dir.path().join("text.txt"), TEXT.repeat(10)).unwrap();
    let input = vec![dir.path().join("text.txt").to_str().unwrap().to_string()];
    let size = tok.vocab_size() + 30;
    let mut options = VocabOptions { input, size, extend: Some(dir.path().join("old")), ..Default::default() };
    (options.cleaning.duplicates, options.cleaning.line_repeats) = (false, 0);
    (tok, options)
}

#[test]
fn old_ids_stay_and_words_of_the_field_become_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (old, options) = old(&dir);
    // What the request says of the kind of vocabulary does not matter: the old one decides.
    let options = VocabOptions { lowercase: false, algorithm: Algorithm::Bpe, ..options };
    let new = train(&options, &Silent).unwrap();
    let (kept, added) = new.tokens().split_at(old.vocab_size());
    assert_eq!(kept, old.tokens());
    assert_eq!((added.len(), new.normalization()), (30, old.normalization()));
    // The letters that were unknown come first, then merges of the old pieces: `cardio` needs one, not five.
    assert_eq!(added[..2], ["β", "γ"]);
    assert!(added.contains(&"cardio".to_string()) && added.contains(&"cardiogram".to_string()), "{added:?}");
    assert!(old.encode("β").contains(&old.special().unk) && !new.encode(TEXT).contains(&new.special().unk));
    let (before, after) = (old.encode(TEXT).len(), new.encode(TEXT).len());
    assert!(after * 4 < before * 3, "{before} tokens became {after}");
    // Words of old tokens alone are what they were.
    assert_eq!(new.encode("the heart"), old.encode("the heart"));

    let saved = dir.path().join("new");
    new.save(&saved).unwrap();
    let mut library = tokenizers::Tokenizer::from_file(saved.join("tokenizer.json")).unwrap();
    library.set_encode_special_tokens(true);
    assert_eq!(library.encode_fast(TEXT, false).unwrap().get_ids(), new.encode(TEXT));
}

#[test]
fn a_letter_that_is_rare_gets_no_piece() {
    let dir = tempfile::tempdir().unwrap();
    let (_, options) = old(&dir);
    let new = train(&VocabOptions { min_frequency: 11, ..options }, &Silent).unwrap();
    assert!(new.token_id("β").is_none() && new.token_id("cardiogram").is_some());
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let (_, options) = old(&dir);
    let vocabulary = |name: &str, workers: usize| {
        let options = VocabOptions { workers, ..options.clone() };
        train_to(&options, &dir.path().join(name), false, &Silent).unwrap();
        bytes_of(&dir.path().join(name))
    };
    let first = vocabulary("one", 1);
    assert!(first == vocabulary("again", 1) && first == vocabulary("three", 3), "other bytes");
}

#[test]
fn what_cannot_be_extended_is_refused_before_the_text_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (old, options) = old(&dir);
    let refused = |options: VocabOptions, name: &str, words: &str| {
        let error = train(&options, &Silent).unwrap_err();
        assert!(error.is_request() && error.to_string().contains(words), "{error}");
        assert!(matches!(error, Error::Setting { name: found, .. } if found == name), "{error:?}");
    };
    refused(VocabOptions { size: old.vocab_size(), ..options.clone() }, "size", "adds nothing");
    refused(VocabOptions { size: old.vocab_size() + 1, ..options.clone() }, "size", "no room");

    let bpe = VocabOptions { extend: None, algorithm: Algorithm::Bpe, size: 300, ..options.clone() };
    train(&bpe, &Silent).unwrap().save(&dir.path().join("bpe")).unwrap();
    let extend = Some(dir.path().join("bpe"));
    refused(VocabOptions { extend, size: 400, ..options.clone() }, "extend", "BPE");
    let missing = VocabOptions { extend: Some(dir.path().join("nowhere")), ..options };
    assert!(matches!(train(&missing, &Silent), Err(Error::Vocabulary { .. })));
}
