//! Lines of a UTF-8 text file, with the place of the first byte that is not.

use std::path::{Path, PathBuf};

use super::bytes::{Reader, Until};
use super::{LONGEST_RECORD, Unreadable};
use crate::drops::{Drops, Reason};
use crate::error::{Error, Result};

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Reads a file line by line, decompressed.
pub(super) struct Lines {
    reader: Reader,
    path: PathBuf,
    buffer: Vec<u8>,
    /// Number of the line read last, from 1.
    line: u64,
    unreadable: Unreadable,
    /// Lines that were left out.
    pub(super) drops: Drops,
}

impl Lines {
    pub(super) fn new(reader: Reader, path: &Path, unreadable: Unreadable) -> Self {
        Lines { reader, path: path.to_owned(), buffer: Vec::new(), line: 0, unreadable, drops: Drops::default() }
    }

    /// The next line without its end, or none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<&str>> {
        loop {
            let start = self.reader.offset();
            let met = self.reader.until(b"\n", &mut self.buffer, LONGEST_RECORD)?;
            if met == Until::End && self.buffer.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            if let Until::TooLong(bytes) = met {
                self.drops.line(Reason::TooLong, bytes as usize);
                continue;
            }
            if let Err(e) = std::str::from_utf8(&self.buffer) {
                match self.unreadable {
                    Unreadable::Skip => {
                        self.drops.line(Reason::InvalidUtf8, self.buffer.len());
                        continue;
                    }
                    Unreadable::Stop => {
                        let offset = start + e.valid_up_to() as u64;
                        return Err(Error::NotUtf8 { path: self.path.clone(), line: self.line, offset });
                    }
                }
            }
            break;
        }
        // Checked above; asked again because a borrow cannot leave the loop.
        let line = std::str::from_utf8(&self.buffer).unwrap_or_default();
        let line = if self.line == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        Ok(Some(line.trim_end_matches(['\n', '\r'])))
    }

    /// An error at the line read last.
    pub(super) fn malformed(&self, reason: impl Into<String>) -> Error {
        Error::Malformed { path: self.path.clone(), line: self.line, reason: reason.into() }
    }

    /// Whether a line that cannot be used is left out, or ends the work.
    pub(super) fn unreadable(&self) -> Unreadable {
        self.unreadable
    }

    /// Bytes of the file on disk that were used up, about.
    pub(super) fn position(&self) -> u64 {
        self.reader.position()
    }

    /// SHA-256 and length of the file on disk.
    pub(super) fn finish(self) -> Result<(String, u64)> {
        self.reader.finish()
    }
}

/// Lines of a text in memory, for the tests of the formats.
#[cfg(test)]
pub(super) fn lines_of(text: &'static str, unreadable: Unreadable) -> Result<Lines> {
    let path = Path::new("corpus");
    Ok(Lines::new(Reader::open(path, Some(text))?, path, unreadable))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn file(content: &[u8], unreadable: Unreadable) -> (tempfile::NamedTempFile, Lines) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let lines = Lines::new(Reader::open(file.path(), None).unwrap(), file.path(), unreadable);
        (file, lines)
    }

    #[test]
    fn line_ends_and_the_byte_order_mark_are_taken_off() {
        let mut lines = lines_of("\u{feff}one\r\ntwo\n\nlast", Unreadable::Stop).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(line.to_string());
        }
        assert_eq!(all, ["one", "two", "", "last"]);
    }

    #[test]
    fn the_first_bad_byte_is_named() {
        let (_file, mut lines) = file(b"good\nb\xe4d\nlast", Unreadable::Stop);
        assert_eq!(lines.next().unwrap(), Some("good"));
        let error = lines.next().unwrap_err();
        assert!(matches!(error, Error::NotUtf8 { line: 2, offset: 6, .. }), "{error}");
        assert!(!error.is_request());
    }

    #[test]
    fn a_bad_line_is_left_out_and_counted_on_request() {
        let (_file, mut lines) = file(b"good\nb\xe4d\nlast", Unreadable::Skip);
        assert_eq!(lines.next().unwrap(), Some("good"));
        assert_eq!(lines.next().unwrap(), Some("last"));
        assert_eq!((lines.drops.get(Reason::InvalidUtf8).lines, lines.drops.get(Reason::InvalidUtf8).bytes), (1, 4));
    }

    #[test]
    fn a_line_of_10_mb_is_read_and_one_without_end_is_counted() {
        let mut content = vec![b'x'; 10 << 20];
        content.push(b'\n');
        content.resize(content.len() + LONGEST_RECORD + 1, b'y');
        content.extend_from_slice(b"\nlast\n");
        let (_file, mut lines) = file(&content, Unreadable::Stop);
        assert_eq!(lines.next().unwrap().unwrap().len(), 10 << 20);
        assert_eq!(lines.next().unwrap(), Some("last"));
        assert_eq!(lines.drops.get(Reason::TooLong).bytes, LONGEST_RECORD as u64 + 2);
        assert!(lines.next().unwrap().is_none());
    }
}
