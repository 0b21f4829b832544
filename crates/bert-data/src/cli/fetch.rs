//! `bert-data fetch`

use std::io::Write;
use std::path::PathBuf;

use bert_data::fetch::{FetchOptions, HubOptions, fetch};
use bert_data::progress::Bars;

use super::Failure;

/// Arguments of `bert-data fetch`.
#[derive(clap::Args)]
#[command(after_help = format!("Names: {}.\n\nDownloads lie in the Hub's cache (HF_HOME, HF_HUB_CACHE) and go on where they were cut. HF_ENDPOINT names a mirror, HTTPS_PROXY or HTTP_PROXY a proxy, HF_TOKEN a token; with HF_HUB_OFFLINE=1 only the cache is used.", bert_data::fetch::NAMES))]
pub(super) struct Fetch {
    /// A corpus or a task; see below
    name: String,
    /// Folder to make; without one it has the name of the dataset, and corpora of Parquet files stay in the cache
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace an earlier folder of this command
    #[arg(long)]
    overwrite: bool,
}

impl Fetch {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Fetch { name, output, overwrite } = self;
        let fetched = fetch(&FetchOptions { name, output, overwrite, hub: HubOptions::default() }, &Bars::new())?;
        eprintln!("use it with: {}", fetched.usage);
        writeln!(std::io::stdout(), "{}", fetched.folder.display())?;
        Ok(())
    }
}
