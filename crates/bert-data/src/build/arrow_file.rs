//! One Arrow IPC file of examples; [`Columns`] says what is in it. With two bytes an id, unmasked pairs take about 2.05 bytes a
//! token.
//!
//! A file is written under a temporary name and renamed when it is whole and on the disk, with a small record beside it. By
//! that record a build that was stopped knows the files that it need not make again.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;
use serde::{Deserialize, Serialize};

use super::rows::Rows;
use crate::checksum::Hashing;
use crate::error::{Error, Result};
use crate::examples::{Columns, Split, schema};
use crate::manifest::{FileRecord, SplitCounts};

/// Most examples in one record batch; the files' bytes depend on it.
const ROWS: usize = 4096;
/// Most tokens in one record batch, unless its last example goes beyond: long examples must not make huge batches.
const TOKENS: usize = 4 << 20;

/// A file that is whole: its entry in the manifest, and what was counted while it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Finished {
    pub(super) file: FileRecord,
    pub(super) counts: SplitCounts,
}

impl Finished {
    /// The record that lies beside a whole file; none when the file has still to be made.
    pub(super) fn read(folder: &Path, records: &Path, name: &str) -> Result<Option<Self>> {
        let path = record_path(records, name);
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read(&path).map_err(Error::io("read", &path))?;
        let finished: Option<Finished> = serde_json::from_slice(&text).ok();
        let file = folder.join(name);
        // A record that is cut off, or without its file, counts as none: the file is made again.
        Ok(finished.filter(|f| fs::metadata(&file).is_ok_and(|found| found.len() == f.file.bytes)))
    }

    fn write(&self, records: &Path) -> Result<()> {
        let path = record_path(records, &self.file.name);
        // Serialising these types cannot fail: no maps with keys other than strings, no values that refuse.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let aside = path.with_extension("tmp");
        fs::write(&aside, text).and_then(|()| fs::rename(&aside, &path)).map_err(Error::io("write", &path))
    }
}

fn record_path(records: &Path, name: &str) -> PathBuf {
    records.join(format!("{name}.json"))
}

/// Writes one file.
pub(super) struct ArrowFile {
    writer: FileWriter<Hashing<BufWriter<File>>>,
    schema: SchemaRef,
    columns: Columns,
    folder: PathBuf,
    aside: PathBuf,
    name: String,
    rows: Rows,
    examples: u64,
    tokens: u64,
}

impl ArrowFile {
    /// Begins the file `name` of `folder`, under another name in `records`.
    pub(super) fn create(folder: &Path, records: &Path, name: &str, columns: Columns) -> Result<Self> {
        let aside = records.join(format!("{name}.tmp"));
        let file = File::create(&aside).map_err(Error::io("create", &aside))?;
        let schema = schema(columns);
        let writer = FileWriter::try_new(Hashing::new(BufWriter::with_capacity(1 << 20, file)), &schema)
            .map_err(Error::arrow(&aside))?;
        Ok(ArrowFile {
            writer,
            schema,
            columns,
            folder: folder.to_owned(),
            aside,
            name: name.to_string(),
            rows: Rows::new(columns),
            examples: 0,
            tokens: 0,
        })
    }

    /// Adds examples.
    pub(super) fn append(&mut self, rows: &Rows) -> Result<()> {
        for row in 0..rows.len() {
            self.rows.push_row(rows, row);
            self.examples += 1;
            self.tokens += rows.tokens_of(row) as u64;
            if self.rows.len() == ROWS || self.rows.tokens() >= TOKENS {
                self.write_rows()?;
            }
        }
        Ok(())
    }

    fn write_rows(&mut self) -> Result<()> {
        let rows = std::mem::replace(&mut self.rows, Rows::new(self.columns));
        if rows.len() == 0 {
            return Ok(());
        }
        let written = rows.into_batch(&self.schema).and_then(|batch| self.writer.write(&batch));
        written.map_err(Error::arrow(&self.aside))
    }

    /// Writes what is left and the file's footer, syncs the file and gives it its name.
    pub(super) fn finish(mut self, records: &Path, counts: SplitCounts) -> Result<Finished> {
        self.write_rows()?;
        self.writer.finish().map_err(Error::arrow(&self.aside))?;
        let mut hashing = self.writer.into_inner().map_err(Error::arrow(&self.aside))?;
        hashing.flush().map_err(Error::io("write", &self.aside))?;
        let (sha256, bytes) = hashing.finish();
        let split: Split = counts.split;
        let file = FileRecord { name: self.name, split, examples: self.examples, tokens: self.tokens, bytes, sha256 };
        let place = self.folder.join(&file.name);
        File::open(&self.aside).and_then(|file| file.sync_all()).map_err(Error::io("sync", &self.aside))?;
        fs::rename(&self.aside, &place).map_err(Error::io("rename", &self.aside))?;
        let finished = Finished { file, counts };
        finished.write(records)?;
        Ok(finished)
    }
}
