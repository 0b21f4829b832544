//! Corpora and tasks by name from the Hugging Face Hub, laid out as the rest of this crate reads them.
//!
//! Files are kept in the Hub's own cache, which other tools share. What is a document a row stays Parquet; what the Hub
//! keeps as lines or as a table becomes text or the task's official files.
//!
//! ```text
//! name -> catalog -> hub (list, download, check) -> convert -> folder
//! ```

mod catalog;
mod convert;
mod hub;
mod rows;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::staging::Staging;
pub use catalog::{Dataset, Layout, NAMES, find};
pub use hub::{Hub, HubOptions, HubProblem};

/// The file that says where a fetched folder comes from, by which it is known as such.
pub const SOURCE_FILE: &str = "source.json";

/// What to fetch, and where to.
#[derive(Debug, Clone, Default)]
pub struct FetchOptions {
    /// A name of the catalogue or `OWNER/NAME[:FOLDER]`.
    pub name: String,
    /// The folder to make; without one it has the dataset's name, and Parquet corpora stay in the cache alone.
    pub output: Option<PathBuf>,
    /// Replace an earlier folder of this command.
    pub overwrite: bool,
    /// How to reach the Hub.
    pub hub: HubOptions,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The folder that holds it.
    pub folder: PathBuf,
    /// How to use it: arguments for the next command.
    pub usage: String,
}

/// Fetches a corpus or a task.
///
/// # Errors
/// [`Error::Setting`] for a name that is not known, [`Error::Hub`] when the Hub does not give what was asked for, and
/// those of files that cannot be written.
pub fn fetch(opts: &FetchOptions, progress: &dyn Progress) -> Result<Fetched> {
    let dataset = find(&opts.name)?;
    let output = match (&opts.output, &dataset.layout) {
        (Some(output), _) => Some(output.clone()),
        (None, Layout::Documents) => None,
        (None, _) => Some(PathBuf::from(&dataset.title)),
    };
    // Before anything is downloaded.
    if let Some(output) = &output {
        crate::staging::check(output, SOURCE_FILE, opts.overwrite)?;
    }
    let hub = Hub::connect(&opts.hub)?;
    let snapshot = hub.snapshot(&dataset.repo, &dataset.revision, &dataset.folder, progress)?;
    let Some(output) = output else {
        return Ok(Fetched { usage: usage(&dataset, &snapshot.folder), folder: snapshot.folder });
    };
    let staging = Staging::begin(&output, SOURCE_FILE, opts.overwrite)?;
    let notes = convert::convert(&dataset, &snapshot.files, staging.folder(), progress)?;
    let source = json!({
        "repository": format!("datasets/{}", dataset.repo),
        "revision": dataset.revision,
        "commit": snapshot.commit,
        "files": snapshot.files.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "notes": notes,
    });
    let path = staging.folder().join(SOURCE_FILE);
    fs::write(&path, format!("{source:#}\n")).map_err(Error::io("write", &path))?;
    staging.commit()?;
    Ok(Fetched { usage: usage(&dataset, &output), folder: output })
}

fn usage(dataset: &Dataset, folder: &Path) -> String {
    let folder = folder.display();
    match &dataset.layout {
        Layout::Documents => format!("bert-data build --input '{folder}/*.parquet' --format parquet"),
        Layout::WikiText => format!("bert-data build --input '{folder}/train-*.txt' --format text"),
        Layout::Sentences => format!("bert-data build --input '{folder}/*.txt' --format text --sentences lines"),
        Layout::Task(task) => format!("bert-train finetune --task {} --data {folder}", task.name()),
    }
}
