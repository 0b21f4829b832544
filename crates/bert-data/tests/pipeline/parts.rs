//! Several machines build one corpus.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bert_data::build::{BuildOptions, Part, build, merge};
use bert_data::examples::{ExampleSet, Split};
use bert_data::progress::Silent;
use bert_data::verify::verify;

use crate::corpus::{Corpus, bytes_of};

fn build_parts(corpus: &Corpus, of: u64) -> Vec<PathBuf> {
    (0..of)
        .map(|index| {
            let output = format!("part-{index}");
            let part = Some(Part { index, of });
            let options = BuildOptions { part, validation: 0.2, shards: 2, ..corpus.options(&output) };
            build(&options, &corpus.tok, &Silent).unwrap();
            options.output
        })
        .collect()
}

/// Documents whose own text is in the split: all that first segments come from.
fn documents(corpus: &Corpus, dir: &std::path::Path, split: Split) -> BTreeSet<usize> {
    let set = ExampleSet::open(dir, split).unwrap();
    (0..set.len()).map(|i| corpus.place(set.get(i).tokens.to_vec()[1]).0).collect()
}

#[test]
fn parts_share_the_documents_and_merge_into_one_dataset() {
    let corpus = Corpus::drawn(90, 20, 10);
    let parts = build_parts(&corpus, 3);
    for (index, part) in parts.iter().enumerate() {
        for document in documents(&corpus, part, Split::Train) {
            assert_eq!(document % 3, index);
        }
    }
    // In any order.
    let given = [parts[2].clone(), parts[0].clone(), parts[1].clone()];
    let output = corpus.path("merged");
    let manifest = merge(&given, &output, false, &Silent).unwrap();
    assert!(verify(&output, &Silent).unwrap().problems.is_empty());
    assert_eq!(manifest.files.len(), 3 * 2 + 3);
    assert!(output.join("train-00005-of-00006.arrow").is_file());

    let whole = BuildOptions { validation: 0.2, ..corpus.options("whole") };
    let whole_manifest = build(&whole, &corpus.tok, &Silent).unwrap();
    assert_eq!(manifest.corpus, whole_manifest.corpus);
    for split in [Split::Train, Split::Validation] {
        // The same documents in each split as in one piece; only the random segments come from fewer documents.
        let (merged, whole_documents) = (documents(&corpus, &output, split), documents(&corpus, &whole.output, split));
        assert_eq!(merged, whole_documents);
        let (counts, whole_counts) = (manifest.split(split).unwrap(), whole_manifest.split(split).unwrap());
        assert_eq!((counts.documents, counts.tokens), (whole_counts.documents, whole_counts.tokens));
        assert_eq!(counts.tokens_kept + counts.tokens_truncated, counts.tokens);
    }
    // The same parts, the same bytes; and the parts are still there.
    merge(&parts, &corpus.path("again"), false, &Silent).unwrap();
    assert!(bytes_of(&corpus.path("again")) == bytes_of(&output));
    assert!(verify(&parts[0], &Silent).unwrap().problems.is_empty());
}

#[test]
fn what_does_not_belong_together_is_not_merged() {
    let corpus = Corpus::drawn(60, 20, 10);
    let parts = build_parts(&corpus, 2);
    let refused = |parts: &[PathBuf], words: &str| {
        let error = merge(parts, &corpus.path("merged"), false, &Silent).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(!corpus.path("merged").exists());
    };
    refused(&parts[..1], "part 1/2 was given 0 times");
    refused(&[parts[0].clone(), parts[1].clone(), parts[1].clone()], "part 1/2 was given 2 times");
    let whole = corpus.options("whole");
    build(&whole, &corpus.tok, &Silent).unwrap();
    refused(&[parts[0].clone(), whole.output], "a whole dataset");
    let part = Some(Part { index: 1, of: 2 });
    let other = BuildOptions { part, seed: 3, validation: 0.2, shards: 2, ..corpus.options("other") };
    build(&other, &corpus.tok, &Silent).unwrap();
    refused(&[parts[0].clone(), other.output], "seed is 17 there and 3 here");
    let file = parts[1].join("train-00000-of-00002.arrow");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    refused(&parts, "train-00000-of-00002.arrow");
}
