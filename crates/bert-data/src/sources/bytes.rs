//! The bytes of a corpus file, decompressed while they are read.
//!
//! Which compression it is shows in the file's ending. Members or streams that follow each other in one file (`pigz`,
//! `pbzip2`, `cat a.gz b.gz`, Wikipedia's multistream dumps) are read as one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;

use crate::checksum::Hashing;
use crate::error::{Error, Result};

/// The file as it lies on disk, its digest taken on the way.
type Raw = BufReader<Hashing<Box<dyn Read + Send>>>;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

const ENDINGS: [(&str, Compression); 5] = [
    ("gz", Compression::Gzip),
    ("bz2", Compression::Bzip2),
    ("xz", Compression::Xz),
    ("zst", Compression::Zstd),
    ("zstd", Compression::Zstd),
];

/// The compression that a path's ending names, and the path without that ending.
pub(super) fn compression(path: &Path) -> (Option<Compression>, PathBuf) {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    let found = ENDINGS.iter().find(|(name, _)| ending.as_deref().is_some_and(|ending| ending == *name));
    match found {
        Some(&(_, compression)) => (Some(compression), path.with_extension("")),
        None => (None, path.to_owned()),
    }
}

enum Decoder {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<Raw>>),
    Bzip2(Box<MultiBzDecoder<Raw>>),
    Xz(Box<XzDecoder<Raw>>),
    Zstd(Box<zstd::Decoder<'static, Raw>>),
}

/// A reader of a file's text; what it read of the file itself can be asked for.
pub(super) struct Bytes {
    decoder: Decoder,
    path: PathBuf,
}

impl Bytes {
    /// Opens the file, or reads the embedded text in its place.
    pub(super) fn open(path: &Path, embedded: Option<&'static str>) -> Result<Self> {
        let (raw, compression): (Box<dyn Read + Send>, _) = match embedded {
            Some(text) => (Box::new(text.as_bytes()), None),
            None => (Box::new(File::open(path).map_err(Error::io("open", path))?), compression(path).0),
        };
        let raw = BufReader::with_capacity(1 << 17, Hashing::new(raw));
        let decoder = match compression {
            None => Decoder::Plain(raw),
            Some(Compression::Gzip) => Decoder::Gzip(Box::new(MultiGzDecoder::new(raw))),
            Some(Compression::Bzip2) => Decoder::Bzip2(Box::new(MultiBzDecoder::new(raw))),
            Some(Compression::Xz) => Decoder::Xz(Box::new(XzDecoder::new_multi_decoder(raw))),
            Some(Compression::Zstd) => {
                Decoder::Zstd(Box::new(zstd::Decoder::with_buffer(raw).map_err(Error::io("read", path))?))
            }
        };
        Ok(Bytes { decoder, path: path.to_owned() })
    }

    fn raw(&self) -> &Raw {
        match &self.decoder {
            Decoder::Plain(raw) => raw,
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Bzip2(decoder) => decoder.get_ref(),
            Decoder::Xz(decoder) => decoder.get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref(),
        }
    }

    /// Bytes of the file on disk that were used up.
    pub(super) fn position(&self) -> u64 {
        self.raw().get_ref().bytes() - self.raw().buffer().len() as u64
    }

    /// The error that a failed read means: of the file, or of what is compressed in it.
    pub(super) fn explain(&self, error: io::Error) -> Error {
        match self.decoder {
            Decoder::Plain(_) => Error::Io { action: "read", path: self.path.clone(), source: error },
            _ => Error::Compressed {
                path: self.path.clone(),
                offset: self.position(),
                reason: match error.kind() {
                    io::ErrorKind::UnexpectedEof => "the file ends inside the compressed data; it was cut off".into(),
                    _ => format!("the compressed data is damaged ({error})"),
                },
            },
        }
    }

    /// Reads what is left of the file for its digest alone. SHA-256 and length of the file on disk.
    pub(super) fn finish(self) -> Result<(String, u64)> {
        let mut raw = match self.decoder {
            Decoder::Plain(raw) => raw,
            Decoder::Gzip(decoder) => decoder.into_inner(),
            Decoder::Bzip2(decoder) => decoder.into_inner(),
            Decoder::Xz(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.finish(),
        };
        io::copy(&mut raw, &mut io::sink()).map_err(Error::io("read", &self.path))?;
        Ok(raw.into_inner().finish())
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.decoder {
            Decoder::Plain(raw) => raw.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Bzip2(decoder) => decoder.read(buffer),
            Decoder::Xz(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// A file's text with a buffer in front, for reading up to a mark.
pub(super) struct Reader {
    inner: BufReader<Bytes>,
    /// Offset in the text of the next byte.
    offset: u64,
}

/// What [`Reader::until`] met.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// The mark, which is part of what was read.
    Mark,
    /// The mark, but what stood before it was too long and is not kept; its length with the mark.
    TooLong(u64),
    /// The end of the text; what was read may be empty.
    End,
}

impl Reader {
    pub(super) fn open(path: &Path, embedded: Option<&'static str>) -> Result<Self> {
        let bytes = Bytes::open(path, embedded)?;
        Ok(Reader { inner: BufReader::with_capacity(1 << 18, bytes), offset: 0 })
    }

    /// What comes next, without reading it away. Empty at the end only; seldom less than 64 bytes elsewhere.
    pub(super) fn head(&mut self) -> Result<&[u8]> {
        match self.inner.fill_buf() {
            // Asked again because the borrow of the first answer would outlive the error branch.
            Ok(_) => Ok(self.inner.buffer()),
            Err(error) => Err(self.inner.get_ref().explain(error)),
        }
    }

    /// Reads up to and including `mark` into `out`, which is cleared first, at most `limit` bytes. More than that are read
    /// too, but not kept.
    pub(super) fn until(&mut self, mark: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<Until> {
        out.clear();
        let mut total = 0_u64;
        let mut too_long = false;
        loop {
            let buffer = match self.inner.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) => return Err(self.inner.get_ref().explain(error)),
            };
            if buffer.is_empty() {
                return Ok(if too_long { Until::TooLong(total) } else { Until::End });
            }
            // The mark may begin in what was read before: those bytes are looked at again together with the new ones.
            let kept = out.len().min(mark.len() - 1);
            let taken = match seam(&out[out.len() - kept..], buffer, mark) {
                Some(n) => Some(n),
                None => match mark {
                    [byte] => memchr::memchr(*byte, buffer).map(|at| at + 1),
                    _ => memchr::memmem::find(buffer, mark).map(|at| at + mark.len()),
                },
            };
            let n = taken.unwrap_or(buffer.len());
            out.extend_from_slice(&buffer[..n]);
            self.inner.consume(n);
            self.offset += n as u64;
            total += n as u64;
            if out.len() > limit {
                too_long = true;
                // Only what a mark could begin with is still of use.
                out.drain(..out.len() - (mark.len() - 1).min(out.len()));
            }
            if taken.is_some() {
                if too_long {
                    out.clear();
                    return Ok(Until::TooLong(total));
                }
                return Ok(Until::Mark);
            }
        }
    }

    /// Offset in the (decompressed) text of the next byte.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of the file on disk that were used up, about.
    pub(super) fn position(&self) -> u64 {
        self.inner.get_ref().position()
    }

    /// SHA-256 and length of the file on disk.
    pub(super) fn finish(self) -> Result<(String, u64)> {
        self.inner.into_inner().finish()
    }
}

/// Where in `new` a mark ends that begins in `old`.
fn seam(old: &[u8], new: &[u8], mark: &[u8]) -> Option<usize> {
    (1..=old.len().min(mark.len() - 1)).rev().find_map(|n| {
        let rest = &mark[n..];
        (old.ends_with(&mark[..n]) && new.starts_with(rest)).then_some(rest.len())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;

    use super::*;

    fn compressed(name: &str, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match compression(Path::new(name)).0.unwrap() {
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(&mut out, flate2::Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(&mut out, bzip2::Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
            Compression::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(&mut out, 1);
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(&mut out, 1).unwrap();
                encoder.include_checksum(true).unwrap();
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
        }
        out
    }

    const NAMES: [&str; 4] = ["a.gz", "a.txt.bz2", "a.XZ", "a.zst"];

    /// Text that does not compress to nothing.
    fn text() -> Vec<u8> {
        (0..40_000_u32).map(|i| b'a' + (i.wrapping_mul(2_654_435_761) >> 27) as u8).collect()
    }

    fn read(path: &Path) -> Result<Vec<u8>> {
        let mut bytes = Bytes::open(path, None)?;
        let mut out = Vec::new();
        match bytes.read_to_end(&mut out) {
            Ok(_) => Ok(out),
            Err(error) => Err(bytes.explain(error)),
        }
    }

    #[test]
    fn members_that_follow_each_other_are_read_as_one() {
        let dir = tempfile::tempdir().unwrap();
        for name in NAMES {
            let path = dir.path().join(name);
            let file = [compressed(name, &text()), compressed(name, b"second"), compressed(name, b"")].concat();
            std::fs::write(&path, &file).unwrap();
            assert!(read(&path).unwrap() == [&text()[..], b"second"].concat(), "{name}");
            let (sha256, length) = Bytes::open(&path, None).unwrap().finish().unwrap();
            assert_eq!((sha256, length), crate::checksum::sha256_file(&path).unwrap(), "{name}");
        }
    }

    #[test]
    fn a_file_that_was_cut_off_is_an_error_with_file_and_offset() {
        let dir = tempfile::tempdir().unwrap();
        for name in NAMES {
            let path = dir.path().join(name);
            let whole = compressed(name, &text());
            for length in [whole.len() / 2, whole.len() - 1, 7] {
                std::fs::write(&path, &whole[..length]).unwrap();
                let error = read(&path).map(|text| text.len()).unwrap_err();
                let Error::Compressed { offset, .. } = &error else { panic!("{name}: {error}") };
                assert!(*offset <= length as u64, "{name}");
                let message = error.to_string();
                assert!(message.contains(name) && message.contains("cut off"), "{message}");
                assert!(!error.is_request());
            }
            let mut damaged = whole.clone();
            damaged[whole.len() / 2] ^= 0x55;
            std::fs::write(&path, &damaged).unwrap();
            let error = read(&path).map(|text| text.len()).unwrap_err();
            assert!(matches!(error, Error::Compressed { .. }), "{name}: {error}");
            std::fs::write(&path, "plain text with a wrong name").unwrap();
            assert!(matches!(read(&path).unwrap_err(), Error::Compressed { .. }), "{name}");
        }
    }

    #[test]
    fn marks_are_found_across_the_seams_of_buffers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        // The buffer has 2^18 bytes: marks at every offset around its end.
        for shift in 0..12 {
            let mut content = vec![b'-'; (1 << 18) - shift];
            content.extend_from_slice(b"</page>tail</page>end");
            std::fs::write(&path, &content).unwrap();
            let mut reader = Reader::open(&path, None).unwrap();
            let mut out = Vec::new();
            assert_eq!(reader.until(b"</page>", &mut out, usize::MAX).unwrap(), Until::Mark);
            assert_eq!(out.len(), (1 << 18) - shift + 7);
            assert_eq!(reader.until(b"</page>", &mut out, usize::MAX).unwrap(), Until::Mark);
            assert_eq!(out, b"tail</page>");
            assert_eq!(reader.until(b"</page>", &mut out, usize::MAX).unwrap(), Until::End);
            assert_eq!(out, b"end");
            assert_eq!(reader.offset(), content.len() as u64);

            let mut reader = Reader::open(&path, None).unwrap();
            let long = ((1 << 18) - shift + 7) as u64;
            assert_eq!(reader.until(b"</page>", &mut out, 100).unwrap(), Until::TooLong(long), "{shift}");
            assert_eq!(reader.until(b"</page>", &mut out, 100).unwrap(), Until::Mark);
            assert_eq!(out, b"tail</page>");
        }
    }
}
