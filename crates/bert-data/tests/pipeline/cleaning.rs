//! Cleaning as part of a build: whatever is left out is counted, and nothing else is missing.

use std::fs;

use bert_data::build::{BuildOptions, Pairing, Part, Sentences, build, merge};
use bert_data::cleaning::{CleaningOptions, split_sentences};
use bert_data::drops::Reason;
use bert_data::manifest::{Manifest, StaticMasks};
use bert_data::masking::MaskingOptions;
use bert_data::progress::Silent;
use bert_data::tokenizer::{SPECIAL_TOKENS, Tokenizer};
use bert_data::vocab::{VocabOptions, train};
use proptest::prelude::*;

/// A vocabulary that spells every word of two letters and the common marks.
fn tokenizer() -> Tokenizer {
    let mut tokens: Vec<String> = SPECIAL_TOKENS.iter().map(ToString::to_string).collect();
    tokens.extend(('a'..='z').map(String::from));
    tokens.extend(('a'..='z').map(|c| format!("##{c}")));
    tokens.extend(".,!?-".chars().map(String::from));
    Tokenizer::from_vocab(tokens, true).unwrap()
}

/// Builds a dataset of this text; none where it has too few documents for pairs.
fn built(text: &str, tok: &Tokenizer, change: impl Fn(&mut BuildOptions)) -> Option<Manifest> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("corpus.txt");
    fs::write(&path, text).unwrap();
    let mut options = BuildOptions {
        input: vec![path.to_str().unwrap().to_string()],
        seq_len: 32,
        workers: 2,
        output: dir.path().join("out"),
        ..Default::default()
    };
    change(&mut options);
    match build(&options, tok, &Silent) {
        Ok(manifest) => Some(manifest),
        Err(bert_data::Error::TooFewDocuments { .. } | bert_data::Error::EmptyCorpus { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Documents, sentences and tokens of a text, counted without the builder.
fn counted(text: &str, tok: &Tokenizer, sentences: Sentences) -> (u64, u64, u64) {
    let mut total = (0, 0, 0);
    for document in text.split("\n\n") {
        let lines: Vec<&str> = document.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        total.0 += u64::from(!lines.is_empty());
        for line in lines {
            let pieces = match sentences {
                Sentences::Lines => vec![line],
                Sentences::Split => split_sentences(line),
            };
            for piece in pieces {
                let tokens = tok.encode(piece).len() as u64;
                total.1 += u64::from(tokens > 0);
                total.2 += tokens;
            }
        }
    }
    total
}

/// A corpus in which lines and documents repeat, with scripts and lengths of all kinds.
fn corpus() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => prop::sample::select(vec!["Cookie banner. Accept all!", "Menu", "He said so. They left.", "ab cd ef gh ij."]).prop_map(String::from),
        4 => "[A-Z][a-z]{0,5}( [a-z]{1,5}){0,8}[.!?]( [A-Z][a-z ]{0,20}[.])?",
        1 => Just("Совсем другой текст.".to_string()),
        1 => Just("\u{200b}".to_string()),
    ];
    let document = prop::collection::vec(line, 1..8).prop_map(|lines| lines.join("\n"));
    prop::collection::vec(document, 2..12).prop_flat_map(|documents| {
        let again = prop::collection::vec(prop::sample::select(documents.clone()), 0..6);
        again.prop_map(move |again| [documents.clone(), again].concat().join("\n\n"))
    })
}

proptest! {
    // The same cases on every run.
    #![proptest_config(ProptestConfig {
        cases: 120,
        failure_persistence: None,
        rng_seed: prop::test_runner::RngSeed::Fixed(20_240_229),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_build_loses_no_sentence(
        text in corpus(),
        duplicates in any::<bool>(),
        near in any::<bool>(),
        line_repeats in 0_u64..4,
        min_line_chars in prop::sample::select(vec![0, 6, 20]),
        min_document_chars in prop::sample::select(vec![0, 30, 90]),
        latin in any::<bool>(),
        lines in any::<bool>(),
        validation in prop::sample::select(vec![0.0, 0.4]),
        pairing in prop::sample::select(vec![Pairing::Nsp, Pairing::Sop, Pairing::FullSentences, Pairing::DocSentences]),
        seq_len in prop::sample::select(vec![8, 32, 128]),
        copies in 0_u64..4,
        seed in any::<u64>(),
    ) {
        let tok = tokenizer();
        let sentences = if lines { Sentences::Lines } else { Sentences::Split };
        let (documents_in, sentences_in, tokens_in) = counted(&text, &tok, sentences);
        let manifest = built(&text, &tok, |options| {
            options.sentences = sentences;
            options.validation = validation;
            options.pairing = pairing;
            options.seq_len = seq_len;
            options.seed = seed;
            // None of them: masks drawn while loading.
            options.static_masks =
                (copies > 0).then(|| StaticMasks { dupe_factor: copies, masking: MaskingOptions::default() });
            options.cleaning = CleaningOptions {
                duplicates,
                near_duplicates: near.then_some(0.8),
                line_repeats,
                min_line_chars,
                min_document_chars,
                scripts: if latin { vec!["Latin".into()] } else { vec![] },
                ..CleaningOptions::none()
            };
        });
        if let Some(Manifest { corpus, dropped, splits, .. }) = manifest {
            let (mut documents, mut sentences, mut tokens) = (0, 0, 0);
            for (_, dropped) in dropped.iter() {
                documents += dropped.documents;
                sentences += dropped.sentences;
                tokens += dropped.tokens;
            }
            prop_assert_eq!(corpus.documents + documents, documents_in);
            prop_assert_eq!(corpus.sentences + sentences, sentences_in);
            prop_assert_eq!(corpus.tokens + tokens, tokens_in);
            prop_assert_eq!(dropped.tokens(), tokens);
            // Every copy of a static dataset goes through the whole corpus.
            prop_assert_eq!(splits.iter().map(|split| split.tokens).sum::<u64>(), corpus.tokens * copies.max(1));
            for split in splits {
                prop_assert_eq!(split.tokens_kept + split.tokens_truncated, split.tokens);
            }
        }
    }
}

#[test]
fn duplicates_and_repeated_lines_are_left_out_by_default_and_kept_on_request() {
    let mut text = String::from("First of all. It is.\n\nSecond one.\n\nFirst of all. It is.\n\n");
    for n in 0..1500_u32 {
        let word: String = n.to_string().bytes().map(|digit| char::from(b'a' + digit - b'0')).collect();
        text.push_str(&format!("The same line.\nAnother line {word}.\n\n"));
    }
    let tok = tokenizer();
    let manifest = built(&text, &tok, |_| ()).unwrap();
    assert_eq!(manifest.dropped.get(Reason::DuplicateDocument).documents, 1);
    assert_eq!(manifest.dropped.get(Reason::RepeatedLine).lines, 500);
    assert_eq!(manifest.corpus.documents, 1502);
    let manifest = built(&text, &tok, |options| options.cleaning = CleaningOptions::none()).unwrap();
    assert!(manifest.dropped.is_empty());
    assert_eq!(manifest.corpus.documents, 1503);
}

#[test]
fn the_vocabulary_is_made_of_the_cleaned_corpus() {
    let dir = tempfile::tempdir().unwrap();
    let (once, often) = (dir.path().join("once.txt"), dir.path().join("often.txt"));
    let line = "a line of words and other words that come again\n\n";
    fs::write(&once, format!("{line}more of it\n\n")).unwrap();
    fs::write(&often, format!("{}more of it\n\n", line.repeat(50))).unwrap();
    let vocabulary = |path: &std::path::Path, cleaning: CleaningOptions| {
        let input = vec![path.to_str().unwrap().to_string()];
        let options = VocabOptions { input, size: 60, min_frequency: 3, cleaning, ..Default::default() };
        train(&options, &Silent).unwrap().tokens().to_vec()
    };
    assert_eq!(vocabulary(&once, CleaningOptions::default()), vocabulary(&often, CleaningOptions::default()));
    assert_ne!(vocabulary(&once, CleaningOptions::none()), vocabulary(&often, CleaningOptions::none()));
}

#[test]
fn near_duplicates_do_not_depend_on_threads() {
    let mut text = String::new();
    for n in 0..300_usize {
        let words: Vec<String> = (0..60)
            .map(|w| {
                let shared = (n / 3) * 60 + w;
                let own = if w == n % 60 { n * 7 } else { 0 };
                format!("{:x}", (shared * 31 + own * 17) % 3001)
            })
            .collect();
        text.push_str(&words.join(" ").replace(|c: char| c.is_ascii_digit(), "q"));
        text.push_str(".\n\n");
    }
    let tok = tokenizer();
    let manifest = |workers: usize| {
        built(&text, &tok, |options| {
            options.workers = workers;
            options.cleaning.near_duplicates = Some(0.7);
        })
        .unwrap()
    };
    let one = manifest(1);
    assert!(one.dropped.get(Reason::NearDuplicateDocument).documents > 100, "{}", one.dropped);
    for workers in [2, 4] {
        let other = manifest(workers);
        assert_eq!((one.dropped.clone(), one.corpus), (other.dropped, other.corpus));
    }
}

#[test]
fn parts_leave_out_together_what_one_machine_leaves_out() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("a.txt"), dir.path().join("b.jsonl"));
    let word = |n: usize| n.to_string().bytes().map(|digit| char::from(b'a' + digit - b'0')).collect::<String>();
    // Every third document is that before it; every document has the same first line.
    let document = |n: usize| format!("Menu\nThis is {}. It ends.\n", word(if n % 3 == 2 { n - 1 } else { n }));
    fs::write(&first, (0..60).map(|n| document(n) + "\n").collect::<String>()).unwrap();
    let records = (60..120).map(|n| serde_json::json!({ "text": document(n) }).to_string() + "\n");
    fs::write(&second, records.chain(["{\"text\": null}\n".to_string()]).collect::<String>()).unwrap();
    let tok = tokenizer();
    let options = |output: &str, part: Option<Part>| {
        let mut input: Vec<String> = [&first, &second].map(|path| path.to_str().unwrap().to_string()).to_vec();
        input[0].push_str(":weight=1.5");
        let cleaning = CleaningOptions { line_repeats: 10, ..CleaningOptions::default() };
        let output = dir.path().join(output);
        BuildOptions { input, cleaning, seq_len: 16, workers: 2, validation: 0.3, part, output, ..Default::default() }
    };
    let whole = build(&options("whole", None), &tok, &Silent).unwrap();
    assert_eq!(whole.dropped.get(Reason::DuplicateDocument).documents, 40);
    assert_eq!(whole.dropped.get(Reason::RepeatedLine).lines, 70);
    assert_eq!(whole.dropped.get(Reason::NoTextField).documents, 1);
    let parts: Vec<_> = (0..4)
        .map(|index| {
            let options = options(&format!("part-{index}"), Some(Part { index, of: 4 }));
            build(&options, &tok, &Silent).unwrap();
            options.output
        })
        .collect();
    let merged = merge(&parts, &dir.path().join("merged"), false, &Silent).unwrap();
    assert_eq!((&merged.dropped, &merged.corpus, &merged.sources), (&whole.dropped, &whole.corpus, &whole.sources));
    for (merged, whole) in merged.splits.iter().zip(&whole.splits) {
        assert_eq!((merged.documents, merged.tokens), (whole.documents, whole.tokens));
    }
}
