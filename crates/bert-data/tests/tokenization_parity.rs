//! Token ids equal Hugging Face's, for 10,000 lines of real text and for strings that catch a wrong normaliser.
//!
//! The golden file says how it was made: `scripts/reference/tokenization.py`. The lines themselves are not in the
//! project: they are read from the archives under `$BERT_SHARED_DATA` (default `../shared/data`) with `xz` and `tar`.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bert_data::tokenizer::Tokenizer;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Golden {
    lines_per_source: usize,
    lines_per_block: usize,
    sources: Vec<Source>,
    vocabularies: std::collections::BTreeMap<String, Vocabulary>,
}

#[derive(Deserialize)]
struct Source {
    command: Vec<String>,
    file: String,
    stride: usize,
}

#[derive(Deserialize)]
struct Vocabulary {
    lowercase: bool,
    blocks: Vec<Block>,
    edge_cases: Vec<EdgeCase>,
}

#[derive(Deserialize)]
struct Block {
    tokens: usize,
    sha256: String,
    /// Four hexadecimal digits a line.
    lines: String,
}

#[derive(Deserialize)]
struct EdgeCase {
    text: String,
    ids: Vec<u32>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/tokenization.json")).unwrap()
}

/// The folder of shared test data, or `None` after saying that the test is skipped.
fn shared_data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BERT_SHARED_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: {test}: {} is missing; set BERT_SHARED_DATA to the folder of shared test data",
        folder.display()
    );
    None
}

fn is_installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The lines of one source that the golden file was made from: every `stride`th that is not blank.
fn chosen_lines(source: &Source, data: &Path, wanted: usize) -> Vec<String> {
    let output = Command::new(&source.command[0])
        .args(&source.command[1..])
        .arg(data.join(&source.file))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{} cannot be unpacked", source.file);
    let lines: Vec<String> = output
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .step_by(source.stride)
        .take(wanted)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    assert_eq!(lines.len(), wanted, "{} has too few lines", source.file);
    lines
}

fn open(name: &str, lowercase: bool, data: &Path) -> Tokenizer {
    let file = data.join("vocabs").join(name).join("vocab.txt");
    let vocab = std::fs::read_to_string(file).unwrap();
    let tokens = vocab.lines().map(str::to_owned).collect();
    Tokenizer::from_vocab(tokens, lowercase).unwrap()
}

/// What is hashed for a line: the number of its ids, then the ids, as little-endian 32-bit integers.
fn record(ids: &[u32]) -> Vec<u8> {
    std::iter::once(ids.len() as u32).chain(ids.iter().copied()).flat_map(u32::to_le_bytes).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn ten_thousand_lines_of_real_text_get_the_ids_of_hugging_face() {
    let test = "ten_thousand_lines_of_real_text_get_the_ids_of_hugging_face";
    let Some(data) = shared_data(test) else {
        return;
    };
    if let Some(missing) = ["xz", "tar"].iter().find(|program| !is_installed(program)) {
        println!("skipped: {test}: the program `{missing}`, which unpacks the corpora, is missing");
        return;
    }
    let golden = golden();
    let lines: Vec<String> =
        golden.sources.iter().flat_map(|source| chosen_lines(source, &data, golden.lines_per_source)).collect();
    assert_eq!(lines.len(), 10_000);
    for (name, expected) in &golden.vocabularies {
        let tokenizer = open(name, expected.lowercase, &data);
        assert_eq!(expected.blocks.len() * golden.lines_per_block, lines.len());
        for (index, block) in expected.blocks.iter().enumerate() {
            let first = index * golden.lines_per_block;
            let mut hash = Sha256::new();
            let mut tokens = 0;
            for (offset, line) in lines[first..first + golden.lines_per_block].iter().enumerate() {
                let ids = tokenizer.encode(line);
                // The word cache in front of the library must be invisible.
                assert_eq!(ids, tokenizer.encode_uncached(line), "{name}: line {}", first + offset);
                let bytes = record(&ids);
                assert_eq!(
                    hex(&Sha256::digest(&bytes)[..2]),
                    block.lines[4 * offset..4 * offset + 4],
                    "{name}: line {} gets other ids; compare with `tokenization.py --show {}`\n{line}\n{:?}",
                    first + offset,
                    first + offset,
                    ids.iter().map(|&id| tokenizer.decode_token(id)).collect::<Vec<_>>(),
                );
                tokens += ids.len();
                hash.update(&bytes);
            }
            assert_eq!(tokens, block.tokens, "{name}: tokens in lines {first}..");
            assert_eq!(
                hex(&hash.finalize()),
                block.sha256,
                "{name}: lines {first}.. differ though each line's short hash is right"
            );
        }
    }
}

#[test]
fn hard_strings_get_the_ids_of_hugging_face() {
    let Some(data) = shared_data("hard_strings_get_the_ids_of_hugging_face") else {
        return;
    };
    for (name, expected) in &golden().vocabularies {
        let tokenizer = open(name, expected.lowercase, &data);
        for case in &expected.edge_cases {
            assert_eq!(tokenizer.encode(&case.text), case.ids, "{name}: {:?}", case.text);
            assert_eq!(tokenizer.encode_uncached(&case.text), case.ids, "{name}: {:?}", case.text);
        }
    }
}
