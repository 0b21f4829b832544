//! Byte-level BPE from text to examples.

use std::fs;

use bert_data::Error;
use bert_data::build::{BuildOptions, Pairing, build};
use bert_data::examples::{ExampleSet, Split};
use bert_data::masking::{MaskKind, Masker, MaskingOptions};
use bert_data::progress::Silent;
use bert_data::tasks::encode_pair;
use bert_data::tokenizer::{PairLayout, Tokenizer};
use bert_data::verify::verify;
use bert_data::vocab::{Algorithm, VocabOptions, train, train_to};
use tempfile::TempDir;

use crate::corpus::bytes_of;

const TEXT: &str = "The lower house won't lower the newest tower's café prices. It's naïve, she said. 東京 wins 1945 to 7!\n\
                    Newer, newest and lowest: low, lower, lowest. The tower  is new.\n\n\
                    A second document is about the towers of Köln. They're the newest towers, I'd say.\n";

fn corpus() -> (TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("corpus.txt");
    fs::write(&file, TEXT.repeat(20)).unwrap();
    let input = vec![file.to_str().unwrap().to_string()];
    (dir, input)
}

fn options(input: Vec<String>, lowercase: bool) -> VocabOptions {
    let mut options = VocabOptions { input, algorithm: Algorithm::Bpe, size: 330, lowercase, ..Default::default() };
    options.cleaning.duplicates = false;
    options
}

fn names<'a>(tok: &'a Tokenizer, ids: &[u32]) -> Vec<&'a str> {
    ids.iter().map(|&id| tok.decode_token(id)).collect()
}

#[test]
fn a_trained_vocabulary_is_the_librarys_tokenizer_and_loses_no_byte() {
    let (dir, input) = corpus();
    for lowercase in [false, true] {
        let tok = train(&options(input.clone(), lowercase), &Silent).unwrap();
        assert_eq!((tok.vocab_size(), tok.pair_layout()), (330, PairLayout::DoubleSeparator));
        let folder = dir.path().join(format!("vocab-{lowercase}"));
        tok.save(&folder).unwrap();
        let mut library = tokenizers::Tokenizer::from_file(folder.join("tokenizer.json")).unwrap();
        library.set_encode_special_tokens(true);
        let opened = Tokenizer::open(&folder).unwrap();
        assert_eq!((opened.tokens(), opened.digest()), (tok.tokens(), tok.digest()));
        for text in TEXT.lines().chain(["  \n two  spaces\u{a0} Ünknown \u{0}😀\t<mask> </s>"]) {
            let ids = tok.encode(text);
            assert_eq!(ids, library.encode_fast(text, false).unwrap().get_ids(), "{text:?}");
            assert_eq!(ids, opened.encode(text));
            let expected = if lowercase { text.to_lowercase() } else { text.to_string() };
            assert_eq!(library.decode(&ids, false).unwrap(), expected);
            assert!(ids.iter().all(|&id| !tok.is_special(id)), "{text:?}");
        }
        if !lowercase {
            // The two files of the original release say the same.
            fs::remove_file(folder.join("tokenizer.json")).unwrap();
            let bare = Tokenizer::open(&folder).unwrap();
            assert_eq!((bare.tokens(), bare.encode(TEXT)), (tok.tokens(), tok.encode(TEXT)));
        }
    }
}

#[test]
fn the_same_bytes_on_every_run_and_any_number_of_threads() {
    let (dir, input) = corpus();
    let vocabulary = |name: &str, workers: usize| {
        let options = VocabOptions { workers, ..options(input.clone(), false) };
        train_to(&options, &dir.path().join(name), false, &Silent).unwrap();
        bytes_of(&dir.path().join(name))
    };
    let first = vocabulary("one", 1);
    let files: Vec<&String> = first.keys().collect();
    assert_eq!(
        files,
        ["merges.txt", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.json"]
    );
    for (name, workers) in [("again", 1), ("two", 2), ("five", 5)] {
        assert!(vocabulary(name, workers) == first, "{name}: other bytes");
    }
}

#[test]
fn examples_whole_words_and_pairs() {
    let (dir, input) = corpus();
    let tok = train(&options(input.clone(), false), &Silent).unwrap();
    let mut request = BuildOptions { input, seq_len: 32, output: dir.path().join("examples"), ..Default::default() };
    request.cleaning.duplicates = false;
    let error = build(&request, &tok, &Silent).unwrap_err();
    assert!(matches!(error, Error::Setting { name: "pairing", .. }) && error.is_request(), "{error}");

    request.pairing = Pairing::FullSentences;
    build(&request, &tok, &Silent).unwrap();
    assert_eq!(verify(&request.output, &Silent).unwrap().problems, []);
    let set = ExampleSet::open(&request.output, Split::Train).unwrap();
    // A sentence behind another one of its line keeps the space before it.
    let text: Vec<u32> = (0..set.len()).flat_map(|i| set.get(i).tokens.to_vec()).collect();
    let text = names(&tok, &text).concat();
    assert!(text.contains("ĠIt's") && text.contains("<s>TheĠlower") && !text.contains("<s>It's"), "{}", &text[..300]);

    let masker =
        Masker::new(MaskingOptions { kind: MaskKind::WholeWord, mask: 1.0, random: 0.0, ..Default::default() }, &tok);
    let masker = masker.unwrap();
    let original = tok.encode(" newness towered lowlands, pricey houses of Kölner");
    let is_whole = |ids: &[u32]| {
        let masked = |i: usize| ids[i] == tok.special().mask;
        (1..ids.len()).all(|i| !tok.continues_word(original[i - 1], original[i]) || masked(i) == masked(i - 1))
    };
    let pieces = (1..original.len()).filter(|&i| tok.continues_word(original[i - 1], original[i])).count();
    assert!(pieces > 0, "every word is one token: {:?}", names(&tok, &original));
    for example in 0..200 {
        let mut ids = original.clone();
        let (mut positions, mut labels) = (Vec::new(), Vec::new());
        masker.mask(&mut ids, 1, 0, example, &mut positions, &mut labels);
        assert!(is_whole(&ids), "{:?}", names(&tok, &ids));
    }

    // RoBERTa's layout of two texts: one segment, two separators between them.
    let (ids, second_start) = encode_pair(&tok, "The tower", Some("The house"), 64);
    let names = names(&tok, &ids);
    assert_eq!(names.iter().filter(|name| **name == "</s>").count(), 3);
    assert!(names.concat().starts_with("<s>TheĠtower</s></s>The"), "{names:?}");
    assert_eq!(second_start, ids.len());
    assert_eq!(encode_pair(&tok, TEXT, Some(TEXT), 20).0.len(), 20);
}

#[test]
fn a_mask_takes_the_space_before_it_along() {
    let (_dir, input) = corpus();
    let tok = train(&options(input, false), &Silent).unwrap();
    let ids = tok.encode_with_special_tokens("The <mask> tower<mask>");
    assert_eq!(names(&tok, &ids).concat(), "The<mask>Ġtower<mask>");
}
