//! Sorted counts in temporary files, and their merge.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Counts written down. The files go with it.
pub(super) struct Runs {
    folder: PathBuf,
    files: Vec<PathBuf>,
    /// How many files were made, those that are gone included.
    made: usize,
}

/// So many files become one: a process may not open any number of them.
const MOST_FILES: usize = 64;
/// Counts that are written at a time when files become one.
const BATCH: usize = 1 << 12;

/// A piece and its count.
type Counted = (Box<str>, u64);

impl Runs {
    /// None yet; files will be made in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Runs { folder: folder.to_owned(), files: Vec::new(), made: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Writes sorted counts into a file of their own: length of the text, text, count.
    pub(super) fn write(&mut self, sorted: &[Counted]) -> Result<()> {
        if self.files.len() == MOST_FILES {
            let old = Runs { folder: self.folder.clone(), files: std::mem::take(&mut self.files), made: 0 };
            let (path, mut file) = self.create()?;
            old.merged(BATCH, |counts| put(&mut file, counts).map_err(Error::io("write", &path)))?;
            file.flush().map_err(Error::io("write", &path))?;
        }
        let (path, mut file) = self.create()?;
        put(&mut file, sorted).and_then(|()| file.flush()).map_err(Error::io("write", &path))
    }

    fn create(&mut self) -> Result<(PathBuf, BufWriter<File>)> {
        let path = self.folder.join(format!("counts-{}", self.made));
        self.made += 1;
        self.files.push(path.clone());
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        Ok((path, BufWriter::new(file)))
    }

    /// Calls `each` with the counts of all files, added up, in order of the text and up to `batch` at a time.
    pub(super) fn merged(self, batch: usize, mut each: impl FnMut(&[Counted]) -> Result<()>) -> Result<()> {
        let mut readers = Vec::with_capacity(self.files.len());
        let mut heads: BinaryHeap<Reverse<(Box<str>, usize, u64)>> = BinaryHeap::new();
        for (number, path) in self.files.iter().enumerate() {
            let mut reader = BufReader::new(File::open(path).map_err(Error::io("read", path))?);
            heads.extend(next(&mut reader, path)?.map(|(piece, count)| Reverse((piece, number, count))));
            readers.push((reader, path));
        }
        let mut found: Vec<Counted> = Vec::with_capacity(batch);
        while let Some(Reverse((piece, number, count))) = heads.pop() {
            let (reader, path) = &mut readers[number];
            heads.extend(next(reader, path)?.map(|(piece, count)| Reverse((piece, number, count))));
            match found.last_mut().filter(|(last, _)| *last == piece) {
                Some((_, sum)) => *sum += count,
                None => {
                    if found.len() == batch {
                        each(&found)?;
                        found.clear();
                    }
                    found.push((piece, count));
                }
            }
        }
        each(&found)
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        for path in &self.files {
            // The folder they are in is temporary itself; there is nobody to tell.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn put(file: &mut impl Write, sorted: &[Counted]) -> io::Result<()> {
    for (piece, count) in sorted {
        file.write_all(&(piece.len() as u64).to_le_bytes())?;
        file.write_all(piece.as_bytes())?;
        file.write_all(&count.to_le_bytes())?;
    }
    Ok(())
}

/// The next count of a file, none at its end.
fn next(reader: &mut impl Read, path: &Path) -> Result<Option<Counted>> {
    let mut read = || -> io::Result<Option<Counted>> {
        let mut number = [0; 8];
        match reader.read_exact(&mut number) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let mut text = vec![0; u64::from_le_bytes(number) as usize];
        reader.read_exact(&mut text)?;
        reader.read_exact(&mut number)?;
        let text = String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Some((text.into(), u64::from_le_bytes(number))))
    };
    read().map_err(Error::io("read", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_written_comes_back_in_order_and_added_up() {
        let dir = tempfile::tempdir().unwrap();
        let mut runs = Runs::new(dir.path());
        let counted = |list: &[(&str, u64)]| list.iter().map(|&(t, n)| (t.into(), n)).collect::<Vec<Counted>>();
        for run in [&[("a", 1), ("c", 2)][..], &[], &[("a", 5), ("b", 1), ("é", 1)], &[("c", 1)]] {
            runs.write(&counted(run)).unwrap();
        }
        let mut batches = Vec::new();
        runs.merged(2, |batch| {
            batches.push(batch.to_vec());
            Ok(())
        })
        .unwrap();
        assert_eq!(batches, [counted(&[("a", 6), ("b", 1)]), counted(&[("c", 3), ("é", 1)])]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn many_files_become_one_and_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let mut runs = Runs::new(dir.path());
        for n in 0..200_u64 {
            let mut counts: Vec<Counted> = vec![("all".into(), n), (format!("w{}", n % 7).into(), 1)];
            counts.sort();
            runs.write(&counts).unwrap();
            assert!(std::fs::read_dir(dir.path()).unwrap().count() <= MOST_FILES);
        }
        let mut found = Vec::new();
        runs.merged(100, |batch| {
            found.extend(batch.to_vec());
            Ok(())
        })
        .unwrap();
        assert_eq!(found[0], ("all".into(), 199 * 100));
        assert_eq!((found.len(), found[1..].iter().map(|(_, count)| count).sum::<u64>()), (8, 200));
    }
}
