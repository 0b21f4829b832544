//! `bert-data vocab`

use std::io::Write;
use std::path::PathBuf;

use bert_data::build::parse_size;
use bert_data::progress::Bars;
use bert_data::vocab::{Algorithm, VocabOptions, train_to};

use super::{Corpus, Failure};

/// Arguments of `bert-data vocab`.
#[derive(clap::Args)]
pub(super) struct Vocab {
    #[command(flatten)]
    corpus: Corpus,
    /// How words are spelt
    #[arg(long, value_enum, default_value = "wordpiece")]
    algorithm: Algorithm,
    /// WordPiece vocabulary to extend, a folder or a vocab.txt: its tokens keep their ids, placeholders such as [unused0]
    /// included, and pieces of the corpus come behind them until there are --size tokens. `bert-train pretrain --set
    /// init=MODEL` starts from a model of the vocabulary that was extended
    #[arg(long, value_name = "DIR", conflicts_with_all = ["algorithm", "cased"])]
    extend: Option<PathBuf>,
    /// Number of tokens, special tokens and those of --extend included; a small corpus may give fewer
    #[arg(long, default_value_t = 30_522, value_name = "N")]
    size: usize,
    /// Keep capital letters and accents; without it BPE lower-cases, too, and keeps accents
    #[arg(long)]
    cased: bool,
    /// Pairs of pieces (substrings, for unigram) that occur more seldom are not considered
    #[arg(long, default_value_t = 2, value_name = "N")]
    min_frequency: u64,
    /// Most different characters of WordPiece and Unigram; rarer ones become [UNK], or with --extend are not added
    #[arg(long, default_value_t = 1000, value_name = "N")]
    alphabet: usize,
    /// Memory for counting; counts beyond half of it go to files beside the output. The words to train on, each once, are held
    /// whatever their number. The vocabulary does not depend on it
    #[arg(long, default_value = "2GiB", value_name = "SIZE", value_parser = parse_size)]
    memory: u64,
    /// Folder to make: tokenizer.json, tokenizer_config.json, special_tokens_map.json, and vocab.txt or, for BPE, vocab.json
    /// and merges.txt
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Replace an earlier vocabulary
    #[arg(long)]
    overwrite: bool,
}

impl Vocab {
    pub(super) fn run(self) -> Result<(), Failure> {
        let options = VocabOptions {
            input: self.corpus.input,
            format: self.corpus.format,
            unreadable: self.corpus.unreadable,
            cleaning: self.corpus.cleaning.options(),
            algorithm: self.algorithm,
            extend: self.extend,
            size: self.size,
            lowercase: !self.cased,
            min_frequency: self.min_frequency,
            alphabet: self.alphabet,
            workers: self.corpus.workers,
            memory: self.memory,
        };
        let tokenizer = train_to(&options, &self.output, self.overwrite, &Bars::new())?;
        writeln!(std::io::stdout(), "{}: {} tokens", self.output.display(), tokenizer.vocab_size())?;
        Ok(())
    }
}
