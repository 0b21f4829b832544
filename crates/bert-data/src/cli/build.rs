//! `bert-data build`

use std::io::Write;
use std::path::PathBuf;

use bert_data::build::{BuildOptions, Sentences, build};
use bert_data::progress::Bars;
use bert_data::tokenizer::WordPiece;

use super::{Corpus, Failure};

/// Arguments of `bert-data build`.
#[derive(clap::Args)]
pub(super) struct Build {
    #[command(flatten)]
    corpus: Corpus,
    /// Whether lines are cut into sentences, or each line is one
    #[arg(long, value_enum, default_value = "split")]
    sentences: Sentences,
    /// Vocabulary folder (`bert-data vocab`, or one of Hugging Face), or a vocab.txt
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
    /// Longest example in tokens, [CLS] and [SEP] included
    #[arg(long, default_value_t = 128, value_name = "N")]
    seq_len: usize,
    /// Share of the documents whose examples aim at a random shorter length
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    short_seq_prob: f64,
    /// Share of the documents held out for validation
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    validation: f64,
    /// Number of files of the training split
    #[arg(long, default_value_t = 1, value_name = "N")]
    shards: usize,
    /// Seed of every random choice
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
    /// Folder to make
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Replace an earlier dataset that was made from another request
    #[arg(long)]
    overwrite: bool,
}

impl Build {
    pub(super) fn run(self) -> Result<(), Failure> {
        let tokenizer = WordPiece::open(&self.tokenizer)?;
        let options = BuildOptions {
            input: self.corpus.input,
            format: self.corpus.format,
            sentences: self.sentences,
            seq_len: self.seq_len,
            short_seq_prob: self.short_seq_prob,
            validation: self.validation,
            shards: self.shards,
            workers: self.corpus.workers,
            seed: self.seed,
            output: self.output,
            overwrite: self.overwrite,
        };
        let manifest = build(&options, &tokenizer, &Bars::new())?;
        let mut out = std::io::stdout().lock();
        for counts in &manifest.splits {
            writeln!(
                out,
                "{}: {} examples of {} documents in {}",
                counts.split.name(),
                counts.examples,
                counts.documents,
                options.output.display()
            )?;
        }
        Ok(())
    }
}
