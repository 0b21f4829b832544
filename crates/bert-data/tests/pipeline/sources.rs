//! Sources as part of a build: the same text in every format and compression, weights, and input that is bad or huge.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use bert_data::build::{BuildOptions, build};
use bert_data::drops::Reason;
use bert_data::examples::{ExampleSet, Split};
use bert_data::manifest::Manifest;
use bert_data::progress::Silent;
use bert_data::sources::{Documents, ReadOptions, Unreadable, expand};
use bert_data::{Error, Result};

use crate::corpus::Corpus;

/// The paragraphs of a file's documents.
fn read(path: &Path, unreadable: Unreadable) -> Result<Vec<Vec<String>>> {
    let inputs = expand(&[path.to_str().unwrap().to_string()])?;
    Documents::open(&inputs[0], ReadOptions { unreadable, ..ReadOptions::default() })?
        .map(|document| document.map(|document| document.paragraphs))
        .collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_same_documents_come_out_of_every_format_and_compression() {
    let dir = tempfile::tempdir().unwrap();
    let documents = vec![vec!["One is here.", "Two & more."], vec!["Drei – größer als zwei."]];
    let text: String = documents.iter().map(|d| d.join("\n") + "\n\n").collect();
    let wiki: String = documents
        .iter()
        .enumerate()
        .map(|(i, d)| {
            format!("<doc id=\"{i}\" url=\"u\" title=\"T\">\nT\n\n{}\n</doc>\n", d.join("\n").replace('&', "&amp;"))
        })
        .collect();
    let xml: String = documents
        .iter()
        .map(|d| {
            let text = d.join("\n\n").replace('&', "&amp;amp;");
            format!("<page><title>T</title><ns>0</ns><revision><text>{text}</text></revision></page>\n")
        })
        .collect();
    let jsonl: String =
        documents.iter().map(|d| serde_json::json!({ "text": d.join("\n") }).to_string() + "\n").collect();
    let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bz2.write_all(jsonl.as_bytes()).unwrap();
    for (name, content) in [
        ("a.txt", text.clone().into_bytes()),
        ("wiki_00", wiki.clone().into_bytes()),
        ("wiki_01.gz", gzip(wiki.as_bytes())),
        ("dump.xml", format!("<mediawiki>\n{xml}</mediawiki>\n").into_bytes()),
        ("dump.xml.zst", zstd::encode_all(xml.as_bytes(), 3).unwrap()),
        ("web.jsonl", jsonl.clone().into_bytes()),
        ("web.jsonl.bz2", bz2.finish().unwrap()),
        ("two-members.txt.gz", [gzip(&text.as_bytes()[..20]), gzip(&text.as_bytes()[20..])].concat()),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        assert_eq!(read(&path, Unreadable::Stop).unwrap(), documents, "{name}");
    }
}

#[test]
fn a_document_of_100_mb_and_a_line_of_10_mb_are_read_in_bounded_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("big.txt");
    let line = "A line of the one and only document. ".repeat(27);
    let mut file = std::io::BufWriter::new(fs::File::create(&path).unwrap());
    for _ in 0..100_000 {
        writeln!(file, "{line}").unwrap();
    }
    writeln!(file, "\n{}", "x y. ".repeat(2 << 20)).unwrap();
    file.flush().unwrap();
    let inputs = expand(&[path.to_str().unwrap().to_string()]).unwrap();
    let (mut lines, mut cuts, mut longest) = (0, 0, 0);
    for document in Documents::open(&inputs[0], ReadOptions::default()).unwrap() {
        let document = document.unwrap();
        lines += document.paragraphs.len();
        cuts += usize::from(document.continues);
        longest = longest.max(document.paragraphs.iter().map(String::len).sum());
    }
    assert_eq!((lines, cuts), (100_001, 5));
    assert!(longest < 17 << 20, "{longest}");
}

/// Documents `d0`, `d1`, ... of one line in two files, the first with `first` of them.
fn two_inputs(
    first: usize,
    documents: usize,
    change: impl Fn(&mut BuildOptions),
) -> (Manifest, BTreeMap<usize, usize>) {
    let corpus = Corpus::new((0..documents).map(|_| vec![6, 6]).collect(), 0);
    let text = fs::read_to_string(corpus.path("text/corpus.txt")).unwrap();
    let cut = text.find(&format!("d{first}p0")).unwrap();
    fs::write(corpus.path("text/a.txt"), &text[..cut]).unwrap();
    fs::write(corpus.path("text/b.txt"), &text[cut..]).unwrap();
    let mut options = corpus.options("out");
    options.seq_len = 15;
    options.short_seq_prob = 0.0;
    options.input = ["a.txt", "b.txt"].map(|name| corpus.path("text").join(name).to_str().unwrap().into()).to_vec();
    change(&mut options);
    let manifest = build(&options, &corpus.tok, &Silent).unwrap();
    let set = ExampleSet::open(&options.output, Split::Train).unwrap();
    let mut uses = BTreeMap::new();
    for i in 0..set.len() {
        let example = set.get(i);
        let own = corpus.place(example.tokens.to_vec()[1]).0;
        *uses.entry(own).or_default() += 1;
        let other = corpus.place(example.tokens.to_vec()[example.second_start]).0;
        assert_eq!(example.pair_label, Some(other != own), "a random segment comes from another document");
    }
    (manifest, uses)
}

#[test]
fn an_input_with_weight_two_is_used_twice_and_one_with_a_half_every_second_time() {
    let (manifest, _) = two_inputs(20, 220, |_| ());
    assert!(manifest.settings.mixture.is_none());
    let train = |manifest: &Manifest| manifest.split(Split::Train).unwrap().documents;
    assert_eq!(train(&manifest), 220);
    let weighted = |seed: u64| {
        two_inputs(20, 220, |options| {
            options.seed = seed;
            options.input[0].push_str(":weight=2");
            options.input[1].push_str(":weight=0.5");
        })
    };
    let (manifest, uses) = weighted(17);
    let used = train(&manifest);
    assert!((115..165).contains(&used), "{used}");
    assert_eq!(manifest.corpus.documents, 220);
    assert_eq!(manifest.sources.iter().map(|s| (s.documents, s.weight)).collect::<Vec<_>>(), [(20, 2.0), (200, 0.5)]);
    assert!((0..20).all(|document| uses[&document] >= 2), "{uses:?}");
    assert_eq!(weighted(17).1, uses);
    assert_ne!(weighted(18).1, uses);
}

#[test]
fn the_exponent_evens_languages_out() {
    let (manifest, _) = two_inputs(20, 220, |options| options.sampling_exponent = Some(0.5));
    let weights: Vec<f64> = manifest.sources.iter().map(|source| source.weight).collect();
    let used: Vec<f64> = manifest.sources.iter().map(|source| source.weight * source.bytes as f64).collect();
    assert!(weights[0] > 1.0 && weights[1] < 1.0, "{weights:?}");
    let ratio = (manifest.sources[1].bytes as f64 / manifest.sources[0].bytes as f64).sqrt();
    assert!((used[1] / used[0] - ratio).abs() < 1e-9);
}

#[test]
fn what_is_held_out_is_held_out_whatever_its_weight() {
    let (manifest, uses) = two_inputs(20, 220, |options| {
        options.validation = 0.2;
        options.input[0].push_str(":weight=3");
    });
    let validation = manifest.split(Split::Validation).unwrap();
    assert_eq!(validation.documents + uses.len() as u64, 220);
}

#[test]
fn another_weight_or_cleaning_is_another_dataset() {
    let corpus = Corpus::drawn(10, 10, 5);
    let options = corpus.options("out");
    build(&options, &corpus.tok, &Silent).unwrap();
    let refused = |change: &dyn Fn(&mut BuildOptions), word: &str| {
        let mut other = options.clone();
        change(&mut other);
        let error = build(&other, &corpus.tok, &Silent).unwrap_err();
        assert!(matches!(error, Error::OutputExists { .. }) && error.to_string().contains(word), "{error}");
    };
    refused(&|options| options.input[0].push_str(":weight=2"), "mixture");
    refused(&|options| options.cleaning.line_repeats = 7, "cleaning");
    refused(&|options| options.unreadable = Unreadable::Skip, "unreadable");
}

#[test]
fn bad_bytes_are_an_error_or_counted() {
    let corpus = Corpus::drawn(10, 10, 5);
    fs::write(corpus.path("text/corpus.txt"), b"d0p0 d0p1\n\nd0p1 \xff\nd0p2\n\nd0p3\n").unwrap();
    let options = corpus.options("out");
    let error = build(&options, &corpus.tok, &Silent).unwrap_err();
    assert!(matches!(error, Error::NotUtf8 { line: 3, offset: 16, .. }), "{error}");
    assert!(error.to_string().contains("--unreadable skip"), "{error}");
    let options = BuildOptions { unreadable: Unreadable::Skip, ..options };
    let manifest = build(&options, &corpus.tok, &Silent).unwrap();
    assert_eq!(manifest.dropped.get(Reason::InvalidUtf8).lines, 1);
    assert_eq!((manifest.corpus.documents, manifest.corpus.tokens), (3, 4));
}

#[test]
fn a_compressed_file_that_was_cut_off_leaves_nothing_behind() {
    let corpus = Corpus::drawn(10, 10, 5);
    let text = fs::read(corpus.path("text/corpus.txt")).unwrap();
    fs::remove_file(corpus.path("text/corpus.txt")).unwrap();
    let whole = gzip(&text);
    fs::write(corpus.path("text/corpus.txt.gz"), &whole[..whole.len() / 2]).unwrap();
    let error = build(&corpus.options("out"), &corpus.tok, &Silent).unwrap_err();
    assert!(matches!(error, Error::Compressed { .. }) && !error.is_request(), "{error}");
    assert!(error.to_string().contains("corpus.txt.gz"), "{error}");
    assert_eq!(fs::read_dir(corpus.dir.path()).unwrap().count(), 1, "something was left behind");
    fs::write(corpus.path("text/corpus.txt.gz"), whole).unwrap();
    build(&corpus.options("out"), &corpus.tok, &Silent).unwrap();
}

#[test]
fn a_parquet_file_that_is_none_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    for (name, word) in [("a.parquet", "not a Parquet file"), ("a.parquet.gz", "Decompress")] {
        let path = dir.path().join(name);
        fs::write(&path, "no").unwrap();
        let error = read(&path, Unreadable::Stop).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(word), "{error}");
    }
}
