//! What has a name: where it lies on the Hub and what it becomes.

use crate::error::{Error, Result};

/// A dataset of the Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// `owner/name`.
    pub repo: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// Folder of its Parquet files in the repository, empty for the whole of it.
    pub folder: String,
    /// The folder's name on this machine unless another is given.
    pub title: String,
    /// How its rows are to be read.
    pub layout: Layout,
}

/// What a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// A document; the Parquet files are used as they are.
    Documents,
    /// A line of an article, which begins with its title between equals signs.
    WikiText,
    /// A sentence, without a mark where a book begins.
    Sentences,
    /// An example of a task.
    Task(HubTask),
}

/// A task as the Hub has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each has the name of its benchmark
pub enum HubTask {
    Cola,
    Sst2,
    Mrpc,
    StsB,
    Qqp,
    Mnli,
    Qnli,
    Rte,
    Wnli,
    Diagnostic,
    Squad1,
    Squad2,
    Swag,
}

use HubTask::{Cola, Diagnostic, Mnli, Mrpc, Qnli, Qqp, Rte, Squad1, Squad2, Sst2, StsB, Swag, Wnli};

/// Task, other spelling, repository, folder in it, the official folder's name.
const TASKS: [(HubTask, &str, &str, &str, &str); 13] = [
    (Cola, "", "nyu-mll/glue", "cola", "CoLA"),
    (Sst2, "", "nyu-mll/glue", "sst2", "SST-2"),
    (Mrpc, "", "nyu-mll/glue", "mrpc", "MRPC"),
    (StsB, "", "nyu-mll/glue", "stsb", "STS-B"),
    (Qqp, "", "nyu-mll/glue", "qqp", "QQP"),
    (Mnli, "", "nyu-mll/glue", "mnli", "MNLI"),
    (Qnli, "", "nyu-mll/glue", "qnli", "QNLI"),
    (Rte, "", "nyu-mll/glue", "rte", "RTE"),
    (Wnli, "", "nyu-mll/glue", "wnli", "WNLI"),
    (Diagnostic, "ax", "nyu-mll/glue", "ax", "diagnostic"),
    (Squad1, "squad", "rajpurkar/squad", "plain_text", "SQuAD"),
    (Squad2, "", "rajpurkar/squad_v2", "squad_v2", "SQuAD-v2"),
    (Swag, "", "allenai/swag", "regular", "SWAG"),
];

/// The names for messages and help.
pub const NAMES: &str = "wikipedia (English of 2023-11-01), wikipedia/LANGUAGE, wikipedia/DATE.LANGUAGE, wikitext-103, wikitext-2, bookcorpus, cola, sst-2, mrpc, sts-b, qqp, mnli, qnli, rte, wnli, diagnostic, squad-v1, squad-v2, swag, or OWNER/NAME[:FOLDER] for any dataset of Parquet files with a text a row";

impl HubTask {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Cola => "cola",
            Sst2 => "sst-2",
            Mrpc => "mrpc",
            StsB => "sts-b",
            Qqp => "qqp",
            Mnli => "mnli",
            Qnli => "qnli",
            Rte => "rte",
            Wnli => "wnli",
            Diagnostic => "diagnostic",
            Squad1 => "squad-v1",
            Squad2 => "squad-v2",
            Swag => "swag",
        }
    }
}

/// The dataset with this name, however it is spelled.
///
/// # Errors
/// [`Error::Setting`] for a name that is not known; it lists those that are.
pub fn find(name: &str) -> Result<Dataset> {
    let plain = plain(name);
    let dataset = |repo: &str, folder: &str, title: &str, layout| Dataset {
        repo: repo.into(),
        revision: "main".into(),
        folder: folder.into(),
        title: title.into(),
        layout,
    };
    for (task, other, repo, folder, title) in TASKS {
        if plain == self::plain(task.name()) || (!other.is_empty() && plain == other) {
            return Ok(dataset(repo, folder, title, Layout::Task(task)));
        }
    }
    if let Some(wikitext) = match plain.as_str() {
        "wikitext" | "wikitext103" => Some("wikitext-103-raw-v1"),
        "wikitext2" => Some("wikitext-2-raw-v1"),
        _ => None,
    } {
        let title = if wikitext.contains("103") { "wikitext-103" } else { "wikitext-2" };
        return Ok(dataset("Salesforce/wikitext", wikitext, title, Layout::WikiText));
    }
    if plain == "bookcorpus" {
        // Its main branch holds a loading script; the Hub's own conversion to Parquet lies on a branch of that name.
        let books = dataset("bookcorpus/bookcorpus", "plain_text", "bookcorpus", Layout::Sentences);
        return Ok(Dataset { revision: "refs/convert/parquet".into(), ..books });
    }
    if name == "wikipedia" || name.starts_with("wikipedia/") {
        let edition = name.strip_prefix("wikipedia/").unwrap_or("en");
        let folder = if edition.contains('.') { edition.to_string() } else { format!("20231101.{edition}") };
        let spelled = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if !edition.is_empty() && folder.chars().all(spelled) {
            return Ok(dataset("wikimedia/wikipedia", &folder, &format!("wikipedia-{folder}"), Layout::Documents));
        }
    }
    let (repo, folder) = name.split_once(':').unwrap_or((name, ""));
    let part = |part: &str| {
        let spelled = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(spelled)
    };
    if repo.split('/').count() == 2 && repo.split('/').all(part) && (folder.is_empty() || folder.split('/').all(part)) {
        let title = repo.split('/').next_back().unwrap_or(repo);
        return Ok(dataset(repo, folder, title, Layout::Documents));
    }
    Err(Error::Setting { name: "name", reason: format!("`{name}` is not known; the names are {NAMES}") })
}

fn plain(name: &str) -> String {
    if name.contains('/') {
        return String::new();
    }
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_lead_to_the_repositories_of_the_hub() {
        let place = |name: &str| {
            let found = find(name).unwrap();
            format!("{}@{}:{}", found.repo, found.revision, found.folder)
        };
        assert_eq!(place("wikipedia"), "wikimedia/wikipedia@main:20231101.en");
        assert_eq!(place("wikipedia/zh-yue"), "wikimedia/wikipedia@main:20231101.zh-yue");
        assert_eq!(place("wikipedia/20230601.de"), "wikimedia/wikipedia@main:20230601.de");
        assert_eq!(place("WikiText-2"), "Salesforce/wikitext@main:wikitext-2-raw-v1");
        assert_eq!(place("SST2"), "nyu-mll/glue@main:sst2");
        assert_eq!(place("squad"), "rajpurkar/squad@main:plain_text");
        assert_eq!(place("squad_v2"), "rajpurkar/squad_v2@main:squad_v2");
        assert_eq!(place("swag"), "allenai/swag@main:regular");
        assert_eq!(place("me/my-corpus:data/en"), "me/my-corpus@main:data/en");
        for wrong in ["nothing", "a/b/c", "../x/y", "wikipedia/../x", "a/b:../c", ""] {
            let error = find(wrong).unwrap_err();
            assert!(error.is_request() && error.to_string().contains("wikitext-103"), "{error}");
        }
    }
}
