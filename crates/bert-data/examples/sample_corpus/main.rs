//! Makes the embedded sample: the corpus, the small task files, and the best loss that is possible on them.
//!
//! ```text
//! cargo run --release -p bert-data --example sample_corpus -- data
//! ```
//!
//! writes `sample/` and `tasks/` below the folder named, the same bytes on every run. With `--no-floor` only the
//! texts are written: the figures take minutes.

mod facts;
mod floor;
mod grammar;
mod hmm;
mod inference;
mod output;
mod pairs;
mod pattern;
mod random;
mod readme;
mod tasks;
mod topics;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use floor::{Floor, measure};
use grammar::Grammar;
use inference::Corruption;
use output::Corpus;
use pairs::PairOptions;

/// Examples read for each length; the standard error of the loss is then below .005.
const EXAMPLES: usize = 4000;
/// Sequence lengths the floor is worked out for.
const LENGTHS: [usize; 3] = [32, 64, 128];
/// Vocabulary that random tokens are drawn from: the size of the sample's WordPiece vocabulary.
const VOCABULARY: usize = 1400;

fn floors(grammar: &Grammar, corpus: &Corpus, corruption: Corruption) -> Vec<Floor> {
    let fresh = floor::documents(grammar, 4000, output::SENTENCES, output::SEED, 2);
    let others = floor::documents(grammar, 4000, output::SENTENCES, output::SEED, 3);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    LENGTHS
        .iter()
        .map(|&seq_len| {
            let options = PairOptions {
                seq_len,
                short_seq_prob: 0.1,
            };
            let floor = measure(
                grammar,
                corruption,
                options,
                &corpus.frequencies,
                (&fresh, &others),
                (EXAMPLES, threads, output::SEED),
            );
            println!(
                "length {seq_len}: MLM loss {:.4} (error {:.4}; expected of itself {:.4}), accuracy {:.4}; unigram {:.4}; NSP {:.4}",
                floor.mlm_loss.mean,
                floor.mlm_loss.error,
                floor.expected_loss.mean,
                floor.mlm_accuracy.mean,
                floor.unigram_loss.mean,
                floor.nsp_accuracy.mean
            );
            floor
        })
        .collect()
}

fn run(folder: &Path, with_floor: bool) -> Result<(), String> {
    let topics = topics::parse(include_str!("topics.txt"))?;
    let grammar = Grammar::new(&topics);
    let corpus = Corpus::new(&grammar);
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    for (name, text) in &corpus.files {
        files.push((Path::new("sample").join(name), text.clone()));
    }
    for (name, text) in tasks::files(&topics, &grammar, output::SEED) {
        files.push((Path::new("tasks").join(name), text));
    }
    if with_floor {
        let corruption =
            Corruption { rate: 0.15, mask: 0.8, random: 0.1, vocabulary: VOCABULARY, words: grammar.words.list.len() };
        let floors = floors(&grammar, &corpus, corruption);
        let text = readme::readme(&floors, corruption, corpus.sizes);
        files.push((Path::new("sample").join("README.md"), text));
        let text = readme::floor_toml(&floors, corruption);
        files.push((Path::new("sample").join("floor.toml"), text));
    }
    for (name, text) in files {
        let path = folder.join(name);
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, &text));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        println!("{}: {} bytes", path.display(), text.len());
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, with_floor) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [folder] if !folder.starts_with('-') => (folder.to_owned(), true),
        [folder, "--no-floor"] => (folder.to_owned(), false),
        _ => {
            eprintln!("usage: sample_corpus FOLDER [--no-floor]   (FOLDER is the project's data/)");
            return ExitCode::from(2);
        }
    };
    match run(Path::new(&folder), with_floor) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
