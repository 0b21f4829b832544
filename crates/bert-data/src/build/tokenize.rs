//! The first pass: the whole corpus as ids on disk.
//!
//! One thread reads, the others tokenise what was read before, and documents are stored in their order. Every few megabytes the
//! store is committed together with the counts so far; a build that was stopped reads past what is committed without
//! tokenising it again.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::store::{StoreLengths, TokenStore, TokenStoreWriter};
use super::work::write_whole;
use super::{BuildOptions, Part, Sentences};
use crate::error::{Error, Result};
use crate::manifest::CorpusCounts;
use crate::progress::Progress;
use crate::sources::{self, Document, Input, InputRecord, split_sentences};
use crate::tokenizer::WordPiece;

/// Groups between two commits: what is lost when a build is stopped.
const COMMIT_GROUPS: usize = 4;

/// How far the pass has come; lies beside the store.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    /// What is committed of the store.
    lengths: StoreLengths,
    /// What was counted in it.
    counts: CorpusCounts,
    /// Documents read from the inputs, those of other parts included.
    read: u64,
    /// The inputs, when all of them were read to their end.
    inputs: Option<Vec<InputRecord>>,
}

impl State {
    fn read(path: &Path) -> Result<Self> {
        if !path.is_file() {
            return Ok(State::default());
        }
        let text = fs::read(path).map_err(Error::io("read", path))?;
        serde_json::from_slice(&text).map_err(|e| Error::Damaged {
            path: path.to_owned(),
            reason: format!("not the state of an interrupted build ({e}); remove its folder to begin anew"),
        })
    }

    fn write(&self, path: &Path) -> Result<()> {
        // Serialising these types cannot fail: no maps with keys other than strings, no values that refuse.
        write_whole(path, &serde_json::to_vec(self).unwrap_or_default())
    }
}

/// Tokenises the corpus, or the part of it that is this machine's. `group_bytes`: text handed to the workers at a time.
pub(super) fn tokenize(
    opts: &BuildOptions,
    inputs: &[Input],
    tok: &WordPiece,
    wide: bool,
    group_bytes: usize,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<(TokenStore, CorpusCounts, Vec<InputRecord>)> {
    let path = folder.join("state.json");
    let mut state = State::read(&path)?;
    let mut writer = TokenStoreWriter::open(folder, wide, state.lengths)?;
    if let Some(records) = state.inputs {
        progress.finish("the corpus was tokenized before");
        return Ok((writer.finish()?, state.counts, records));
    }
    let from_before = state.lengths.documents;
    progress.start("tokenizing", Some(inputs.iter().map(Input::bytes).sum()), "bytes");
    let mut pass =
        Pass { tok, sentences: opts.sentences, part: opts.part.unwrap_or_default(), read: 0, skip: state.read };
    let mut uncommitted = 0;
    let records = std::thread::scope(|scope| {
        // One group waits while another is worked on, and a third is being read.
        let (sender, receiver) = sync_channel::<Vec<Document>>(1);
        let reader = std::thread::Builder::new().name("reader".into()).spawn_scoped(scope, move || {
            sources::for_each_group(inputs, opts.format, group_bytes, |group| {
                // Nobody receives any more when the work failed: its error is the one to tell.
                let gone = |_| Error::io("read", Path::new("the corpus"))(std::io::ErrorKind::BrokenPipe.into());
                sender.send(group).map_err(gone)
            })
        });
        let reader =
            reader.map_err(|e| Error::Setting { name: "workers", reason: format!("no thread to read with: {e}") })?;
        let receiver: Receiver<Vec<Document>> = receiver;
        for group in receiver {
            let bytes: usize = group.iter().flat_map(|d| &d.paragraphs).map(|p| p.len() + 1).sum();
            pass.group(group, &mut state, &mut writer)?;
            progress.advance(bytes as u64);
            uncommitted += 1;
            if uncommitted >= COMMIT_GROUPS && pass.read > pass.skip {
                state.read = pass.read;
                state.lengths = writer.commit()?;
                state.write(&path)?;
                uncommitted = 0;
            }
            let CorpusCounts { documents_empty, sentences_empty, .. } = state.counts;
            progress
                .note(&format!("dropped, no token in them: {documents_empty} documents, {sentences_empty} sentences"));
        }
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    if pass.read < pass.skip {
        return Err(Error::Damaged {
            path,
            reason: format!(
                "{} documents were read before the build was interrupted, and now there are {}; remove its folder to begin anew",
                pass.skip, pass.read
            ),
        });
    }
    state.read = pass.read;
    state.lengths = writer.commit()?;
    state.inputs = Some(records.clone());
    state.write(&path)?;
    let CorpusCounts { documents, sentences, tokens, .. } = state.counts;
    let before = if from_before > 0 { format!(" ({from_before} documents from before)") } else { String::new() };
    progress.finish(&format!("tokenized {documents} documents: {sentences} sentences, {tokens} tokens{before}"));
    Ok((writer.finish()?, state.counts, records))
}

/// What is done to a group of documents.
struct Pass<'a> {
    tok: &'a WordPiece,
    sentences: Sentences,
    part: Part,
    /// Documents read so far.
    read: u64,
    /// Documents at the beginning that are stored already.
    skip: u64,
}

impl Pass<'_> {
    fn group(&mut self, group: Vec<Document>, state: &mut State, writer: &mut TokenStoreWriter) -> Result<()> {
        let mine: Vec<&Document> = group
            .iter()
            .zip(self.read..)
            .filter(|(_, number)| *number >= self.skip && self.part.has(*number))
            .map(|(document, _)| document)
            .collect();
        let tokenized: Vec<TokenizedDocument> =
            mine.par_iter().map(|document| tokenize_document(document, self.sentences, self.tok)).collect();
        for document in tokenized {
            let counts = &mut state.counts;
            counts.documents += 1;
            counts.documents_empty += u64::from(document.ids.is_empty());
            counts.sentences += document.sentence_lengths.len() as u64;
            counts.sentences_empty += document.sentences_empty;
            counts.tokens += document.ids.len() as u64;
            writer.push(&document.ids, &document.sentence_lengths)?;
        }
        self.read += group.len() as u64;
        Ok(())
    }
}

/// A document's ids, sentence after sentence.
struct TokenizedDocument {
    ids: Vec<u32>,
    sentence_lengths: Vec<u32>,
    sentences_empty: u64,
}

fn tokenize_document(document: &Document, sentences: Sentences, tok: &WordPiece) -> TokenizedDocument {
    let mut tokenized = TokenizedDocument { ids: Vec::new(), sentence_lengths: Vec::new(), sentences_empty: 0 };
    let mut add = |sentence: &str| {
        let before = tokenized.ids.len();
        tok.encode_into(sentence, &mut tokenized.ids);
        match tokenized.ids.len() - before {
            0 => tokenized.sentences_empty += 1,
            length => tokenized.sentence_lengths.push(length as u32),
        }
    };
    for paragraph in &document.paragraphs {
        match sentences {
            Sentences::Split => split_sentences(paragraph).into_iter().for_each(&mut add),
            Sentences::Lines => add(paragraph),
        }
    }
    tokenized
}
