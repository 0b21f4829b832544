//! SHA-256 of files while they are written or read, and the list of them that goes into an output folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Name of the list of checksums in an output folder; its format is that of `sha256sum`, so `sha256sum -c` checks it too.
pub const SUMS_FILE: &str = "SHA256SUMS";

/// SHA-256 of some bytes, in hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes).as_slice())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 and length in bytes of a file.
pub(crate) fn sha256_file(path: &Path) -> Result<(String, u64)> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut hashing = Hashing::new(file);
    io::copy(&mut hashing, &mut io::sink()).map_err(Error::io("read", path))?;
    Ok(hashing.finish())
}

/// A reader or writer that remembers the digest and the number of the bytes that went through it.
pub(crate) struct Hashing<T> {
    inner: T,
    digest: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T) -> Self {
        Hashing { inner, digest: Sha256::new(), bytes: 0 }
    }

    /// The digest in hexadecimal and the number of bytes.
    pub(crate) fn finish(self) -> (String, u64) {
        (hex(self.digest.finalize().as_slice()), self.bytes)
    }

    /// The number of bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn saw(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.saw(&buffer[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.saw(&buffer[..n]);
        Ok(n)
    }
}

/// File name (relative to the folder, with `/`) -> SHA-256 in hexadecimal.
pub(crate) type Sums = BTreeMap<String, String>;

/// The text of a `SHA256SUMS` file.
pub(crate) fn sums_text(sums: &Sums) -> String {
    sums.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect()
}

/// Reads `SHA256SUMS` in `dir`.
pub(crate) fn read_sums(dir: &Path) -> Result<Sums> {
    let path = dir.join(SUMS_FILE);
    let damaged = |reason: String| Error::Damaged { path: path.clone(), reason };
    let bytes = std::fs::read(&path).map_err(Error::io("open", &path))?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| damaged("not text; the file was changed after it was written".into()))?;
    text.lines()
        .enumerate()
        .map(|(i, line)| match line.split_once("  ") {
            Some((digest, name)) if digest.len() == 64 => Ok((name.to_string(), digest.to_string())),
            _ => Err(damaged(format!(
                "line {} is not `<sha-256>  <file>`; the file was changed after it was written",
                i + 1
            ))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_digest_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), expected);
        let mut hashing = Hashing::new(Vec::new());
        hashing.write_all(b"a").unwrap();
        hashing.write_all(b"bc").unwrap();
        assert_eq!(hashing.finish(), (expected.to_string(), 3));
    }
}
