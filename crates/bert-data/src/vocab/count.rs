//! How often each word occurs in a corpus, in bounded memory: what does not fit is written down sorted, and merged at the end.
//! Sums do not depend on what was counted where, so neither does the result.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ahash::AHashMap;
use rayon::prelude::*;

use super::LONGEST_WORD;
use super::runs::Runs;
use crate::cleaning::{Cleaner, CleaningOptions};
use crate::drops::Drops;
use crate::error::Result;
use crate::progress::Progress;
use crate::sources::{self, Input, ReadOptions};
use crate::tokenizer::Words;

/// Text read at a time for each thread, in bytes.
const GROUP_BYTES_PER_WORKER: usize = 4 << 20;
/// Where memory is short, a group has this share of it, but not less than the smallest.
const GROUP_SHARE: usize = 12;
const SMALLEST_GROUP: usize = 16 << 10;

/// Bytes of a table for a piece, its text not counted: places are half empty after growing, and the allocator rounds up.
const PER_PIECE: usize = 64;
/// Pieces that are cut into words at a time.
const BATCH: usize = 1 << 16;

/// Where counts go that do not fit into memory.
#[derive(Clone, Copy)]
pub(super) struct Spill<'a> {
    /// A folder for temporary files.
    pub(super) folder: &'a Path,
    /// Most bytes of counts to hold.
    pub(super) memory: usize,
}

type Counts = AHashMap<Box<str>, u64>;

/// The counts of a thread.
#[derive(Default)]
struct Table {
    counts: Counts,
    bytes: usize,
}

/// The words of the corpus with their counts, sorted by word. A word is what no token can cross.
pub(super) fn count_words(
    inputs: &[Input],
    reading: ReadOptions,
    cleaning: &CleaningOptions,
    words_of: Words,
    spill: Option<Spill>,
    progress: &dyn Progress,
) -> Result<Vec<(Box<str>, u64)>> {
    let workers = rayon::current_num_threads();
    progress.start("counting words", Some(inputs.iter().map(Input::bytes).sum()), "bytes");
    // One table a thread, so that threads do not wait for each other; sums do not depend on who counted what.
    let mut tables: Vec<Mutex<Table>> = (0..workers).map(|_| Mutex::default()).collect();
    let share = spill.map_or(usize::MAX, |spill| spill.memory / GROUP_SHARE).max(SMALLEST_GROUP);
    let group_bytes = share.min(GROUP_BYTES_PER_WORKER * workers);
    let mut cleaner = Cleaner::new(cleaning)?;
    let mut drops = Drops::default();
    let mut runs = spill.map(|spill| Runs::new(spill.folder));
    let read = sources::for_each_group(inputs, reading, group_bytes, |group| {
        let cleaned = cleaner.clean(group.documents);
        cleaned.iter().for_each(|cleaned| cleaned.count_dropped(&mut drops));
        let lines: Vec<&String> = cleaned.iter().flat_map(|cleaned| &cleaned.document.paragraphs).collect();
        lines.par_chunks(512).for_each(|lines| {
            let thread = rayon::current_thread_index().unwrap_or(0) % workers;
            let mut table = tables[thread].lock().unwrap_or_else(PoisonError::into_inner);
            let Table { counts, bytes } = &mut *table;
            lines.iter().for_each(|line| words_of.raw(line, |piece| *bytes += add(counts, piece, 1)));
        });
        progress.advance(group.bytes);
        match (&mut runs, spill) {
            (Some(runs), Some(spill)) if held(&mut tables) > spill.memory => runs.write(&sorted(&mut tables)),
            _ => Ok(()),
        }
    })?;
    drops.merge(&read.drops);

    let rest = sorted(&mut tables);
    let mut words = Counts::default();
    match runs {
        Some(mut runs) if !runs.is_empty() => {
            runs.write(&rest)?;
            drop(rest);
            runs.merged(BATCH, |pieces| {
                merge(&mut words, cut_into_words(pieces, words_of));
                Ok(())
            })?;
        }
        _ => merge(&mut words, cut_into_words(&rest, words_of)),
    }
    let mut words: Vec<(Box<str>, u64)> = words.into_iter().collect();
    words.par_sort_unstable();
    progress.finish(&format!(
        "counted {} words, {} of them different; left out: {drops}",
        words.iter().map(|(_, count)| count).sum::<u64>(),
        words.len()
    ));
    Ok(words)
}

/// Bytes of all tables, about.
fn held(tables: &mut [Mutex<Table>]) -> usize {
    tables.iter_mut().map(|table| table.get_mut().unwrap_or_else(PoisonError::into_inner).bytes).sum()
}

/// What all tables hold, sorted; they are empty afterwards.
fn sorted(tables: &mut [Mutex<Table>]) -> Vec<(Box<str>, u64)> {
    let mut all = Counts::default();
    for table in tables {
        let table = std::mem::take(table.get_mut().unwrap_or_else(PoisonError::into_inner));
        merge(&mut all, table.counts);
    }
    let mut all: Vec<(Box<str>, u64)> = all.into_iter().collect();
    all.par_sort_unstable();
    all
}

/// Each different piece of text is normalised and cut into words once, however often it occurs.
fn cut_into_words(pieces: &[(Box<str>, u64)], words_of: Words) -> Counts {
    let cut = |pieces: &[(Box<str>, u64)]| {
        let mut words = Counts::default();
        for (piece, count) in pieces {
            words_of.each(piece, |word| {
                if word.chars().count() <= LONGEST_WORD {
                    add(&mut words, word, *count);
                }
            });
        }
        words
    };
    pieces.par_chunks(4096).map(cut).reduce(Counts::default, |mut a, b| {
        merge(&mut a, b);
        a
    })
}

/// Adds counts, moving the smaller table.
fn merge(into: &mut Counts, mut from: Counts) {
    if into.len() < from.len() {
        std::mem::swap(into, &mut from);
    }
    for (word, count) in from {
        *into.entry(word).or_default() += count;
    }
}

/// Adds to a count; says by how many bytes the table grew.
fn add(counts: &mut Counts, word: &str, count: u64) -> usize {
    if word.is_empty() {
        return 0;
    }
    match counts.get_mut(word) {
        Some(n) => {
            *n += count;
            0
        }
        None => {
            counts.insert(word.into(), count);
            PER_PIECE + word.len()
        }
    }
}
