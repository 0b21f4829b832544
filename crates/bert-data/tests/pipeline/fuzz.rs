//! Mutations of real text and of real files, and anything else: no panic, no endless loop, no output larger than its input.
//!
//! Each test draws cases for a few seconds, `BERT_FUZZ_SECONDS` to change that. A failure names its seed, for
//! `BERT_FUZZ_SEED`, and proptest shrinks the case. The text is what `../shared/data` has, the embedded sample where that
//! folder is missing.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bert_data::build::{BuildOptions, build};
use bert_data::cleaning::split_sentences;
use bert_data::examples::{ExampleSet, Split};
use bert_data::loader::MaskedExample;
use bert_data::manifest::StaticMasks;
use bert_data::masking::{Masker, MaskingOptions};
use bert_data::progress::Silent;
use bert_data::sources::{Documents, ReadOptions, Unreadable, expand};
use bert_data::verify::verify;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::corpus::Corpus;

/// A case that takes longer never ends.
const LONGEST_CASE: Duration = Duration::from_secs(60);
/// Real text that is mutated, in bytes, of each corpus.
const REAL_TEXT: usize = 400_000;
/// Longest piece of it in a case.
const LONGEST_PIECE: usize = 6000;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Draws cases until the time is up.
fn fuzz<S: Strategy>(name: &'static str, cases: &S, check: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: std::fmt::Debug,
{
    let seed = variable("BERT_FUZZ_SEED").unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
    });
    let until = Instant::now() + Duration::from_secs(variable("BERT_FUZZ_SECONDS").unwrap_or(4));
    let began = Arc::new(Mutex::new(Some(Instant::now())));
    let watched = began.clone();
    // A loop without end cannot be ended from outside but with the process.
    let watch = std::thread::spawn(move || {
        loop {
            // Taken out first: the lock must not be held while this thread sleeps.
            let began = *watched.lock().unwrap();
            let Some(began) = began else { return };
            if began.elapsed() > LONGEST_CASE {
                eprintln!("{name}: a case does not end; BERT_FUZZ_SEED={seed}");
                std::process::abort();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let mut rounds = 0_u64;
    let failed = loop {
        // A runner stops for good after its number of cases.
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&rounds.to_le_bytes());
        let config = Config { cases: 64, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let outcome = runner.run(cases, |case| {
            *began.lock().unwrap() = Some(Instant::now());
            check(case)
        });
        rounds += 1;
        match outcome {
            Ok(()) if Instant::now() < until => {}
            Ok(()) => break None,
            Err(TestError::Fail(reason, case)) => break Some(format!("{reason}: {case:?}")),
            Err(other) => break Some(other.to_string()),
        }
    };
    *began.lock().unwrap() = None;
    watch.join().unwrap();
    println!("{name}: {} cases", rounds * 64);
    assert!(failed.is_none(), "BERT_FUZZ_SEED={seed}: {}", failed.unwrap_or_default());
}

/// The beginnings of the corpora.
fn real_text() -> Vec<u8> {
    let folder = std::env::var_os("BERT_SHARED_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let mut text = Vec::new();
    for name in ["novels.txt.xz", "wikipedia-AA.tar.xz"] {
        if let Ok(file) = File::open(folder.join("corpora").join(name)) {
            let decoder = liblzma::read::XzDecoder::new(file);
            decoder.take(REAL_TEXT as u64).read_to_end(&mut text).unwrap();
        }
    }
    if text.is_empty() {
        println!("no {}: the embedded sample is mutated", folder.display());
        let inputs = expand(&["sample".to_string()]).unwrap();
        for document in inputs.iter().flat_map(|input| Documents::open(input, ReadOptions::default()).unwrap()) {
            text.extend((document.unwrap().paragraphs.join("\n") + "\n\n").into_bytes());
        }
    }
    text
}

/// What is done to some bytes.
#[derive(Debug, Clone)]
enum Change {
    /// One byte becomes another.
    Set(usize, u8),
    /// Something is put in.
    Insert(usize, Vec<u8>),
    /// A stretch is taken out.
    Remove(usize, usize),
    /// A stretch is put in again elsewhere, so many times.
    Repeat(usize, usize, usize, usize),
    /// The end is cut off.
    Cut(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let at = |place: &usize| place % bytes.len();
        match self {
            Change::Set(place, byte) => {
                let place = at(place);
                bytes[place] = *byte;
            }
            Change::Insert(place, new) => {
                let place = at(place);
                bytes.splice(place..place, new.iter().copied());
            }
            Change::Remove(place, length) => {
                let place = at(place);
                bytes.drain(place..(place + length).min(bytes.len()));
            }
            Change::Repeat(from, length, to, times) => {
                let (from, to) = (at(from), at(to));
                let piece = bytes[from..(from + length).min(bytes.len())].repeat(*times);
                bytes.splice(to..to, piece);
            }
            Change::Cut(place) => bytes.truncate(at(place)),
        }
    }
}

/// Changes of which `pieces` are put in.
fn changes(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<Change>> {
    let place = any::<usize>;
    let piece = prop_oneof![
        4 => prop::sample::select(pieces).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..8),
        1 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
    ];
    let change = prop_oneof![
        2 => (place(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        8 => (place(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        2 => (place(), 0..200_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        2 => (place(), 1..60_usize, place(), 1..40_usize).prop_map(|(a, b, c, d)| Change::Repeat(a, b, c, d)),
        1 => place().prop_map(Change::Cut),
    ];
    prop::collection::vec(change, 0..30)
}

/// A piece of real text with changes.
fn mutated(real: Arc<Vec<u8>>, pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    (any::<usize>(), 0..LONGEST_PIECE, changes(pieces)).prop_map(move |(start, length, changes)| {
        let start = start % real.len();
        let mut text = real[start..(start + length).min(real.len())].to_vec();
        changes.iter().for_each(|change| change.apply(&mut text));
        text
    })
}

const MARKUP: &[&str] = &[
    "{{",
    "}}",
    "{{{",
    "}}}",
    "[[",
    "]]",
    "[http://x ",
    "]",
    "\n{|\n",
    "\n|}\n",
    "\n|-\n",
    "|",
    "''",
    "'''''",
    "<ref>",
    "</ref>",
    "<ref name=a/>",
    "<!--",
    "-->",
    "<nowiki>",
    "</nowiki>",
    "<math>",
    "</math>",
    "<ul>",
    "<table>",
    "</table>",
    "\n== H ==\n",
    "\n* ",
    "\n#",
    "\n: ",
    "&amp;",
    "&#x41;",
    "&#0;",
    "&#x110000;",
    "&nbsp;",
    "__TOC__",
    "-{",
    "}-",
    "File:",
    "[[File:a|",
    "{{convert|5|km}}",
    "{{lang|fr|",
    "#REDIRECT [[a]]",
    "<div",
    ">",
    "\r\n",
    "\u{feff}",
    "\0",
    "( ; )",
    "{{disambiguation}}",
];

const MARKS: &[&str] = &[
    ".",
    "!",
    "?",
    "…",
    "...",
    "。",
    "！",
    "」",
    "「",
    "”",
    "“",
    "\"",
    "'",
    ")",
    "(",
    " ",
    "\u{a0}",
    "\u{3000}",
    "\n",
    "Mr.",
    "J. ",
    "U.S.",
    "No. 5",
    "3. Oktober",
    "1.",
    "12.5",
    "e.g. ",
    "«",
    "»",
    "¿",
    "،",
    "।",
    "\u{200b}",
    "\u{301}",
    "İ",
    "ß",
    "ﬁ",
];

const XML: &[&str] = &[
    "<page>",
    "</page>",
    "<text>",
    "</text>",
    "<text bytes=\"9\" />",
    "<title>",
    "</title>",
    "<ns>0</ns>",
    "<ns>",
    "<revision>",
    "</revision>",
    "<redirect title=\"a\" />",
    "</mediawiki>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?x",
    "?>",
    "&lt;",
    "&bad;",
    "&#0;",
    "<siteinfo>",
    "<namespace key=\"6\">",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "&b;",
    "<page",
    "{{",
    "[[",
];

#[test]
fn the_sentence_splitter_loses_nothing() {
    let squeezed = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    fuzz("sentences", &mutated(Arc::new(real_text()), MARKS), |bytes| {
        let text = String::from_utf8_lossy(&bytes);
        let sentences = split_sentences(&text);
        prop_assert_eq!(squeezed(&sentences.concat()), squeezed(&text));
        prop_assert!(sentences.iter().all(|sentence| !sentence.is_empty() && sentence.trim() == *sentence));
        Ok(())
    });
}

/// The documents of a file, at most as many bytes as `most`.
fn read(path: &Path, content: &[u8], unreadable: Unreadable, most: usize) -> Result<(), TestCaseError> {
    fs::write(path, content).unwrap();
    let inputs = expand(&[path.to_str().unwrap().to_string()]).unwrap();
    let mut bytes = 0;
    match Documents::open(&inputs[0], ReadOptions { unreadable, ..ReadOptions::default() }) {
        Err(error) => prop_assert!(error.to_string().contains("fuzz"), "{}", error),
        Ok(documents) => {
            for document in documents {
                match document {
                    Ok(document) => {
                        prop_assert!(!document.paragraphs.is_empty());
                        bytes += document.paragraphs.iter().map(String::len).sum::<usize>();
                    }
                    Err(error) => prop_assert!(error.to_string().contains("fuzz"), "{}", error),
                }
            }
        }
    }
    prop_assert!(bytes <= most, "{bytes} bytes of {}", content.len());
    Ok(())
}

#[test]
fn the_wikitext_cleaner_and_the_dump_reader_take_anything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fuzz.xml");
    let real = Arc::new(real_text());
    let head = "<mediawiki>\n<siteinfo><namespaces><namespace key=\"6\">File</namespace></namespaces></siteinfo>\n";
    // Wikitext as it comes out of well-formed XML, then damage to the XML itself.
    let article = mutated(real, MARKUP).prop_map(|text| {
        let text = String::from_utf8_lossy(&text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!("<page><title>T</title><ns>0</ns><revision><text>{text}</text></revision></page>\n")
    });
    let dump = (prop::collection::vec(article, 1..4), prop::option::weighted(0.6, changes(XML)), any::<bool>())
        .prop_map(|(pages, damage, skip)| {
            let mut bytes = pages.concat().into_bytes();
            damage.into_iter().flatten().for_each(|change| change.apply(&mut bytes));
            (bytes, skip)
        });
    fuzz("dump", &dump, |(pages, skip)| {
        let content = [head.as_bytes(), &pages, b"</mediawiki>\n"].concat();
        let unreadable = if skip { Unreadable::Skip } else { Unreadable::Stop };
        // An entity of two bytes may become a character of four.
        read(&path, &content, unreadable, 2 * content.len())
    });
}

#[test]
fn every_other_text_source_takes_anything() {
    let dir = tempfile::tempdir().unwrap();
    let text = real_text();
    let jsonl: String = String::from_utf8_lossy(&text)
        .lines()
        .map(|line| serde_json::json!({ "text": line }).to_string() + "\n")
        .collect();
    let gzip = {
        let mut encoder = flate2::read::GzEncoder::new(Cursor::new(&text[..20_000]), flate2::Compression::fast());
        let mut bytes = Vec::new();
        encoder.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let zstd = zstd::encode_all(&text[..20_000], 1).unwrap();
    for (name, content) in
        [("fuzz.txt", text), ("fuzz.jsonl", jsonl.into_bytes()), ("fuzz.txt.gz", gzip), ("fuzz.txt.zst", zstd)]
    {
        let path = dir.path().join(name);
        fuzz(name, &(mutated(Arc::new(content), MARKUP), any::<bool>()), |(content, skip)| {
            let unreadable = if skip { Unreadable::Skip } else { Unreadable::Stop };
            // What repeats may have been compressed to nothing; Zstandard's windows are bounded by its library.
            read(&path, &content, unreadable, 200 << 20)
        });
    }
}

/// Opens a dataset and draws every example, or is told which file is damaged.
fn read_examples(dataset: &Path, masker: &Masker) -> Result<(), TestCaseError> {
    match ExampleSet::open(dataset, Split::Train) {
        Err(error) => prop_assert!(error.to_string().contains(".arrow"), "{}", error),
        Ok(set) => {
            for index in 0..set.len() {
                let example = MaskedExample::new(&set, masker, 1, 0, index);
                prop_assert!(example.second_start <= example.input_ids.len());
                let length = example.input_ids.len() as u32;
                prop_assert!(example.positions.iter().all(|&position| position < length));
                prop_assert_eq!(example.positions.len(), example.labels.len());
            }
        }
    }
    Ok(())
}

/// A small dataset, its folder, its only file of training examples and how to mask it.
fn dataset(masked: bool) -> (Corpus, PathBuf, PathBuf, Masker) {
    let corpus = Corpus::drawn(20, 10, 8);
    let masking = MaskingOptions::default();
    let options = BuildOptions {
        static_masks: masked.then_some(StaticMasks { dupe_factor: 1, masking }),
        ..corpus.options("out")
    };
    build(&options, &corpus.tok, &Silent).unwrap();
    let masker = Masker::new(masking, &corpus.tok).unwrap();
    let out = corpus.path("out");
    let path = out.join("train-00000-of-00001.arrow");
    (corpus, out, path, masker)
}

/// The bits that decide where the reader looks, one by one: nothing here is left to luck.
#[test]
fn any_bit_of_an_arrow_header_may_be_wrong() {
    for masked in [false, true] {
        let (_corpus, out, path, masker) = dataset(masked);
        let mut bytes = fs::read(&path).unwrap();
        let (head, tail) = (bytes.len().min(2000), bytes.len().saturating_sub(1500));
        for bit in (0..8 * head).chain(8 * tail..8 * bytes.len()) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).unwrap();
            let outcome = std::panic::catch_unwind(|| read_examples(&out, &masker));
            assert!(matches!(outcome, Ok(Ok(()))), "masked: {masked}, byte {}, bit {}: {outcome:?}", bit / 8, bit % 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn the_arrow_reader_takes_anything() {
    for masked in [false, true] {
        let (_corpus, out, path, masker) = dataset(masked);
        let whole = fs::read(&path).unwrap();
        // Most of what there is to get wrong lies in the headers and at the end.
        let place =
            prop_oneof![0..whole.len().min(1500), whole.len().saturating_sub(1500)..whole.len(), 0..whole.len()];
        let change = prop_oneof![
            6 => (place.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
            4 => (place.clone(), 0..8_u32).prop_map({
                let whole = whole.clone();
                move |(at, bit)| Change::Set(at, whole[at] ^ 1 << bit)
            }),
            1 => place.clone().prop_map(Change::Cut),
            1 => (place.clone(), 1..64_usize).prop_map(|(at, length)| Change::Remove(at, length)),
            1 => (place.clone(), prop::collection::vec(any::<u8>(), 1..16)).prop_map(|(at, new)| Change::Insert(at, new)),
            1 => (place.clone(), 1..64_usize, place, 1..3_usize).prop_map(|(a, b, c, d)| Change::Repeat(a, b, c, d)),
        ];
        fuzz("arrow", &prop::collection::vec(change, 1..6), |changes| {
            let mut bytes = whole.clone();
            changes.iter().for_each(|change| change.apply(&mut bytes));
            fs::write(&path, &bytes).unwrap();
            read_examples(&out, &masker)?;
            let found = verify(&out, &Silent).unwrap().problems;
            prop_assert_eq!(found.is_empty(), bytes == whole);
            Ok(())
        });
    }
}
