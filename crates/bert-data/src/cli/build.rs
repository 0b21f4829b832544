//! `bert-data build`

use std::io::Write;
use std::path::{Path, PathBuf};

use bert_data::build::{BuildOptions, Pairing, Part, Sentences, build, parse_size};
use bert_data::manifest::StaticMasks;
use bert_data::masking::{MaskKind, MaskingOptions, Replacements};
use bert_data::progress::Bars;
use bert_data::tokenizer::Tokenizer;

use super::{Corpus, Failure};

/// Arguments of `bert-data build`.
#[derive(clap::Args)]
pub(super) struct Build {
    #[command(flatten)]
    corpus: Corpus,
    /// Use the documents of each input as often as gives it a share that goes with p^E, p being its share of the text:
    /// 0.7 for 100 languages. The sum stays
    #[arg(long, value_name = "E")]
    sampling_exponent: Option<f64>,
    /// Whether lines are cut into sentences, or each line is one
    #[arg(long, value_enum, default_value = "split")]
    sentences: Sentences,
    /// Vocabulary folder (`bert-data vocab`, or one of Hugging Face), or a vocab.txt
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
    /// How examples are made of documents
    #[arg(long, value_enum, default_value = "nsp")]
    pairing: Pairing,
    /// Longest example in tokens, [CLS] and [SEP] included
    #[arg(long, default_value_t = 128, value_name = "N")]
    seq_len: usize,
    /// Share of the documents whose pairs aim at a random shorter length (0.1 unless given)
    #[arg(long, value_name = "SHARE")]
    short_seq_prob: Option<f64>,
    /// Draw masks anew in every epoch while loading, or once while building as the original does
    #[arg(long, value_enum, default_value = "dynamic")]
    masking: When,
    /// What is masked together (static masks)
    #[arg(long, value_enum, default_value = "token", value_name = "KIND")]
    mask_kind: MaskKind,
    /// The same as --mask-kind whole-word
    #[arg(long, conflicts_with = "mask_kind")]
    whole_word: bool,
    /// Share of the tokens to predict (static masks)
    #[arg(long, default_value_t = 0.15, value_name = "SHARE")]
    mask_rate: f64,
    /// Most tokens to predict in an example (static masks); unless given 0.15 of --seq-len and a little more, 20 for 128
    #[arg(long, value_name = "N")]
    max_predictions: Option<usize>,
    /// How often the corpus is gone through with other pairs and masks (static masks); 10 unless given
    #[arg(long, value_name = "N")]
    dupe_factor: Option<u64>,
    /// Share of the documents held out for validation
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    validation: f64,
    /// Number of files of the training split; more where a file would exceed --shard-size
    #[arg(long, default_value_t = 1, value_name = "N")]
    shards: usize,
    /// Most bytes of a file, about
    #[arg(long, default_value = "1GiB", value_name = "SIZE", value_parser = parse_size)]
    shard_size: u64,
    /// Most memory to use
    #[arg(long, default_value = "2GiB", value_name = "SIZE", value_parser = parse_size)]
    memory: u64,
    /// Work on part i of n of the documents, for `bert-data merge`; the output's name gets `-part-i-of-n`. Unless given, taken
    /// from the variables of MPI, Slurm or Kubernetes where they are set; `none` leaves them alone
    #[arg(long, value_name = "I/N")]
    part: Option<String>,
    /// Seed of every random choice
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
    /// Folder to make
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Replace an earlier dataset that was made from another request
    #[arg(long)]
    overwrite: bool,
    /// Go on with a build that was stopped, from what is finished; begin where there is none
    #[arg(long)]
    resume: bool,
}

/// When masks are drawn.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum When {
    /// While loading, anew in every epoch
    Dynamic,
    /// While building, once for each copy of the corpus
    Static,
}

impl Build {
    pub(super) fn run(self) -> Result<(), Failure> {
        let part = self.part()?;
        let static_masks = self.static_masks()?;
        if self.short_seq_prob.is_some_and(|share| share > 0.0) && !self.pairing.has_pairs() {
            return Err(wrong("short-seq-prob", "full sentences have no target length to vary; leave it out"));
        }
        let tokenizer = Tokenizer::open(&self.tokenizer)?;
        let output = match part {
            Some(Part { index, of }) => with_suffix(&self.output, &format!("-part-{index}-of-{of}")),
            None => self.output,
        };
        let options = BuildOptions {
            input: self.corpus.input,
            format: self.corpus.format,
            unreadable: self.corpus.unreadable,
            sampling_exponent: self.sampling_exponent,
            cleaning: self.corpus.cleaning.options(),
            sentences: self.sentences,
            pairing: self.pairing,
            seq_len: self.seq_len,
            short_seq_prob: self.short_seq_prob.unwrap_or(0.1),
            static_masks,
            validation: self.validation,
            shards: self.shards,
            shard_size: self.shard_size,
            part,
            workers: self.corpus.workers,
            memory: self.memory,
            seed: self.seed,
            output,
            overwrite: self.overwrite,
            resume: self.resume,
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

    /// The part that was asked for, or that a launcher gave this process. A launcher is never followed without a word.
    fn part(&self) -> Result<Option<Part>, Failure> {
        match self.part.as_deref() {
            Some("none") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|reason: String| wrong("part", &reason)),
            None => {
                let found =
                    Part::of_launcher(|name| std::env::var(name).ok()).map_err(|reason| wrong("part", &reason))?;
                Ok(found.map(|(part, why)| {
                    eprintln!("building part {part} of the documents, because {why}; --part none builds all of them");
                    part
                }))
            }
        }
    }

    fn static_masks(&self) -> Result<Option<StaticMasks>, Failure> {
        if self.masking == When::Dynamic {
            if self.dupe_factor.is_some() {
                return Err(wrong(
                    "dupe-factor",
                    "masks drawn while loading differ in every epoch, so copies would only cost disk; pass --masking static with it",
                ));
            }
            if self.whole_word || self.mask_kind != MaskKind::Token || self.max_predictions.is_some() {
                return Err(wrong(
                    "masking",
                    "masks are drawn while loading, where the training configuration says how; pass --masking static to draw them now",
                ));
            }
            return Ok(None);
        }
        let kind = if self.whole_word { MaskKind::WholeWord } else { self.mask_kind };
        // The original's pairs of length and predictions: 20 for 128, 77 to 80 for 512.
        let most = (self.seq_len as f64 * self.mask_rate).ceil() as usize;
        let masking = MaskingOptions {
            kind,
            rate: self.mask_rate,
            max_predictions: self.max_predictions.unwrap_or(most),
            replacements: Replacements::Vocabulary,
            ..MaskingOptions::default()
        };
        Ok(Some(StaticMasks { dupe_factor: self.dupe_factor.unwrap_or(10), masking }))
    }
}

fn wrong(name: &'static str, reason: &str) -> Failure {
    Failure::Error(bert_data::Error::Setting { name, reason: reason.into() })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}
