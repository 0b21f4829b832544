//! The flags that say what is taken out of a corpus, for the commands that read one.

use bert_data::cleaning::CleaningOptions;

/// What is taken out; all of it is counted.
#[derive(clap::Args)]
pub(super) struct Cleaning {
    /// Keep documents that came before, word for word
    #[arg(long)]
    keep_duplicates: bool,
    /// Take documents out that share at least this share of their runs of five words with one before; 0.8 is usual
    #[arg(long, value_name = "SHARE")]
    near_duplicates: Option<f64>,
    /// How often the same line may come in the whole corpus; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = CleaningOptions::default().line_repeats)]
    line_repeats: u64,
    /// Fewest characters of a line
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_line_chars: usize,
    /// Fewest characters of a document
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_document_chars: usize,
    /// Unicode scripts to keep, such as Latin or Han; lines of others are taken out
    #[arg(long, value_name = "NAME", num_args = 1..)]
    script: Vec<String>,
}

impl Cleaning {
    pub(super) fn options(&self) -> CleaningOptions {
        CleaningOptions {
            duplicates: !self.keep_duplicates,
            near_duplicates: self.near_duplicates,
            line_repeats: self.line_repeats,
            min_line_chars: self.min_line_chars,
            min_document_chars: self.min_document_chars,
            scripts: self.script.clone(),
            ..CleaningOptions::default()
        }
    }
}
