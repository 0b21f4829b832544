//! How often each word occurs in a corpus.

use std::sync::{Mutex, PoisonError};

use ahash::AHashMap;
use rayon::prelude::*;

use super::LONGEST_WORD;
use crate::cleaning::{Cleaner, CleaningOptions};
use crate::drops::Drops;
use crate::error::Result;
use crate::progress::Progress;
use crate::sources::{self, Input, ReadOptions};
use crate::tokenizer::Words;

/// Text read at a time for each thread, in bytes.
const GROUP_BYTES_PER_WORKER: usize = 4 << 20;

type Counts = AHashMap<Box<str>, u64>;

/// The words of the corpus with their counts, sorted by word. A word is what no token can cross.
pub(super) fn count_words(
    inputs: &[Input],
    reading: ReadOptions,
    cleaning: &CleaningOptions,
    words_of: Words,
    progress: &dyn Progress,
) -> Result<Vec<(Box<str>, u64)>> {
    let workers = rayon::current_num_threads();
    progress.start("counting words", Some(inputs.iter().map(Input::bytes).sum()), "bytes");
    // One table a thread, so that threads do not wait for each other; sums do not depend on who counted what.
    let tables: Vec<Mutex<Counts>> = (0..workers).map(|_| Mutex::default()).collect();
    let mut cleaner = Cleaner::new(cleaning)?;
    let mut drops = Drops::default();
    let read = sources::for_each_group(inputs, reading, GROUP_BYTES_PER_WORKER * workers, |group| {
        let cleaned = cleaner.clean(group.documents);
        cleaned.iter().for_each(|cleaned| cleaned.count_dropped(&mut drops));
        let lines: Vec<&String> = cleaned.iter().flat_map(|cleaned| &cleaned.document.paragraphs).collect();
        lines.par_chunks(512).for_each(|lines| {
            let thread = rayon::current_thread_index().unwrap_or(0) % workers;
            let mut table = tables[thread].lock().unwrap_or_else(PoisonError::into_inner);
            lines.iter().for_each(|line| words_of.raw(line, |piece| add(&mut table, piece, 1)));
        });
        progress.advance(group.bytes);
        Ok(())
    })?;
    drops.merge(&read.drops);

    let mut raw = Counts::default();
    for table in tables {
        for (piece, count) in table.into_inner().unwrap_or_else(PoisonError::into_inner) {
            *raw.entry(piece).or_default() += count;
        }
    }
    // Each different piece of text is normalised and cut into words once, however often it occurs.
    let raw: Vec<(Box<str>, u64)> = raw.into_iter().collect();
    let words = raw
        .par_chunks(4096)
        .map(|pieces| {
            let mut words = Counts::default();
            for (piece, count) in pieces {
                words_of.each(piece, |word| {
                    if word.chars().count() <= LONGEST_WORD {
                        add(&mut words, word, *count);
                    }
                });
            }
            words
        })
        .reduce(Counts::default, |mut a, mut b| {
            if a.len() < b.len() {
                std::mem::swap(&mut a, &mut b);
            }
            for (word, count) in b {
                *a.entry(word).or_default() += count;
            }
            a
        });
    let mut words: Vec<(Box<str>, u64)> = words.into_iter().collect();
    words.par_sort_unstable();
    progress.finish(&format!(
        "counted {} words, {} of them different; left out: {drops}",
        words.iter().map(|(_, count)| count).sum::<u64>(),
        words.len()
    ));
    Ok(words)
}

fn add(counts: &mut Counts, word: &str, count: u64) {
    if word.is_empty() {
        return;
    }
    match counts.get_mut(word) {
        Some(n) => *n += count,
        None => {
            counts.insert(word.into(), count);
        }
    }
}
