//! Sentence order, full sentences, document sentences.

use std::collections::BTreeSet;

use bert_data::build::{BuildOptions, Pairing, build};
use bert_data::examples::{ExampleSet, Split};
use bert_data::manifest::Manifest;
use bert_data::progress::Silent;
use bert_data::verify::verify;

use crate::corpus::{Corpus, Place};

/// Examples as places in the text, cut at every `[SEP]`.
fn segments(corpus: &Corpus, options: &BuildOptions) -> (Manifest, Vec<Vec<Vec<Place>>>) {
    build(options, &corpus.tok, &Silent).unwrap();
    assert!(verify(&options.output, &Silent).unwrap().problems.is_empty());
    let set = ExampleSet::open(&options.output, Split::Train).unwrap();
    let special = corpus.tok.special();
    let examples = (0..set.len()).map(|i| {
        let example = set.get(i);
        let ids = example.tokens.to_vec();
        assert!(ids.len() <= options.seq_len && ids[0] == special.cls && ids[ids.len() - 1] == special.sep);
        if !options.pairing.has_pairs() {
            assert_eq!((example.second_start, example.pair_label), (ids.len(), None));
        }
        let inner = &ids[1..ids.len() - 1];
        inner.split(|&id| id == special.sep).map(|s| s.iter().map(|&id| corpus.place(id)).collect()).collect()
    });
    let examples = examples.collect();
    (set.manifest().clone(), examples)
}

/// Some sentences are longer than an example, some documents are one sentence.
fn uneven() -> Corpus {
    let mut documents = Corpus::drawn(60, 40, 12).documents;
    documents.extend([vec![200], vec![3, 90, 2, 150, 1], vec![1], vec![62, 1, 61, 63, 62]]);
    Corpus::new(documents, 0)
}

fn no_token_is_lost(corpus: &Corpus, manifest: &Manifest, examples: &[Vec<Vec<Place>>]) {
    let mut seen = BTreeSet::new();
    for place in examples.iter().flatten().flatten() {
        assert!(seen.insert(*place), "{place:?} is used twice");
    }
    let tokens: usize = (0..corpus.documents.len()).map(|d| corpus.tokens_of(d)).sum();
    assert_eq!(seen.len(), tokens);
    let counts = manifest.split(Split::Train).unwrap();
    assert_eq!((counts.tokens, counts.tokens_kept, counts.tokens_truncated), (tokens as u64, tokens as u64, 0));
    let in_files: u64 = manifest.files.iter().map(|file| file.tokens).sum();
    assert_eq!(in_files, counts.tokens_kept + counts.tokens_special);
}

/// Whether a place is where a sentence of its document begins.
fn begins_sentence(corpus: &Corpus, (document, position): Place) -> bool {
    let mut start = 0;
    corpus.documents[document].iter().any(|&length| {
        let here = start == position;
        start += length;
        here
    })
}

#[test]
fn full_sentences_go_on_into_the_next_document() {
    let corpus = uneven();
    let options = BuildOptions { pairing: Pairing::FullSentences, ..corpus.options("out") };
    let (manifest, examples) = segments(&corpus, &options);
    no_token_is_lost(&corpus, &manifest, &examples);
    // In the order of the text, and a separator exactly where a document ends.
    let all: Vec<Place> = examples.iter().flatten().flatten().copied().collect();
    assert!(all.is_sorted());
    let mut crossing = 0;
    for example in &examples {
        crossing += usize::from(example.len() > 1);
        for segment in example {
            assert!(segment.iter().all(|place| place.0 == segment[0].0), "two documents without a separator");
        }
        for pair in example.windows(2) {
            assert_eq!(pair[1][0], (pair[0][0].0 + 1, 0));
        }
    }
    assert!(crossing > 20, "{crossing} examples cross documents");
    // An example ends only where the next sentence found no room; the last one ends with the text.
    for pair in examples.windows(2) {
        let length = |example: &Vec<Vec<Place>>| example.iter().map(|segment| segment.len() + 1).sum::<usize>() + 1;
        let next = pair[1][0][0];
        if begins_sentence(&corpus, next) {
            let mut start = 0;
            let sentence = corpus.documents[next.0]
                .iter()
                .find(|&&n| {
                    start += n;
                    start > next.1
                })
                .unwrap();
            assert!(length(&pair[0]) + sentence > options.seq_len - 2, "{next:?} would have found room");
        }
    }
}

#[test]
fn document_sentences_stay_in_their_document() {
    let corpus = uneven();
    let options = BuildOptions { pairing: Pairing::DocSentences, ..corpus.options("out") };
    let (manifest, examples) = segments(&corpus, &options);
    no_token_is_lost(&corpus, &manifest, &examples);
    assert!(examples.iter().all(|example| example.len() == 1));
    assert!(examples.iter().all(|example| example[0].iter().all(|place| place.0 == example[0][0].0)));
    let starts = examples.iter().filter(|example| begins_sentence(&corpus, example[0][0])).count();
    let long: usize = corpus.documents.iter().flatten().map(|&length| (length - 1) / 62).sum();
    assert_eq!(starts, examples.len() - long, "only sentences longer than an example are cut");
}

#[test]
fn swapped_segments_are_labelled_and_half() {
    let corpus = Corpus::drawn(200, 60, 8);
    let options = BuildOptions { pairing: Pairing::Sop, ..corpus.options("out") };
    let (manifest, examples) = segments(&corpus, &options);
    let set = ExampleSet::open(&options.output, Split::Train).unwrap();
    let counts = manifest.split(Split::Train).unwrap();
    let (mut swapped, mut random) = (0, 0);
    for (i, example) in examples.iter().enumerate() {
        let (first, second) = (example[0][0], example[1][0]);
        let label = set.get(i).pair_label.unwrap();
        if first.0 != second.0 {
            random += 1;
            assert!(label, "a segment of another document counts as out of order");
        } else {
            swapped += usize::from(second < first);
            assert_eq!(label, second < first);
        }
    }
    assert_eq!((counts.examples_swapped, counts.examples_random_next), (swapped as u64, random as u64));
    // Only the last sentence of a document comes from elsewhere; of the rest half, within 3.5 standard deviations.
    assert!(random <= 2 * 200, "{random}");
    let choices = (examples.len() - random) as f64;
    assert!((swapped as f64 - choices / 2.0).abs() < 3.5 * (choices / 4.0).sqrt(), "{swapped} of {choices}");
    assert_eq!(counts.tokens_kept + counts.tokens_truncated, counts.tokens);
}

#[test]
fn one_document_is_enough_without_pairs() {
    let corpus = Corpus::new(vec![vec![5; 30]], 0);
    for pairing in [Pairing::FullSentences, Pairing::DocSentences] {
        let options = BuildOptions { pairing, ..corpus.options(pairing.name()) };
        assert!(build(&options, &corpus.tok, &Silent).is_ok());
    }
}

#[test]
fn files_are_cut_by_size() {
    let corpus = Corpus::drawn(300, 60, 20);
    let whole = build(&corpus.options("one"), &corpus.tok, &Silent).unwrap();
    assert_eq!(whole.files.len(), 1);
    let options = BuildOptions { shard_size: 1 << 17, ..corpus.options("many") };
    let many = build(&options, &corpus.tok, &Silent).unwrap();
    assert!(many.files.len() >= 3, "{}", many.files.len());
    assert!(many.files.iter().all(|file| file.bytes < (1 << 17) * 3 / 2), "{:?}", many.files);
    assert_eq!(many.splits, whole.splits);
}
