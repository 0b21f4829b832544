//! `metrics.jsonl`: one JSON object a line, the same lines whether or not a run was interrupted.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::files::replace;

/// What only the end of a run writes.
pub(super) const FINAL: &str = "final";

/// The open file.
#[derive(Debug)]
pub(super) struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Opens the file for appending, and first drops what an interrupted run wrote after step `step`: those steps are
    /// done again and write the same lines.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::io(path, "read")(error)),
        };
        let kept: String = text.split_inclusive('\n').filter(|line| keep(line, step)).collect();
        if kept != text {
            replace(path, &kept)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(Error::io(path, "open"))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Appends one line.
    pub fn write(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string(line)
            .map_err(|error| Error::File { path: self.path.clone(), problem: format!("has no JSON form: {error}") })?;
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(Error::io(&self.path, "write"))
    }

    /// Makes sure that the lines so far survive a crash; called before a checkpoint is written.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io(&self.path, "sync"))
    }
}

/// Whether a line is whole, belongs to a step that will not be done again, and is not a final one.
fn keep(line: &str, step: u64) -> bool {
    line.ends_with('\n')
        && serde_json::from_str::<serde_json::Value>(line)
            .is_ok_and(|value| value["step"].as_u64().is_some_and(|at| at <= step) && value["kind"] != FINAL)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_after_the_step_torn_lines_and_the_final_one_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let text = "{\"kind\":\"train\",\"step\":10}\n{\"kind\":\"train\",\"step\":20}\n\
                    {\"kind\":\"final\",\"step\":20}\n{\"kind\":\"train\",\"step\":30}\n{\"kind\":\"tra";
        std::fs::write(&path, text).unwrap();
        let mut log = MetricsLog::open(&path, 20).unwrap();
        log.write(&serde_json::json!({"kind": "train", "step": 21})).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\"kind\":\"train\",\"step\":10}\n{\"kind\":\"train\",\"step\":20}\n{\"kind\":\"train\",\"step\":21}\n"
        );
    }
}
