//! Rows of the Hub's Parquet files, as JSON values with named fields.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::file::reader::SerializedFileReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// The rows of one file.
pub(super) struct Rows<'a> {
    rows: RowIter<'a>,
    path: PathBuf,
    row: u64,
}

/// One row.
pub(super) struct Row {
    fields: Map<String, Value>,
    path: PathBuf,
    row: u64,
}

impl Rows<'_> {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let file = SerializedFileReader::new(file).map_err(|e| Error::Parquet {
            path: path.to_owned(),
            reason: format!("not a Parquet file that can be read: {e}. Remove it and fetch it again"),
        })?;
        Ok(Rows { rows: RowIter::from_file_into(Box::new(file)), path: path.to_owned(), row: 0 })
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        let next = self.rows.next()?;
        let (path, row) = (self.path.clone(), self.row);
        self.row += 1;
        Some(match next {
            Ok(fields) => {
                let fields = fields.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect();
                Ok(Row { fields, path, row })
            }
            Err(e) => Err(Error::Parquet { path, reason: format!("row {row}: {e}. Remove it and fetch it again") }),
        })
    }
}

impl Row {
    /// A field that must be there.
    pub(super) fn get(&self, name: &str) -> Result<&Value> {
        self.fields.get(name).ok_or_else(|| {
            let names = self.fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            self.error(&format!(
                "there is no column \"{name}\" but {names}; the dataset has another layout than expected"
            ))
        })
    }

    pub(super) fn text(&self, name: &str) -> Result<&str> {
        let value = self.get(name)?;
        value.as_str().ok_or_else(|| self.error(&format!("column \"{name}\" holds no text but {value}")))
    }

    pub(super) fn number(&self, name: &str) -> Result<i64> {
        let value = self.get(name)?;
        value.as_i64().ok_or_else(|| self.error(&format!("column \"{name}\" holds no whole number but {value}")))
    }

    pub(super) fn real(&self, name: &str) -> Result<f64> {
        let value = self.get(name)?;
        value.as_f64().ok_or_else(|| self.error(&format!("column \"{name}\" holds no number but {value}")))
    }

    /// An error about this row.
    pub(super) fn error(&self, what: &str) -> Error {
        Error::Parquet { path: self.path.clone(), reason: format!("row {}: {what}", self.row) }
    }
}

fn value(field: &Field) -> Value {
    match field {
        Field::Bool(v) => json!(v),
        Field::Byte(v) => json!(v),
        Field::Short(v) => json!(v),
        Field::Int(v) => json!(v),
        Field::Long(v) => json!(v),
        Field::UByte(v) => json!(v),
        Field::UShort(v) => json!(v),
        Field::UInt(v) => json!(v),
        Field::ULong(v) => json!(v),
        // Through its shortest decimal form: 3.8 stays 3.8 and does not become 3.799999952.
        Field::Float(v) => v.to_string().parse::<f64>().map_or(Value::Null, |v| json!(v)),
        Field::Double(v) => json!(v),
        Field::Str(v) => json!(v),
        Field::Group(row) => row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect(),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        _ => Value::Null,
    }
}
