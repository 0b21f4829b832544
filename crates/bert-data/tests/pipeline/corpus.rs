//! A corpus in which every token tells where it stands: the word `d3p17` is token 17 of document 3.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bert_data::build::{BuildOptions, Sentences};
use bert_data::tokenizer::{SPECIAL_TOKENS, Tokenizer};
use tempfile::TempDir;

/// A corpus on disk, its vocabulary, and a place for outputs.
pub struct Corpus {
    pub dir: TempDir,
    pub tok: Tokenizer,
    /// Lengths of the sentences of each document.
    pub documents: Vec<Vec<usize>>,
}

/// Where a token stands: (document, position).
pub type Place = (usize, usize);

impl Corpus {
    /// Documents with these sentence lengths; the vocabulary is filled up to `vocab_size`.
    pub fn new(documents: Vec<Vec<usize>>, vocab_size: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut tokens: Vec<String> = SPECIAL_TOKENS.iter().map(ToString::to_string).collect();
        let mut text = String::new();
        for (d, sentences) in documents.iter().enumerate() {
            let mut position = 0;
            for &length in sentences {
                let words: Vec<String> = (position..position + length).map(|p| format!("d{d}p{p}")).collect();
                text.push_str(&words.join(" "));
                text.push('\n');
                tokens.extend(words);
                position += length;
            }
            text.push('\n');
        }
        fs::create_dir(dir.path().join("text")).unwrap();
        fs::write(dir.path().join("text/corpus.txt"), text).unwrap();
        for i in tokens.len()..vocab_size {
            tokens.push(format!("filler{i}"));
        }
        Corpus { tok: Tokenizer::from_vocab(tokens, true).unwrap(), dir, documents }
    }

    /// `documents` documents of `sentences` sentences of 1 to `longest` tokens, lengths drawn by a fixed rule.
    pub fn drawn(documents: usize, sentences: usize, longest: usize) -> Self {
        let mut state = 1_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            1 + (state >> 33) as usize % longest
        };
        Self::new((0..documents).map(|_| (0..sentences).map(|_| draw()).collect()).collect(), 0)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn options(&self, output: &str) -> BuildOptions {
        BuildOptions {
            input: vec![self.path("text").to_str().unwrap().to_string()],
            sentences: Sentences::Lines,
            seq_len: 64,
            seed: 17,
            workers: 2,
            output: self.path(output),
            ..Default::default()
        }
    }

    pub fn place(&self, id: u32) -> Place {
        let (document, position) = self.tok.decode_token(id)[1..].split_once('p').unwrap();
        (document.parse().unwrap(), position.parse().unwrap())
    }

    pub fn tokens_of(&self, document: usize) -> usize {
        self.documents[document].iter().sum()
    }
}

/// Every file below a folder with its bytes.
pub fn bytes_of(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_string();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Numbers drawn by a fixed rule.
pub struct Draws(pub u64);

impl Draws {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}
