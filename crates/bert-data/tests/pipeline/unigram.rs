//! Unigram vocabularies: the library's ids, the same bytes, text that stays text.

use std::fs;

use bert_data::Error;
use bert_data::progress::Silent;
use bert_data::tokenizer::{ALBERT_SPECIAL_TOKENS, PairLayout, Tokenizer};
use bert_data::vocab::{Algorithm, VocabOptions, train, train_to};
use tempfile::TempDir;

use crate::corpus::bytes_of;

const TEXT: &str = "The lower house won't lower the newest tower's café prices. It's naïve, she said. 東京 wins 1945 to 7!\n\
                    Newer, newest and lowest: low, lower, lowest. The tower  is new.\n\n\
                    A second document is about the towers of Köln. They're the newest towers, I'd say.\n";

fn corpus() -> (TempDir, VocabOptions) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("corpus.txt");
    fs::write(&file, TEXT.repeat(20)).unwrap();
    let input = vec![file.to_str().unwrap().to_string()];
    let mut options = VocabOptions { input, algorithm: Algorithm::Unigram, size: 80, ..Default::default() };
    options.cleaning.duplicates = false;
    (dir, options)
}

#[test]
fn a_trained_vocabulary_is_the_librarys_tokenizer() {
    let (dir, options) = corpus();
    for lowercase in [false, true] {
        let tok = train(&VocabOptions { lowercase, ..options.clone() }, &Silent).unwrap();
        assert_eq!((tok.vocab_size(), tok.pair_layout()), (80, PairLayout::Segments));
        assert_eq!(tok.tokens()[..5], ALBERT_SPECIAL_TOKENS.map(String::from));
        let folder = dir.path().join(format!("vocab-{lowercase}"));
        tok.save(&folder).unwrap();
        let mut library = tokenizers::Tokenizer::from_file(folder.join("tokenizer.json")).unwrap();
        library.set_encode_special_tokens(true);
        let opened = Tokenizer::open(&folder).unwrap();
        assert_eq!((opened.tokens(), opened.digest()), (tok.tokens(), tok.digest()));
        let hard = "  two  spaces\u{a0} Ünknown \u{3000}😀\t[MASK]</s> <unk>\u{2581}x ﬁ";
        for text in TEXT.lines().chain([hard, ""]) {
            let ids = tok.encode(text);
            assert_eq!(ids, library.encode_fast(text, false).unwrap().get_ids(), "{text:?}");
            assert_eq!(ids, opened.encode(text));
            let special = ids.iter().filter(|&&id| tok.is_special(id) && id != tok.special().unk).count();
            assert_eq!(special, 0, "{text:?}");
        }
        assert!(!tok.encode(TEXT).contains(&tok.special().unk));
        // A name in the text is text, even that of [UNK].
        assert!(!tok.encode("[MASK] <unk> <pad>").iter().any(|&id| tok.is_special(id)));
        let pair = library.encode(("the tower", "the house"), true).unwrap();
        let first = pair.get_tokens().iter().position(|token| token == "[SEP]").unwrap();
        assert_eq!((pair.get_tokens()[0].as_str(), pair.get_type_ids()[first + 1]), ("[CLS]", 1));
        // No piece has characters of two kinds.
        let mixed = |token: &&String| token.chars().any(char::is_alphabetic) && token.contains(['.', ',', '1', '\'']);
        assert_eq!(tok.tokens()[5..].iter().find(mixed), None);
    }
}

#[test]
fn the_same_bytes_on_every_run_and_any_number_of_threads() {
    let (dir, options) = corpus();
    let vocabulary = |name: &str, workers: usize| {
        train_to(&VocabOptions { workers, ..options.clone() }, &dir.path().join(name), false, &Silent).unwrap();
        bytes_of(&dir.path().join(name))
    };
    let first = vocabulary("one", 1);
    let files: Vec<&String> = first.keys().collect();
    assert_eq!(files, ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"]);
    for (name, workers) in [("again", 1), ("two", 2), ("five", 5)] {
        assert!(vocabulary(name, workers) == first, "{name}: other bytes");
    }
}

#[test]
fn rare_characters_are_unknown_and_too_small_a_size_is_refused() {
    let (_dir, options) = corpus();
    let tok = train(&VocabOptions { alphabet: 20, ..options.clone() }, &Silent).unwrap();
    assert!(tok.encode("東").contains(&tok.special().unk) && !tok.encode("the tower").contains(&tok.special().unk));
    let error = train(&VocabOptions { size: 30, ..options }, &Silent).unwrap_err();
    assert!(matches!(error, Error::Setting { name: "size", .. }) && error.is_request(), "{error}");
    assert!(error.to_string().contains("--alphabet"), "{error}");
}
