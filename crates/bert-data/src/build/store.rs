//! The corpus as ids, in temporary files that are memory-mapped: any sentence of any document is at hand, and memory holds
//! only what is in use.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::buffer::ScalarBuffer;

use crate::error::{Error, Result};
use crate::examples::TokenIds;
use crate::mapping;

/// Ids of all documents, one behind the other, without special tokens.
pub(super) struct TokenStore {
    ids: Ids,
    /// Where each sentence ends in `ids`.
    sentence_ends: ScalarBuffer<u64>,
    /// Where each document's sentences end in `sentence_ends`.
    document_ends: Vec<u64>,
    files: [PathBuf; 2],
}

enum Ids {
    U16(ScalarBuffer<u16>),
    U32(ScalarBuffer<u32>),
}

impl TokenStore {
    /// Number of documents, empty ones included.
    pub(super) fn documents(&self) -> u64 {
        self.document_ends.len() as u64
    }

    /// Numbers of a document's sentences.
    pub(super) fn sentences_of(&self, document: u64) -> Range<u64> {
        let start = match document {
            0 => 0,
            _ => self.document_ends[document as usize - 1],
        };
        start..self.document_ends[document as usize]
    }

    /// Where a sentence's ids lie.
    pub(super) fn tokens_of_sentence(&self, sentence: u64) -> Range<u64> {
        self.start_of_sentence(sentence)..self.sentence_ends[sentence as usize]
    }

    /// Where a document's ids lie.
    pub(super) fn tokens_of(&self, document: u64) -> Range<u64> {
        let sentences = self.sentences_of(document);
        self.start_of_sentence(sentences.start)..self.start_of_sentence(sentences.end)
    }

    fn start_of_sentence(&self, sentence: u64) -> u64 {
        match sentence {
            0 => 0,
            _ => self.sentence_ends[sentence as usize - 1],
        }
    }

    /// The ids in a range.
    pub(super) fn ids(&self, range: &Range<u64>) -> TokenIds<'_> {
        let range = range.start as usize..range.end as usize;
        match &self.ids {
            Ids::U16(ids) => TokenIds::U16(&ids[range]),
            Ids::U32(ids) => TokenIds::U32(&ids[range]),
        }
    }

    /// True when ids take four bytes.
    pub(super) fn is_wide(&self) -> bool {
        matches!(self.ids, Ids::U32(_))
    }

    /// Removes the temporary files.
    pub(super) fn remove(self) -> Result<()> {
        // Unmapped first: some systems refuse to remove a mapped file.
        let TokenStore { files, .. } = self;
        for file in files {
            fs::remove_file(&file).map_err(Error::io("remove", &file))?;
        }
        Ok(())
    }
}

/// Writes a [`TokenStore`]. The temporary files are in the byte order of this machine, which also reads them.
pub(super) struct TokenStoreWriter {
    ids: BufWriter<File>,
    sentence_ends: BufWriter<File>,
    document_ends: Vec<u64>,
    files: [PathBuf; 2],
    wide: bool,
    tokens: u64,
    sentences: u64,
}

impl TokenStoreWriter {
    /// Begins a store in `folder`; `wide`: four bytes an id instead of two.
    pub(super) fn create(folder: &Path, wide: bool) -> Result<Self> {
        let files = [folder.join("ids.temporary"), folder.join("sentences.temporary")];
        let create = |path: &PathBuf| {
            let file = File::create(path).map_err(Error::io("create", path))?;
            Ok::<_, Error>(BufWriter::with_capacity(1 << 20, file))
        };
        Ok(TokenStoreWriter {
            ids: create(&files[0])?,
            sentence_ends: create(&files[1])?,
            document_ends: Vec::new(),
            files,
            wide,
            tokens: 0,
            sentences: 0,
        })
    }

    /// Adds a document: its ids and the lengths of its sentences.
    pub(super) fn push(&mut self, ids: &[u32], sentence_lengths: &[u32]) -> Result<()> {
        for &id in ids {
            let written = match self.wide {
                // Two bytes are chosen only when every id of the vocabulary fits.
                false => self.ids.write_all(&(id as u16).to_ne_bytes()),
                true => self.ids.write_all(&id.to_ne_bytes()),
            };
            written.map_err(Error::io("write", &self.files[0]))?;
        }
        for &length in sentence_lengths {
            self.tokens += u64::from(length);
            self.sentence_ends.write_all(&self.tokens.to_ne_bytes()).map_err(Error::io("write", &self.files[1]))?;
        }
        self.sentences += sentence_lengths.len() as u64;
        self.document_ends.push(self.sentences);
        Ok(())
    }

    /// Closes the files and maps them.
    pub(super) fn finish(mut self) -> Result<TokenStore> {
        self.ids.flush().map_err(Error::io("write", &self.files[0]))?;
        self.sentence_ends.flush().map_err(Error::io("write", &self.files[1]))?;
        let ids = mapping::map(&self.files[0])?;
        Ok(TokenStore {
            ids: match self.wide {
                false => Ids::U16(ScalarBuffer::from(ids)),
                true => Ids::U32(ScalarBuffer::from(ids)),
            },
            sentence_ends: ScalarBuffer::from(mapping::map(&self.files[1])?),
            document_ends: self.document_ends,
            files: self.files,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn documents_and_sentences_come_back() {
        for wide in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let mut writer = TokenStoreWriter::create(dir.path(), wide).unwrap();
            writer.push(&[1, 2, 3], &[2, 1]).unwrap();
            writer.push(&[], &[]).unwrap();
            writer.push(&[65_535], &[1]).unwrap();
            let store = writer.finish().unwrap();
            assert_eq!(store.documents(), 3);
            assert_eq!(store.sentences_of(0), 0..2);
            assert_eq!(store.tokens_of_sentence(1), 2..3);
            assert_eq!((store.tokens_of(0), store.tokens_of(1), store.tokens_of(2)), (0..3, 3..3, 3..4));
            assert_eq!(store.ids(&(1..4)).to_vec(), [2, 3, 65_535]);
            store.remove().unwrap();
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }
}
