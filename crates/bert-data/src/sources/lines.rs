//! Lines of a UTF-8 text file, with the place of the first byte that is not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::checksum::Hashing;
use crate::error::{Error, Result};

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Reads a file line by line, remembering its digest.
pub(super) struct Lines {
    reader: BufReader<Hashing<Box<dyn Read + Send>>>,
    path: PathBuf,
    buffer: Vec<u8>,
    /// Number of the line read last, from 1.
    line: u64,
    /// Offset of the next line's first byte.
    offset: u64,
}

impl Lines {
    /// Opens the file, or reads the embedded text in its place.
    pub(super) fn open(path: &Path, embedded: Option<&'static str>) -> Result<Self> {
        let reader: Box<dyn Read + Send> = match embedded {
            Some(text) => Box::new(text.as_bytes()),
            None => Box::new(File::open(path).map_err(Error::io("open", path))?),
        };
        Ok(Lines {
            reader: BufReader::with_capacity(1 << 18, Hashing::new(reader)),
            path: path.to_owned(),
            buffer: Vec::new(),
            line: 0,
            offset: 0,
        })
    }

    /// True when the file's first characters, after a byte order mark and white space, are these. Reads nothing away.
    pub(super) fn begins_with(&mut self, prefix: &[u8]) -> Result<bool> {
        let head = self.reader.fill_buf().map_err(Error::io("read", &self.path))?;
        let head = head.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(head);
        Ok(head.trim_ascii_start().starts_with(prefix))
    }

    /// The next line without its end, or none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<&str>> {
        self.buffer.clear();
        let n = self.reader.read_until(b'\n', &mut self.buffer).map_err(Error::io("read", &self.path))?;
        if n == 0 {
            return Ok(None);
        }
        self.line += 1;
        let start = self.offset;
        self.offset += n as u64;
        let line = std::str::from_utf8(&self.buffer).map_err(|e| Error::NotUtf8 {
            path: self.path.clone(),
            line: self.line,
            offset: start + e.valid_up_to() as u64,
        })?;
        let line = if self.line == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        Ok(Some(line.trim_end_matches(['\n', '\r'])))
    }

    /// An error at the line read last.
    pub(super) fn malformed(&self, reason: impl Into<String>) -> Error {
        Error::Malformed { path: self.path.clone(), line: self.line, reason: reason.into() }
    }

    /// Reads the rest for its digest alone.
    pub(super) fn skip_to_end(&mut self) -> Result<()> {
        io::copy(&mut self.reader, &mut io::sink()).map_err(Error::io("read", &self.path))?;
        Ok(())
    }

    /// SHA-256 and number of the bytes read.
    pub(super) fn finish(self) -> (String, u64) {
        self.reader.into_inner().finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn line_ends_and_the_byte_order_mark_are_taken_off() {
        let mut lines = Lines::open(Path::new("x"), Some("\u{feff}one\r\ntwo\n\nlast")).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(line.to_string());
        }
        assert_eq!(all, ["one", "two", "", "last"]);
    }

    #[test]
    fn the_first_bad_byte_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"good\nb\xe4d\n").unwrap();
        let mut lines = Lines::open(file.path(), None).unwrap();
        assert_eq!(lines.next().unwrap(), Some("good"));
        let error = lines.next().unwrap_err();
        assert!(matches!(error, Error::NotUtf8 { line: 2, offset: 6, .. }), "{error}");
        assert!(!error.is_request());
    }
}
