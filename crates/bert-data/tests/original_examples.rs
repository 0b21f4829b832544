//! Examples with static masks have the distribution of the original builder: every statistic of
//! `scripts/reference/original_examples.py`, which was written from the recipe alone, within what chance explains.
//!
//! The copies of a corpus are independent, so the mean of a statistic over n copies has the variance of one copy over n. The
//! golden file has mean and standard deviation over its copies; the difference of the two means, in standard deviations, is z.
//! All draws follow from seeds, so these tests pass or fail always.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use bert_data::build::{BuildOptions, Sentences, build};
use bert_data::cleaning::CleaningOptions;
use bert_data::examples::{ExampleSet, Split};
use bert_data::manifest::StaticMasks;
use bert_data::masking::{MaskKind, MaskingOptions, Replacements};
use bert_data::progress::Silent;
use bert_data::tokenizer::{SPECIAL_TOKENS, Tokenizer};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Copies of the corpus that are built here.
const COPIES: u64 = 10;

#[derive(Deserialize)]
struct Golden {
    settings: Settings,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Settings {
    seq_len: usize,
    short_seq_prob: f64,
    masked_lm_prob: f64,
    max_predictions: usize,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    text_sha256: String,
    documents: u64,
    tokens: u64,
    whole_word: bool,
    copies: u64,
    statistics: BTreeMap<String, Spread>,
}

#[derive(Deserialize)]
struct Spread {
    mean: f64,
    sd: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/original_examples.json")).unwrap()
}

/// Ratios of sums, by name.
#[derive(Default)]
struct Sums(BTreeMap<String, (f64, f64)>);

impl Sums {
    fn add(&mut self, name: &str, part: f64, whole: f64) {
        let sums = self.0.entry(name.to_string()).or_default();
        sums.0 += part;
        sums.1 += whole;
    }

    fn count(&mut self, name: &str, holds: bool) {
        self.add(name, f64::from(u8::from(holds)), 1.0);
    }

    fn shares(&mut self, name: &str, value: usize, bins: usize) {
        (0..bins).for_each(|bin| self.count(&format!("{name} {bin}/{bins}"), value == bin));
    }
}

/// The first and last three tokens of every sentence.
struct Edges {
    begins: BTreeSet<[u32; 3]>,
    ends: BTreeSet<[u32; 3]>,
}

impl Edges {
    fn of(text: &str, tok: &Tokenizer) -> Self {
        let mut edges = Edges { begins: BTreeSet::new(), ends: BTreeSet::new() };
        for line in text.lines() {
            let ids = tok.encode(line);
            edges.begins.extend(ids.first_chunk());
            edges.ends.extend(ids.last_chunk());
        }
        edges
    }
}

/// The statistics of a dataset, named as in the golden file.
fn statistics(set: &ExampleSet, tok: &Tokenizer, edges: &Edges) -> BTreeMap<String, f64> {
    let mut sums = Sums::default();
    let (seq_len, mask) = (set.manifest().settings.seq_len, tok.special().mask);
    for i in 0..set.len() {
        let example = set.get(i);
        let masks = example.masks.unwrap();
        let found = example.tokens.to_vec();
        let mut tokens = found.clone();
        for (&position, label) in masks.positions.iter().zip(masks.labels.iter()) {
            tokens[usize::from(position)] = label;
        }
        let random = example.pair_label.unwrap();
        let kind = if random { "random" } else { "next" };
        let (length, start) = (tokens.len(), example.second_start);
        let (first, second) = (&tokens[1..start - 1], &tokens[start..length - 1]);
        sums.count("random next", random);
        sums.add("length", length as f64, 1.0);
        sums.count("full length", length == seq_len);
        sums.shares("length", (length - 1) * 8 / seq_len, 8);
        sums.add(&format!("A, {kind}"), first.len() as f64, 1.0);
        sums.add(&format!("B, {kind}"), second.len() as f64, 1.0);
        let share = 5 * first.len() / (first.len() + second.len());
        sums.shares(&format!("share of A, {kind}"), share.min(4), 5);
        for (name, segment) in [("A", first), ("B", second)] {
            if let (Some(front), Some(behind)) = (segment.first_chunk(), segment.last_chunk()) {
                sums.count(&format!("{name} cut in front, {kind}"), !edges.begins.contains(front));
                sums.count(&format!("{name} cut behind, {kind}"), !edges.ends.contains(behind));
            }
        }
        sums.add("masks", masks.positions.len() as f64, 1.0);
        sums.add("masks of length", masks.positions.len() as f64, length as f64);
        for &position in masks.positions {
            let at = usize::from(position);
            let (label, found) = (tokens[at], found[at]);
            let replaced = found != label && found != mask;
            sums.count("masked", found == mask);
            sums.count("left", found == label);
            sums.count("replaced", replaced);
            sums.shares("mask at", at * 5 / length, 5);
            sums.count("mask in A", at < start);
            sums.count("mask on a continuation", tok.decode_token(label).starts_with("##"));
            if replaced {
                sums.count("replaced by a special or unused token", tok.is_special(found));
                sums.add("replacement", f64::from(found) / tok.vocab_size() as f64, 1.0);
            }
        }
    }
    let counts = set.manifest().split(Split::Train).unwrap();
    let all = (COPIES * set.manifest().corpus.tokens) as f64;
    sums.add("examples of tokens", counts.examples as f64, all);
    sums.add("own tokens", counts.tokens_kept as f64, all);
    sums.add("cut tokens", counts.tokens_truncated as f64, all);
    sums.add("random tokens", counts.tokens_random as f64, all);
    sums.0.into_iter().map(|(name, (part, whole))| (name, if whole > 0.0 { part / whole } else { 0.0 })).collect()
}

/// z of every statistic of a case.
fn compare(case: &Case, found: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let names = |map: &mut dyn Iterator<Item = &String>| map.cloned().collect::<Vec<_>>();
    assert_eq!(names(&mut found.keys()), names(&mut case.statistics.keys()), "{}", case.name);
    let z = |(name, golden): (&String, &Spread)| {
        // What is the same in every copy (a share of 0, say) must be the same here.
        let sd = golden.sd.max(1e-9) * (1.0 / case.copies as f64 + 1.0 / COPIES as f64).sqrt();
        (name.clone(), (found[name] - golden.mean) / sd)
    };
    case.statistics.iter().map(z).collect()
}

/// A text on disk with its vocabulary.
struct Corpus {
    dir: tempfile::TempDir,
    tok: Tokenizer,
    edges: Edges,
}

impl Corpus {
    fn new(text: &str, tok: Tokenizer, case: &Case) -> Self {
        let sha256: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(sha256, case.text_sha256, "{}: another text than the golden file's", case.name);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("text.txt"), text).unwrap();
        Corpus { edges: Edges::of(text, &tok), dir, tok }
    }

    fn sample(case: &Case) -> Self {
        let text: String = bert_data::sample::corpus().iter().map(|(_, text)| *text).collect();
        let mut words = BTreeSet::new();
        for word in text.to_lowercase().split_whitespace() {
            words.extend(word.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).flat_map(|part| {
                let cut = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len();
                [part[..cut].to_string(), part[cut..].to_string()]
            }));
        }
        words.remove("");
        let tokens = SPECIAL_TOKENS.iter().map(ToString::to_string).chain(words).collect();
        Self::new(&text, Tokenizer::from_vocab(tokens, true).unwrap(), case)
    }

    /// None, after a line that says so, where the shared data are missing.
    fn novels(case: &Case) -> Option<Self> {
        let folder = std::env::var_os("BERT_SHARED_DATA")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), Into::into);
        if !folder.is_dir() {
            eprintln!("skipped: no {} (set BERT_SHARED_DATA)", folder.display());
            return None;
        }
        let mut xz = Command::new("xz")
            .arg("-dc")
            .arg(folder.join("corpora/novels.txt.xz"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test reads an archive with `xz`");
        let lines = BufReader::new(xz.stdout.take().unwrap()).lines().take(6000);
        let (mut text, mut paragraphs) = (String::new(), 0);
        for line in lines.map(Result::unwrap).filter(|line| !line.trim().is_empty()) {
            text += &line.trim().replace(". ", ".\n");
            paragraphs += 1;
            text += if paragraphs % 20 == 0 { "\n\n" } else { "\n" };
        }
        let _ = xz.kill();
        let _ = xz.wait();
        let tok = Tokenizer::open(&folder.join("vocabs/bert-base-uncased/vocab.txt")).unwrap();
        Some(Self::new(&text, tok, case))
    }

    fn options(&self, golden: &Golden, whole_word: bool) -> BuildOptions {
        let Settings { seq_len, short_seq_prob, masked_lm_prob, max_predictions } = golden.settings;
        let masking = MaskingOptions {
            kind: if whole_word { MaskKind::WholeWord } else { MaskKind::Token },
            rate: masked_lm_prob,
            max_predictions,
            replacements: Replacements::Vocabulary,
            ..MaskingOptions::default()
        };
        BuildOptions {
            input: vec![self.dir.path().join("text.txt").to_str().unwrap().to_string()],
            sentences: Sentences::Lines,
            cleaning: CleaningOptions::none(),
            seq_len,
            short_seq_prob,
            static_masks: Some(StaticMasks { dupe_factor: COPIES, masking }),
            seed: 5,
            workers: 2,
            output: self.dir.path().join("out"),
            overwrite: true,
            ..BuildOptions::default()
        }
    }

    fn measured(&self, options: &BuildOptions, case: &Case) -> BTreeMap<String, f64> {
        let manifest = build(options, &self.tok, &Silent).unwrap();
        assert_eq!((manifest.corpus.documents, manifest.corpus.tokens), (case.documents, case.tokens), "{}", case.name);
        let set = ExampleSet::open(&options.output, Split::Train).unwrap();
        compare(case, &statistics(&set, &self.tok, &self.edges))
    }
}

/// The largest |z| with its name, and the mean of z squared.
fn extremes(z: &BTreeMap<String, f64>) -> (f64, String, f64) {
    let (name, largest) = z.iter().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap();
    (largest.abs(), name.clone(), z.values().map(|z| z * z).sum::<f64>() / z.len() as f64)
}

fn assert_same_distribution(case: &Case, z: &BTreeMap<String, f64>) {
    let (largest, name, mean_square) = extremes(z);
    eprintln!("{}: {} statistics, largest |z| {largest:.2} ({name}), mean z^2 {mean_square:.2}", case.name, z.len());
    // Of 200 normal variables one exceeds 4.5 once in 700 tries; z^2 is 1 on average.
    assert!(largest < 4.5 && mean_square < 2.0, "{}: {z:#?}", case.name);
}

#[test]
fn the_sample() {
    let golden = golden();
    let case = golden.cases.iter().find(|case| case.name == "sample").unwrap();
    let corpus = Corpus::sample(case);
    assert_same_distribution(case, &corpus.measured(&corpus.options(&golden, false), case));
}

#[test]
fn real_text() {
    let golden = golden();
    for case in golden.cases.iter().filter(|case| case.name != "sample") {
        let Some(corpus) = Corpus::novels(case) else { return };
        assert_same_distribution(case, &corpus.measured(&corpus.options(&golden, case.whole_word), case));
    }
}

/// What the comparison is worth: other settings are told from the original's.
#[test]
fn other_settings_do_not_pass() {
    let golden = golden();
    let case = golden.cases.iter().find(|case| case.name == "sample").unwrap();
    let corpus = Corpus::sample(case);
    let original = corpus.options(&golden, false);
    let masks = |change: &dyn Fn(&mut MaskingOptions)| {
        let mut options = original.clone();
        change(&mut options.static_masks.as_mut().unwrap().masking);
        options
    };
    for (what, options) in [
        ("short-seq-prob", BuildOptions { short_seq_prob: 0.13, ..original.clone() }),
        ("rate", masks(&|masking| masking.rate = 0.145)),
        ("mask", masks(&|masking| masking.mask = 0.79)),
        ("random", masks(&|masking| masking.random = 0.11)),
        ("most predictions", masks(&|masking| masking.max_predictions = 18)),
        ("replacements", masks(&|masking| masking.replacements = Replacements::Ordinary)),
        ("n-grams", masks(&|masking| masking.kind = MaskKind::NGram)),
    ] {
        let (largest, name, _) = extremes(&corpus.measured(&options, case));
        eprintln!("{what}: |z| {largest:.1} ({name})");
        assert!(largest > 4.5, "{what} was not noticed");
    }
}
