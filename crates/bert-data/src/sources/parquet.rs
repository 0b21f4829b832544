//! The `parquet` format: one row a document, its text in one of the columns.
//!
//! Only that column is read, page by page within one row group at a time.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::{Document, LONGEST_RECORD, Unreadable, document_of};
use crate::checksum::sha256_file;
use crate::drops::{Drops, Reason};
use crate::error::{Error, Result};

/// Text fetched at a time, about, in bytes.
const BATCH_BYTES: u64 = 4 << 20;

/// Reads the rows of one file.
pub(super) struct Rows {
    file: SerializedFileReader<File>,
    path: PathBuf,
    field: String,
    column: usize,
    /// The column in the row group that is being read.
    reader: Option<ColumnReaderImpl<ByteArrayType>>,
    /// Rows fetched at a time from that row group.
    batch: usize,
    /// Number of the next row group.
    row_group: usize,
    /// Rows that were fetched, the next one last; a row without text is none.
    ready: Vec<Option<ByteArray>>,
    /// Number of the next row, from 0.
    row: u64,
    unreadable: Unreadable,
    pub(super) drops: Drops,
}

impl Rows {
    pub(super) fn open(path: &Path, field: &str, unreadable: Unreadable) -> Result<Self> {
        let fail = |reason: String| Error::Parquet { path: path.to_owned(), reason };
        let file = File::open(path).map_err(Error::io("open", path))?;
        let file = SerializedFileReader::new(file)
            .map_err(|e| fail(format!("not a Parquet file that can be read: {e}. Fetch or write it again")))?;
        let schema = file.metadata().file_metadata().schema_descr();
        let names = || {
            let columns = schema.columns().iter().filter(|column| column.physical_type() == Type::BYTE_ARRAY);
            columns.map(|column| column.path().string()).collect::<Vec<_>>().join(", ")
        };
        let cure = "Name the column with --input 'FILE:text=COLUMN'";
        let column = schema.columns().iter().position(|column| column.path().string() == field).ok_or_else(|| {
            fail(format!("there is no column \"{field}\"; columns that may hold text: {}. {cure}", names()))
        })?;
        let found = schema.column(column);
        if found.physical_type() != Type::BYTE_ARRAY || found.max_rep_level() > 0 {
            return Err(fail(format!(
                "column \"{field}\" does not hold one text a row; columns that may: {}. {cure}",
                names()
            )));
        }
        Ok(Rows {
            file,
            path: path.to_owned(),
            field: field.to_string(),
            column,
            reader: None,
            batch: 0,
            row_group: 0,
            ready: Vec::new(),
            row: 0,
            unreadable,
            drops: Drops::default(),
        })
    }

    /// The next document, or none at the end of the file.
    pub(super) fn next_document(&mut self) -> Result<Option<Document>> {
        loop {
            let Some(value) = self.ready.pop() else {
                if !self.fetch()? {
                    return Ok(None);
                }
                continue;
            };
            let row = self.row;
            self.row += 1;
            let Some(value) = value else {
                self.drops.document(Reason::NoTextField, 0);
                continue;
            };
            if value.len() > LONGEST_RECORD {
                self.drops.document(Reason::TooLong, value.len());
                continue;
            }
            match std::str::from_utf8(value.data()) {
                Ok(text) => {
                    let document = document_of(text);
                    if !document.paragraphs.is_empty() {
                        return Ok(Some(document));
                    }
                    self.drops.document(Reason::NoText, value.len());
                }
                Err(_) if self.unreadable == Unreadable::Skip => {
                    self.drops.document(Reason::InvalidUtf8, value.len());
                }
                Err(error) => {
                    return Err(self.fail(format!(
                        "row {row}, column \"{}\": the byte at offset {} of the text is not UTF-8. Write the file again, or leave such rows out with --unreadable skip",
                        self.field,
                        error.valid_up_to()
                    )));
                }
            }
        }
    }

    /// Fetches the next rows into `ready`; false at the end of the file.
    fn fetch(&mut self) -> Result<bool> {
        loop {
            if self.reader.is_none() && !self.next_row_group()? {
                return Ok(false);
            }
            let Some(reader) = &mut self.reader else { return Ok(false) };
            let (mut present, mut values) = (Vec::new(), Vec::new());
            let outcome = reader.read_records(self.batch, Some(&mut present), None, &mut values);
            let (records, _, _) = outcome.map_err(|e| self.damaged(&e))?;
            if records == 0 {
                self.reader = None;
                continue;
            }
            // A required column has no levels: every row has a value.
            let full = self.file.metadata().file_metadata().schema_descr().column(self.column).max_def_level();
            let mut values = values.into_iter();
            self.ready = match full {
                0 => values.map(Some).collect(),
                _ => present.iter().map(|&level| if level == full { values.next() } else { None }).collect(),
            };
            self.ready.reverse();
            return Ok(true);
        }
    }

    /// Opens the column in the next row group; false when there is none.
    fn next_row_group(&mut self) -> Result<bool> {
        if self.row_group == self.file.num_row_groups() {
            return Ok(false);
        }
        let opened = self.file.get_row_group(self.row_group).and_then(|group| {
            let metadata = group.metadata();
            let rows = u64::try_from(metadata.num_rows()).unwrap_or(0).max(1);
            let bytes = u64::try_from(metadata.column(self.column).uncompressed_size()).unwrap_or(0);
            let batch = (BATCH_BYTES * rows / bytes.max(1)).clamp(1, 4096) as usize;
            Ok((group.get_column_reader(self.column)?, batch))
        });
        match opened.map_err(|e| self.damaged(&e))? {
            (ColumnReader::ByteArrayColumnReader(reader), batch) => {
                self.reader = Some(reader);
                self.batch = batch;
            }
            _ => return Err(self.fail(format!("column \"{}\" changes its type between row groups", self.field))),
        }
        self.row_group += 1;
        Ok(true)
    }

    fn damaged(&self, error: &parquet::errors::ParquetError) -> Error {
        let group = self.row_group.saturating_sub(1);
        self.fail(format!(
            "row group {group}, about row {}: {error}. The file is damaged; fetch or write it again",
            self.row
        ))
    }

    fn fail(&self, reason: String) -> Error {
        Error::Parquet { path: self.path.clone(), reason }
    }

    /// Bytes of the file on disk that were used up, about: whole row groups.
    pub(super) fn position(&self) -> u64 {
        let groups = &self.file.metadata().row_groups()[..self.row_group];
        groups.iter().map(|group| u64::try_from(group.compressed_size()).unwrap_or(0)).sum()
    }

    /// SHA-256 and length of the file on disk.
    pub(super) fn finish(self) -> Result<(String, u64)> {
        sha256_file(&self.path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use parquet::basic::{Compression, ZstdLevel};
    use parquet::data_type::Int64Type;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// A file with the columns `id` and `body` (which may be null), a row group for each list.
    fn write(path: &Path, compression: Compression, groups: &[&[Option<&[u8]>]]) {
        let schema = parse_message_type("message m { required int64 id; optional binary body (UTF8); }").unwrap();
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut writer =
            SerializedFileWriter::new(File::create(path).unwrap(), Arc::new(schema), Arc::new(properties)).unwrap();
        for rows in groups {
            let mut group = writer.next_row_group().unwrap();
            let ids: Vec<i64> = (0..rows.len() as i64).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
            column.close().unwrap();
            let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.is_some())).collect();
            let values: Vec<ByteArray> = rows.iter().flatten().map(|row| ByteArray::from(row.to_vec())).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        writer.close().unwrap();
    }

    fn read(path: &Path, field: &str, unreadable: Unreadable) -> Result<(Vec<Vec<String>>, Drops)> {
        let mut rows = Rows::open(path, field, unreadable)?;
        let mut documents = Vec::new();
        while let Some(document) = rows.next_document()? {
            documents.push(document.paragraphs);
        }
        assert!(rows.position() <= std::fs::metadata(path).unwrap().len());
        Ok((documents, rows.drops))
    }

    #[test]
    fn rows_become_documents_whatever_the_compression() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        let zstd = Compression::ZSTD(ZstdLevel::default());
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, zstd] {
            write(
                &path,
                compression,
                &[&[Some(b"One.\n\nTwo."), None, Some(b" ")], &[], &[Some("Drei. \u{e4}".as_bytes())]],
            );
            let (documents, drops) = read(&path, "body", Unreadable::Stop).unwrap();
            assert_eq!(documents, [vec!["One.", "Two."], vec!["Drei. ä"]]);
            assert_eq!((drops.get(Reason::NoTextField).documents, drops.get(Reason::NoText).documents), (1, 1));
        }
    }

    #[test]
    fn long_row_groups_come_in_batches() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        let long = vec![b'x'; 1 << 20];
        let rows: Vec<Option<&[u8]>> = vec![Some(&long); 40];
        write(&path, Compression::SNAPPY, &[&rows]);
        let mut reader = Rows::open(&path, "body", Unreadable::Stop).unwrap();
        let mut documents = 0;
        while let Some(document) = reader.next_document().unwrap() {
            assert_eq!(document.paragraphs[0].len(), 1 << 20);
            documents += 1;
            assert!(reader.ready.len() <= 4096);
        }
        assert_eq!(documents, 40);
    }

    #[test]
    fn a_column_that_is_not_there_or_holds_no_text_is_named_with_those_that_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        write(&path, Compression::SNAPPY, &[&[Some(b"One.")]]);
        for field in ["text", "id"] {
            let error = read(&path, field, Unreadable::Stop).unwrap_err().to_string();
            assert!(error.contains(&format!("\"{field}\"")) && error.contains("body"), "{error}");
            assert!(error.contains("a.parquet") && error.contains("text=COLUMN"), "{error}");
        }
    }

    #[test]
    fn a_row_that_is_not_utf_8_is_an_error_with_its_number_or_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        write(&path, Compression::SNAPPY, &[&[Some(b"One."), Some(b"b\xe4d"), Some(b"Three.")]]);
        let error = read(&path, "body", Unreadable::Stop).unwrap_err().to_string();
        assert!(error.contains("row 1,") && error.contains("offset 1 "), "{error}");
        let (documents, drops) = read(&path, "body", Unreadable::Skip).unwrap();
        assert_eq!(documents, [["One."], ["Three."]]);
        assert_eq!(drops.get(Reason::InvalidUtf8).documents, 1);
    }

    #[test]
    fn a_torn_or_damaged_file_is_an_error_and_not_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        write(&path, Compression::SNAPPY, &[&[Some(b"One."), Some(b"Two."), Some(b"Three.")]]);
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 3, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = read(&path, "body", Unreadable::Stop).unwrap_err();
            assert!(error.to_string().contains("a.parquet"), "{error}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            std::fs::write(&path, bytes).unwrap();
            let _ = read(&path, "body", Unreadable::Skip);
        }
    }
}
