//! One Arrow IPC file of examples.
//!
//! Columns: `tokens` (list of ids: `[CLS] A [SEP] B [SEP]`, unmasked), `second_start` (index of the first token of B) and
//! `is_random_next`. With two bytes an id this is about 2.05 bytes a token.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, ListArray, PrimitiveArray, RecordBatch, UInt16Array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{SchemaRef, UInt16Type, UInt32Type};
use arrow::ipc::writer::FileWriter;

use super::pairs::Pair;
use super::store::TokenStore;
use crate::checksum::Hashing;
use crate::error::{Error, Result};
use crate::examples::{Split, TokenIds, schema};
use crate::manifest::FileRecord;
use crate::tokenizer::SpecialIds;

/// Examples in one record batch; the files' bytes depend on it.
const ROWS: usize = 4096;

/// Writes one file.
pub(super) struct ArrowFile<'a> {
    writer: FileWriter<Hashing<BufWriter<File>>>,
    schema: SchemaRef,
    store: &'a TokenStore,
    special: SpecialIds,
    path: PathBuf,
    name: String,
    rows: Rows,
    examples: u64,
    tokens: u64,
}

/// The examples that are not written yet, column by column.
#[derive(Default)]
struct Rows {
    narrow: Vec<u16>,
    wide: Vec<u32>,
    offsets: Vec<i32>,
    second_start: Vec<u16>,
    is_random_next: Vec<bool>,
}

impl<'a> ArrowFile<'a> {
    pub(super) fn create(folder: &Path, name: &str, store: &'a TokenStore, special: SpecialIds) -> Result<Self> {
        let path = folder.join(name);
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        let schema = schema(store.is_wide());
        let writer = FileWriter::try_new(Hashing::new(BufWriter::with_capacity(1 << 20, file)), &schema)
            .map_err(|source| Error::Arrow { path: path.clone(), source })?;
        Ok(ArrowFile {
            writer,
            schema,
            store,
            special,
            path,
            name: name.to_string(),
            rows: Rows::default(),
            examples: 0,
            tokens: 0,
        })
    }

    /// Adds an example.
    pub(super) fn push(&mut self, pair: &Pair) -> Result<()> {
        let SpecialIds { cls, sep, .. } = self.special;
        let (first, second) = (self.store.ids(&pair.first), self.store.ids(&pair.second));
        self.rows.push_id(cls, self.store.is_wide());
        self.rows.extend(first);
        self.rows.push_id(sep, self.store.is_wide());
        self.rows.extend(second);
        self.rows.push_id(sep, self.store.is_wide());
        // Both fit: an example has at most 65,535 tokens, which `seq_len` guarantees.
        self.rows.second_start.push((first.len() + 2) as u16);
        self.rows.is_random_next.push(pair.is_random_next);
        let length = first.len() + second.len() + 3;
        let end = self.rows.offsets.last().copied().unwrap_or(0) + length as i32;
        self.rows.offsets.push(end);
        self.examples += 1;
        self.tokens += length as u64;
        if self.rows.second_start.len() == ROWS {
            self.write_rows()?;
        }
        Ok(())
    }

    fn write_rows(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.second_start.is_empty() {
            return Ok(());
        }
        let written = rows.into_batch(&self.schema, self.store.is_wide()).and_then(|batch| self.writer.write(&batch));
        written.map_err(|source| Error::Arrow { path: self.path.clone(), source })
    }

    /// Writes what is left and the file's footer.
    pub(super) fn finish(mut self, split: Split) -> Result<FileRecord> {
        self.write_rows()?;
        let arrow = |source| Error::Arrow { path: self.path.clone(), source };
        self.writer.finish().map_err(arrow)?;
        let mut hashing =
            self.writer.into_inner().map_err(|source| Error::Arrow { path: self.path.clone(), source })?;
        hashing.flush().map_err(Error::io("write", &self.path))?;
        let (sha256, bytes) = hashing.finish();
        Ok(FileRecord { name: self.name, split, examples: self.examples, tokens: self.tokens, bytes, sha256 })
    }
}

impl Rows {
    fn push_id(&mut self, id: u32, wide: bool) {
        match wide {
            true => self.wide.push(id),
            false => self.narrow.push(id as u16),
        }
    }

    fn extend(&mut self, ids: TokenIds<'_>) {
        match ids {
            TokenIds::U16(ids) => self.narrow.extend_from_slice(ids),
            TokenIds::U32(ids) => self.wide.extend_from_slice(ids),
        }
    }

    fn into_batch(self, schema: &SchemaRef, wide: bool) -> std::result::Result<RecordBatch, arrow::error::ArrowError> {
        let mut offsets = Vec::with_capacity(self.offsets.len() + 1);
        offsets.push(0);
        offsets.extend(self.offsets);
        let ids: ArrayRef = match wide {
            true => Arc::new(PrimitiveArray::<UInt32Type>::from(self.wide)),
            false => Arc::new(PrimitiveArray::<UInt16Type>::from(self.narrow)),
        };
        let item = crate::examples::item_field(wide);
        let tokens = ListArray::try_new(item, OffsetBuffer::new(ScalarBuffer::from(offsets)), ids, None)?;
        RecordBatch::try_new(
            schema.clone(),
            vec![
                Arc::new(tokens),
                Arc::new(UInt16Array::from(self.second_start)),
                Arc::new(BooleanArray::from(self.is_random_next)),
            ],
        )
    }
}
