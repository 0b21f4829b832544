//! The second pass: the documents of a split -> examples in Arrow files.
//!
//! Files are made one after the other, each by all threads: runs of documents become examples in parallel and are written in
//! their order. So a stopped build has whole files and at most one that is not.

use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use super::Pairing;
use super::arrow_file::{ArrowFile, Finished};
use super::draft::Draft;
use super::pairs::PairMaker;
use super::rows::Rows;
use super::sentences::SentencePacker;
use super::splits::SplitList;
use super::store::TokenStore;
use crate::error::Result;
use crate::examples::{Columns, Split};
use crate::manifest::{FileRecord, Settings, SplitCounts};
use crate::masking::Masker;
use crate::progress::Progress;
use crate::tokenizer::SpecialIds;

/// Share by which pairs are longer than their documents, random segments and special tokens included: about what the
/// original's settings give on running text.
const PAIRS_GROW: f64 = 1.25;
/// Bits of a static mask's stream that count the examples of a document.
const EXAMPLE_BITS: u32 = 24;

/// Everything that examples are made with.
pub(super) struct Recipe<'a> {
    pub(super) settings: &'a Settings,
    pub(super) columns: Columns,
    pub(super) special: SpecialIds,
    /// Draws static masks; none where masks are drawn while loading.
    pub(super) masker: Option<Masker>,
    /// Most bytes of a file, about.
    pub(super) shard_size: u64,
}

impl Recipe<'_> {
    /// How often the corpus is gone through, with other pairs and masks each time.
    fn copies(&self) -> u64 {
        self.settings.static_masks.map_or(1, |masks| masks.dupe_factor)
    }

    /// Number of files of a split.
    fn files(&self, list: &SplitList) -> usize {
        let wanted = if list.split == Split::Train { self.settings.shards } else { 1 };
        let width = if self.columns.wide { 4.0 } else { 2.0 };
        let grow = if self.settings.pairing.has_pairs() { PAIRS_GROW } else { 1.0 };
        let bytes = list.tokens() as f64 * width * grow * self.copies() as f64;
        // 99,999 files are what five digits in their names can tell apart.
        wanted.max((bytes / self.shard_size as f64).ceil() as usize).clamp(1, 99_999)
    }
}

/// Makes the files of one split, those left out that are there from before.
pub(super) fn write_split(
    list: &SplitList,
    store: &TokenStore,
    recipe: &Recipe<'_>,
    folder: &Path,
    records: &Path,
    progress: &dyn Progress,
) -> Result<(SplitCounts, Vec<FileRecord>)> {
    let split = list.split;
    let files = recipe.files(list);
    let copies = recipe.copies();
    progress.start(&format!("examples ({})", split.name()), Some(list.len() * copies), "documents");
    let mut total = SplitCounts::new(split);
    let mut done = Vec::with_capacity(files);
    let mut kept = 0;
    for (number, range) in list.file_ranges(files)?.into_iter().enumerate() {
        let name = format!("{}-{number:05}-of-{files:05}.arrow", split.name());
        let finished = match Finished::read(folder, records, &name)? {
            Some(finished) => {
                kept += 1;
                progress.advance((range.end - range.start) * copies);
                finished
            }
            None => write_file(
                list,
                range,
                store,
                recipe,
                ArrowFile::create(folder, records, &name, recipe.columns)?,
                records,
                progress,
            )?,
        };
        total.add(&finished.counts);
        done.push(finished.file);
    }
    let from_before = if kept > 0 { format!(", {kept} of {files} files from before") } else { String::new() };
    progress.finish(&format!(
        "{}: {} examples from {} documents{from_before}; {} tokens dropped, too long for an example",
        split.name(),
        total.examples,
        total.documents,
        total.tokens_truncated
    ));
    Ok((total, done))
}

fn write_file(
    list: &SplitList,
    range: Range<u64>,
    store: &TokenStore,
    recipe: &Recipe<'_>,
    mut file: ArrowFile,
    records: &Path,
    progress: &dyn Progress,
) -> Result<Finished> {
    let mut total = SplitCounts::new(list.split);
    let work: Vec<(Range<u64>, u64)> = list
        .runs(range)?
        .into_iter()
        .flat_map(|run| (0..recipe.copies()).map(move |copy| (run.clone(), copy)))
        .collect();
    // So many at a time that no thread waits long for another, and so few that memory stays bounded.
    for some in work.chunks(2 * rayon::current_num_threads()) {
        let made: Vec<(Rows, SplitCounts)> = some
            .par_iter()
            .map(|(run, copy)| {
                let made = make_run(list, run.clone(), *copy, store, recipe);
                progress.advance(run.end - run.start);
                made
            })
            .collect::<Result<_>>()?;
        for (rows, counts) in made {
            file.append(&rows)?;
            total.add(&counts);
        }
        progress.note(&format!("{} tokens dropped, too long", total.tokens_truncated));
    }
    file.finish(records, total)
}

/// The examples of a run of documents.
fn make_run(
    list: &SplitList,
    run: Range<u64>,
    copy: u64,
    store: &TokenStore,
    recipe: &Recipe<'_>,
) -> Result<(Rows, SplitCounts)> {
    let mut rows = Rows::new(recipe.columns);
    let mut counts = SplitCounts::new(list.split);
    let seed = recipe.settings.seed;
    let mut finish = |draft: &mut Draft, epoch: u64, stream: u64| {
        if let Some(masker) = &recipe.masker {
            masker.mask(&mut draft.tokens, seed, epoch, stream, &mut draft.positions, &mut draft.labels);
        }
        rows.push(draft);
        Ok(())
    };
    // A static mask is a function of (seed, copy and use, number of the document, number of the example in it).
    let stream_of = |document: u64| list.number(document) << EXAMPLE_BITS;
    match recipe.settings.pairing {
        Pairing::Nsp | Pairing::Sop => {
            let maker = PairMaker::new(store, list, recipe.special, recipe.settings);
            for index in run {
                let entry = list.entry(index)?;
                let mut stream = stream_of(entry.document);
                maker.make(index, copy, &mut counts, |draft| {
                    stream += 1;
                    finish(draft, entry.epoch(copy), stream)
                })?;
            }
        }
        Pairing::FullSentences | Pairing::DocSentences => {
            let entry = list.entry(run.start)?;
            let mut stream = stream_of(entry.document);
            let packer = SentencePacker::new(store, list, recipe.special, recipe.settings);
            packer.make(run, copy, &mut counts, |draft| {
                stream += 1;
                finish(draft, entry.epoch(copy), stream)
            })?;
        }
    }
    Ok((rows, counts))
}
