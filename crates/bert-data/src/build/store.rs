//! The corpus as ids, in temporary files: any sentence of any document is at hand, and nothing of it is held in memory.
//!
//! The files are read at offsets and not mapped: pages of a mapping count as this process's memory for as long as the system
//! has no better use for them, and then `--memory` would say nothing.
//!
//! They grow by commits. After a commit the files are synced and their lengths are known ([`StoreLengths`]); a build that
//! was killed cuts them back to the last commit and goes on.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Bytes of one number in the files of sentences and documents.
const WORD: u64 = 8;
/// Bytes of a document's record: where its sentences end, and where its tokens end.
const RECORD: u64 = 2 * WORD;

/// How much of each file is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct StoreLengths {
    /// Ids of all documents, one behind the other, without special tokens.
    pub(super) tokens: u64,
    /// Places where a sentence ends, counted in tokens.
    pub(super) sentences: u64,
    /// Documents, empty ones included.
    pub(super) documents: u64,
}

/// Where a document lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Its sentences.
    pub(super) sentences: Range<u64>,
    /// Its tokens.
    pub(super) tokens: Range<u64>,
}

/// The files and their names.
struct Files {
    ids: (PathBuf, File),
    sentences: (PathBuf, File),
    documents: (PathBuf, File),
}

impl Files {
    fn open(folder: &Path) -> Result<Self> {
        let open = |name: &str| {
            let path = folder.join(name);
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            file.map(|file| (path.clone(), file)).map_err(Error::io("create", &path))
        };
        Ok(Files { ids: open("ids")?, sentences: open("sentences")?, documents: open("documents")? })
    }
}

/// Reads the corpus's ids from any place, from any number of threads.
pub(super) struct TokenStore {
    files: Files,
    wide: bool,
    lengths: StoreLengths,
}

impl TokenStore {
    /// Number of documents, empty ones included.
    pub(super) fn documents(&self) -> u64 {
        self.lengths.documents
    }

    /// Where a document lies.
    pub(super) fn place(&self, document: u64) -> Result<Place> {
        // The record before it says where it begins.
        let mut bytes = [0; 2 * RECORD as usize];
        let (path, file) = &self.files.documents;
        match document {
            0 => read_at(file, path, &mut bytes[RECORD as usize..], 0)?,
            _ => read_at(file, path, &mut bytes, (document - 1) * RECORD)?,
        }
        let [sentence_start, token_start, sentence_end, token_end] =
            std::array::from_fn(|i| word(&bytes[i * WORD as usize..]));
        Ok(Place { sentences: sentence_start..sentence_end, tokens: token_start..token_end })
    }

    /// Reads where the sentences of a range end; `ends` is cleared first.
    pub(super) fn read_sentence_ends(&self, sentences: Range<u64>, ends: &mut Vec<u64>) -> Result<()> {
        let mut bytes = vec![0; ((sentences.end - sentences.start) * WORD) as usize];
        let (path, file) = &self.files.sentences;
        read_at(file, path, &mut bytes, sentences.start * WORD)?;
        ends.clear();
        ends.extend(bytes.chunks_exact(WORD as usize).map(word));
        Ok(())
    }

    /// Appends the ids of a range to `out`.
    pub(super) fn read_ids(&self, tokens: Range<u64>, out: &mut Vec<u32>) -> Result<()> {
        let width = if self.wide { 4 } else { 2 };
        let mut bytes = vec![0; ((tokens.end - tokens.start) * width) as usize];
        let (path, file) = &self.files.ids;
        read_at(file, path, &mut bytes, tokens.start * width)?;
        match self.wide {
            false => out.extend(bytes.chunks_exact(2).map(|b| u32::from(u16::from_le_bytes([b[0], b[1]])))),
            true => out.extend(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
        }
        Ok(())
    }
}

/// Writes a [`TokenStore`].
pub(super) struct TokenStoreWriter {
    ids: BufWriter<File>,
    sentences: BufWriter<File>,
    documents: BufWriter<File>,
    files: Files,
    wide: bool,
    lengths: StoreLengths,
}

impl TokenStoreWriter {
    /// Goes on after what is committed in `folder`; what was written after it is cut off. `wide`: four bytes an id instead
    /// of two.
    pub(super) fn open(folder: &Path, wide: bool, committed: StoreLengths) -> Result<Self> {
        let files = Files::open(folder)?;
        let StoreLengths { tokens, sentences, documents } = committed;
        let end = |(path, file): &(PathBuf, File), bytes: u64| {
            let found = file.metadata().map_err(Error::io("read", path))?.len();
            if found < bytes {
                return Err(Error::Damaged {
                    path: path.clone(),
                    reason: format!(
                        "{found} bytes of {bytes} are left of an interrupted build; remove its folder to begin anew"
                    ),
                });
            }
            file.set_len(bytes).map_err(Error::io("cut", path))?;
            let mut file = file.try_clone().map_err(Error::io("open", path))?;
            file.seek(SeekFrom::Start(bytes)).map_err(Error::io("read", path))?;
            Ok(BufWriter::with_capacity(1 << 20, file))
        };
        Ok(TokenStoreWriter {
            ids: end(&files.ids, tokens * if wide { 4 } else { 2 })?,
            sentences: end(&files.sentences, sentences * WORD)?,
            documents: end(&files.documents, documents * RECORD)?,
            files,
            wide,
            lengths: committed,
        })
    }

    /// Adds a document: its ids and the lengths of its sentences.
    pub(super) fn push(&mut self, ids: &[u32], sentence_lengths: &[u32]) -> Result<()> {
        let Files { ids: (ids_path, _), sentences: (sentences_path, _), documents: (documents_path, _) } = &self.files;
        for &id in ids {
            let written = match self.wide {
                // Two bytes are chosen only when every id of the vocabulary fits.
                false => self.ids.write_all(&(id as u16).to_le_bytes()),
                true => self.ids.write_all(&id.to_le_bytes()),
            };
            written.map_err(Error::io("write", ids_path))?;
        }
        for &length in sentence_lengths {
            self.lengths.tokens += u64::from(length);
            let end = self.lengths.tokens.to_le_bytes();
            self.sentences.write_all(&end).map_err(Error::io("write", sentences_path))?;
        }
        self.lengths.sentences += sentence_lengths.len() as u64;
        self.lengths.documents += 1;
        for end in [self.lengths.sentences, self.lengths.tokens] {
            self.documents.write_all(&end.to_le_bytes()).map_err(Error::io("write", documents_path))?;
        }
        Ok(())
    }

    /// Brings everything so far onto the disk.
    pub(super) fn commit(&mut self) -> Result<StoreLengths> {
        for (writer, (path, file)) in [
            (&mut self.ids, &self.files.ids),
            (&mut self.sentences, &self.files.sentences),
            (&mut self.documents, &self.files.documents),
        ] {
            writer.flush().and_then(|()| file.sync_data()).map_err(Error::io("write", path))?;
        }
        Ok(self.lengths)
    }

    /// The store, to be read. What is not committed is not in it.
    pub(super) fn finish(mut self) -> Result<TokenStore> {
        self.commit()?;
        Ok(TokenStore { files: self.files, wide: self.wide, lengths: self.lengths })
    }
}

/// The number at the beginning of `bytes`; 0 where there are fewer than eight.
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Fills `buffer` from an offset without moving the file's position, so that threads can share the file.
pub(super) fn read_at(file: &File, path: &Path, buffer: &mut [u8], offset: u64) -> Result<()> {
    #[cfg(unix)]
    let read = std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset);
    #[cfg(windows)]
    let read = {
        use std::os::windows::fs::FileExt;
        let mut done = 0;
        loop {
            match file.seek_read(&mut buffer[done..], offset + done as u64) {
                Ok(0) if done < buffer.len() => break Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => done += n,
                Err(error) => break Err(error),
            }
            if done == buffer.len() {
                break Ok(());
            }
        }
    };
    read.map_err(Error::io("read", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn documents_and_sentences_come_back_and_what_was_not_committed_is_cut_off() {
        for wide in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let mut writer = TokenStoreWriter::open(dir.path(), wide, StoreLengths::default()).unwrap();
            writer.push(&[1, 2, 3], &[2, 1]).unwrap();
            writer.push(&[], &[]).unwrap();
            let committed = writer.commit().unwrap();
            assert_eq!(committed, StoreLengths { tokens: 3, sentences: 2, documents: 2 });
            writer.push(&[9, 9], &[1, 1]).unwrap();
            writer.commit().unwrap();
            drop(writer);

            let mut writer = TokenStoreWriter::open(dir.path(), wide, committed).unwrap();
            writer.push(&[65_535], &[1]).unwrap();
            let store = writer.finish().unwrap();
            assert_eq!(store.documents(), 3);
            let places: Vec<Place> = (0..3).map(|d| store.place(d).unwrap()).collect();
            assert_eq!(places[0], Place { sentences: 0..2, tokens: 0..3 });
            assert_eq!(places[1], Place { sentences: 2..2, tokens: 3..3 });
            assert_eq!(places[2], Place { sentences: 2..3, tokens: 3..4 });
            let (mut ends, mut ids) = (vec![7], vec![7]);
            store.read_sentence_ends(0..3, &mut ends).unwrap();
            store.read_ids(1..4, &mut ids).unwrap();
            assert_eq!((ends, ids), (vec![2, 3, 4], vec![7, 2, 3, 65_535]));
        }
    }

    #[test]
    fn a_store_shorter_than_committed_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let committed = StoreLengths { tokens: 3, sentences: 1, documents: 1 };
        let error = TokenStoreWriter::open(dir.path(), false, committed).err().unwrap();
        assert!(error.to_string().contains("0 bytes of 6"), "{error}");
    }
}
