//! The first pass: the whole corpus as ids on disk.
//!
//! One thread reads, the others clean and tokenise what was read before, and documents are stored in their order. A document that
//! cleaning takes out keeps its number and is stored empty. Every few megabytes the store is committed together with the counts so
//! far; a build that was stopped reads past what is committed without tokenising it again. Cleaning does see all of it again,
//! because what it remembers is nowhere else; and on every machine of a build in parts, so that all take the same out.

use std::fs;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::store::{StoreLengths, TokenStore, TokenStoreWriter};
use super::work::write_whole;
use super::{BuildOptions, Part, Sentences};
use crate::cleaning::{Cleaned, Cleaner, CleaningOptions, NotRemembered, split_sentences};
use crate::drops::{Dropped, Drops};
use crate::error::{Error, Result};
use crate::manifest::CorpusCounts;
use crate::progress::Progress;
use crate::sources::{self, Document, Input, InputRecord, SourceRecord};
use crate::tokenizer::Tokenizer;

/// Groups between two commits: what is lost when a build is stopped.
const COMMIT_GROUPS: usize = 4;
/// Lines of a document that are tokenised by one thread.
const LINES_TOGETHER: usize = 256;

/// How far the pass has come; lies beside the store.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    /// What is committed of the store.
    lengths: StoreLengths,
    /// What was counted in it.
    counts: CorpusCounts,
    /// Documents read from the inputs, those of other parts included.
    read: u64,
    /// What was left out of them.
    dropped: Drops,
    /// What there is to say when all inputs were read to their end.
    finished: Option<CorpusRead>,
}

/// What was read of the corpus, and what was left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct CorpusRead {
    pub(super) corpus: CorpusCounts,
    pub(super) inputs: Vec<InputRecord>,
    /// The inputs as they were given, with the documents of all parts.
    pub(super) sources: Vec<SourceRecord>,
    pub(super) dropped: Drops,
    pub(super) not_remembered: NotRemembered,
}

/// The outcome of the first pass.
pub(super) struct Tokenized {
    pub(super) store: TokenStore,
    pub(super) read: CorpusRead,
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
#[allow(clippy::too_many_arguments)] // one caller, which has each of them at hand
pub(super) fn tokenize(
    opts: &BuildOptions,
    cleaning: &CleaningOptions,
    inputs: &[Input],
    tok: &Tokenizer,
    wide: bool,
    group_bytes: usize,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Tokenized> {
    let path = folder.join("state.json");
    let mut state = State::read(&path)?;
    let mut writer = TokenStoreWriter::open(folder, wide, state.lengths)?;
    if let Some(read) = state.finished {
        progress.finish("the corpus was tokenized before");
        return Ok(Tokenized { store: writer.finish()?, read });
    }
    let from_before = state.lengths.documents;
    progress.start("tokenizing", Some(inputs.iter().map(Input::bytes).sum()), "bytes");
    let source = |input: &String| SourceRecord { input: input.clone(), documents: 0, bytes: 0, weight: 1.0 };
    let mut pass = Pass {
        tok,
        sentences: opts.sentences,
        part: opts.part.unwrap_or_default(),
        cleaner: Cleaner::new(cleaning)?,
        sources: opts.input.iter().map(source).collect(),
        read: 0,
        skip: state.read,
    };
    let mut uncommitted = 0;
    let read = sources::for_each_group(inputs, opts.reading(), group_bytes, |group| {
        pass.group(group.documents, &mut state, &mut writer)?;
        progress.advance(group.bytes);
        uncommitted += 1;
        if uncommitted >= COMMIT_GROUPS && pass.read > pass.skip {
            state.read = pass.read;
            state.lengths = writer.commit()?;
            state.write(&path)?;
            uncommitted = 0;
        }
        let mut dropped = group.dropped;
        dropped.merge(&state.dropped);
        progress.note(&format!("left out: {dropped}"));
        Ok(())
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
    // All machines of a build in parts read everything; what reading left out is counted by the first one.
    if pass.part.index == 0 {
        state.dropped.merge(&read.drops);
    }
    let read = CorpusRead {
        corpus: state.counts,
        inputs: read.records,
        sources: pass.sources,
        dropped: state.dropped.clone(),
        not_remembered: pass.cleaner.not_remembered(),
    };
    state.read = pass.read;
    state.lengths = writer.commit()?;
    state.finished = Some(read.clone());
    state.write(&path)?;
    let CorpusCounts { documents, documents_empty, sentences, sentences_empty, tokens, .. } = state.counts;
    let before = if from_before > 0 { format!(" ({from_before} documents from before)") } else { String::new() };
    progress.finish(&format!(
        "tokenized {documents} documents: {sentences} sentences, {tokens} tokens{before}; left out: {}; no token in {documents_empty} documents, {sentences_empty} sentences",
        read.dropped
    ));
    Ok(Tokenized { store: writer.finish()?, read })
}

/// What is done to a group of documents.
struct Pass<'a> {
    tok: &'a Tokenizer,
    sentences: Sentences,
    part: Part,
    cleaner: Cleaner,
    sources: Vec<SourceRecord>,
    /// Documents read so far.
    read: u64,
    /// Documents at the beginning that are stored already.
    skip: u64,
}

impl Pass<'_> {
    fn group(&mut self, group: Vec<Document>, state: &mut State, writer: &mut TokenStoreWriter) -> Result<()> {
        let cleaned = self.cleaner.clean(group);
        for Cleaned { document, .. } in &cleaned {
            let source = &mut self.sources[document.source];
            source.documents += 1;
            source.bytes += document.paragraphs.iter().map(|line| line.len() as u64).sum::<u64>();
        }
        let mine: Vec<&Cleaned> = cleaned
            .iter()
            .zip(self.read..)
            .filter(|(_, number)| *number >= self.skip && self.part.has(*number))
            .map(|(cleaned, _)| cleaned)
            .collect();
        let tokenized: Vec<(TokenizedDocument, Drops)> =
            mine.par_iter().map(|cleaned| tokenize_document(cleaned, self.sentences, self.tok)).collect();
        for (cleaned, (document, dropped)) in mine.into_iter().zip(tokenized) {
            state.dropped.merge(&dropped);
            let counts = &mut state.counts;
            counts.documents += u64::from(!cleaned.gone);
            counts.documents_empty += u64::from(!cleaned.gone && document.ids.is_empty());
            counts.documents_cut += u64::from(cleaned.document.continues);
            counts.sentences += document.sentence_lengths.len() as u64;
            counts.sentences_empty += document.sentences_empty;
            counts.tokens += document.ids.len() as u64;
            writer.push(&document.ids, &document.sentence_lengths)?;
        }
        self.read += cleaned.len() as u64;
        Ok(())
    }
}

/// A document's ids, sentence after sentence.
#[derive(Default)]
struct TokenizedDocument {
    ids: Vec<u32>,
    sentence_lengths: Vec<u32>,
    sentences_empty: u64,
}

/// Tokenises what is left of a document, and counts what was taken out of it.
fn tokenize_document(cleaned: &Cleaned, sentences: Sentences, tok: &Tokenizer) -> (TokenizedDocument, Drops) {
    let mut dropped = Drops::default();
    for text in &cleaned.dropped {
        let tokenized = tokenize_lines(&text.lines, sentences, tok);
        let (sentences, tokens) = (tokenized.sentence_lengths.len() as u64, tokenized.ids.len() as u64);
        dropped.add(text.reason, Dropped { sentences, tokens, ..text.count() });
    }
    (tokenize_lines(&cleaned.document.paragraphs, sentences, tok), dropped)
}

/// In parallel within a document too: a few novels are as much text as thousands of pages.
fn tokenize_lines(lines: &[String], sentences: Sentences, tok: &Tokenizer) -> TokenizedDocument {
    let some = |lines| tokenize_some_lines(lines, sentences, tok);
    if lines.len() <= LINES_TOGETHER {
        return some(lines);
    }
    let parts: Vec<TokenizedDocument> = lines.par_chunks(LINES_TOGETHER).map(some).collect();
    let mut whole = TokenizedDocument::default();
    for part in parts {
        whole.ids.extend(part.ids);
        whole.sentence_lengths.extend(part.sentence_lengths);
        whole.sentences_empty += part.sentences_empty;
    }
    whole
}

fn tokenize_some_lines(lines: &[String], sentences: Sentences, tok: &Tokenizer) -> TokenizedDocument {
    let mut tokenized = TokenizedDocument::default();
    let mut add = |line: &str, sentence: &str| {
        let before = tokenized.ids.len();
        // Sentences are parts of their line.
        let start = sentence.as_ptr() as usize - line.as_ptr() as usize;
        match line[..start].ends_with(char::is_whitespace) && start > 0 {
            true => tok.encode_behind_space_into(sentence, &mut tokenized.ids),
            false => tok.encode_into(sentence, &mut tokenized.ids),
        }
        match tokenized.ids.len() - before {
            0 => tokenized.sentences_empty += 1,
            length => tokenized.sentence_lengths.push(length as u32),
        }
    };
    for line in lines {
        match sentences {
            Sentences::Split => split_sentences(line).into_iter().for_each(|sentence| add(line, sentence)),
            Sentences::Lines => add(line, line),
        }
    }
    tokenized
}
