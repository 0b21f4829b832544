//! Batches of masked examples in a random order, prepared ahead by a thread of their own.
//!
//! What comes next is a function of (dataset, seed, cursor): a run that resumes from a cursor gets exactly the examples and
//! masks that an uninterrupted one would have got.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use serde::{Deserialize, Serialize};

use crate::examples::ExampleSet;
use crate::masking::Masker;
use crate::order::Permutation;

/// Examples that travel between the threads together.
const CHUNK: usize = 64;
/// Chunks that may wait: 2,048 examples, a few megabytes.
const CHUNKS_AHEAD: usize = 32;

/// One example ready to train on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedExample {
    /// `[CLS] A [SEP] B [SEP]`, or `[CLS] A [SEP]`, with masks.
    pub input_ids: Vec<u32>,
    /// Index of the first token of segment B; the number of tokens when there is none.
    pub second_start: usize,
    /// Positions to predict, ascending.
    pub positions: Vec<u32>,
    /// The tokens that stood at those positions.
    pub labels: Vec<u32>,
    /// What is to be told of a pair. `nsp`: B comes from another document; `sop`: the segments are not in their order. None where
    /// examples are no pairs.
    pub pair_label: Option<bool>,
}

impl MaskedExample {
    /// Example `index` of a dataset as it is masked in an epoch. Where masks were drawn while building, those are taken.
    ///
    /// # Panics
    /// When `index` is not below the number of examples.
    pub fn new(set: &ExampleSet, masker: &Masker, seed: u64, epoch: u64, index: usize) -> Self {
        let example = set.get(index);
        let mut input_ids = example.tokens.to_vec();
        let (mut positions, mut labels) = (Vec::new(), Vec::new());
        match example.masks {
            Some(masks) => {
                positions.extend(masks.positions.iter().map(|&position| u32::from(position)));
                labels.extend(masks.labels.iter());
            }
            None => masker.mask(&mut input_ids, seed, epoch, index as u64, &mut positions, &mut labels),
        }
        MaskedExample {
            input_ids,
            second_start: example.second_start,
            positions,
            labels,
            pair_label: example.pair_label,
        }
    }
}

/// A place in the endless sequence of examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// How often the whole dataset was gone through.
    pub epoch: u64,
    /// Examples handed out in this epoch.
    pub position: u64,
}

/// Which of several processes that train together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// Number of this process, from 0.
    pub index: u64,
    /// Number of processes.
    pub of: u64,
}

impl Default for Rank {
    /// A process on its own.
    fn default() -> Self {
        Rank { index: 0, of: 1 }
    }
}

/// Hands out masked examples, epoch after epoch.
pub struct Loader {
    source: Source,
    ahead: Option<Receiver<Vec<MaskedExample>>>,
    ready: VecDeque<MaskedExample>,
    cursor: Cursor,
}

impl Loader {
    /// Begins at `cursor`; `Cursor::default()` is the beginning. The preparing thread ends when the loader is dropped.
    pub fn new(set: Arc<ExampleSet>, masker: Masker, seed: u64, cursor: Cursor) -> Self {
        Self::for_rank(set, masker, seed, cursor, Rank::default())
    }

    /// As [`Loader::new`], for one of several processes that train together: of every [`Rank::of`] examples one is handed out
    /// here. All ranks together see exactly the examples and masks that one process would see, and have the same cursor after
    /// batches of the same size.
    pub fn for_rank(set: Arc<ExampleSet>, masker: Masker, seed: u64, cursor: Cursor, rank: Rank) -> Self {
        let source = Source::new(set, masker, seed, cursor, rank);
        // After as many examples as an epoch has, the next epoch begins.
        let cursor = source.cursor;
        let mut ahead = source.clone();
        ahead.cursor = ahead.after(cursor, rank.index);
        Loader { ahead: prefetch(ahead), source, ready: VecDeque::new(), cursor }
    }

    /// The next `n` examples, across the end of an epoch where it falls. Fewer only from an empty dataset: none.
    pub fn next_batch(&mut self, n: usize) -> Vec<MaskedExample> {
        let mut batch = Vec::with_capacity(n);
        while batch.len() < n {
            if let Some(example) = self.ready.pop_front() {
                batch.push(example);
                self.cursor = self.source.after(self.cursor, self.source.rank.of);
                continue;
            }
            match self.ahead.as_ref().and_then(|ahead| ahead.recv().ok()) {
                Some(chunk) => self.ready.extend(chunk),
                None => {
                    // The system gave no thread, or it is gone: prepare here. The examples are the same.
                    self.ahead = None;
                    self.source.cursor = self.source.after(self.cursor, self.source.rank.index);
                    match self.source.next() {
                        Some(example) => self.ready.push_back(example),
                        None => break,
                    }
                }
            }
        }
        batch
    }

    /// The place behind the last example that was handed out, here and on the other ranks, however many more are prepared.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }
}

/// Starts the thread that prepares examples; none when the system has no thread to give.
fn prefetch(mut source: Source) -> Option<Receiver<Vec<MaskedExample>>> {
    let (sender, receiver) = sync_channel(CHUNKS_AHEAD);
    thread::Builder::new()
        .name("examples".into())
        .spawn(move || {
            loop {
                let chunk: Vec<MaskedExample> = source.by_ref().take(CHUNK).collect();
                // Sending fails when the loader was dropped: nobody waits for more.
                if chunk.is_empty() || sender.send(chunk).is_err() {
                    return;
                }
            }
        })
        .ok()?;
    Some(receiver)
}

/// The sequence of examples itself, without any thread.
#[derive(Clone)]
struct Source {
    set: Arc<ExampleSet>,
    masker: Masker,
    seed: u64,
    rank: Rank,
    /// The next example of this rank.
    cursor: Cursor,
    /// The order of the cursor's epoch.
    order: (u64, Permutation),
}

impl Source {
    fn new(set: Arc<ExampleSet>, masker: Masker, seed: u64, cursor: Cursor, rank: Rank) -> Self {
        let examples = set.len() as u64;
        let cursor = Cursor {
            epoch: cursor.epoch + cursor.position.checked_div(examples).unwrap_or(0),
            position: cursor.position.checked_rem(examples).unwrap_or(0),
        };
        Source {
            order: (cursor.epoch, Permutation::new(examples, seed, cursor.epoch)),
            set,
            masker,
            seed,
            rank,
            cursor,
        }
    }

    /// The place `n` examples further.
    fn after(&self, cursor: Cursor, n: u64) -> Cursor {
        let examples = self.set.len().max(1) as u64;
        let position = cursor.position + n;
        Cursor { epoch: cursor.epoch + position / examples, position: position % examples }
    }
}

impl Iterator for Source {
    type Item = MaskedExample;

    /// Never ends, unless the dataset is empty.
    fn next(&mut self) -> Option<MaskedExample> {
        if self.set.is_empty() {
            return None;
        }
        let Cursor { epoch, position } = self.cursor;
        if self.order.0 != epoch {
            self.order = (epoch, Permutation::new(self.set.len() as u64, self.seed, epoch));
        }
        let index = self.order.1.at(position) as usize;
        self.cursor = self.after(self.cursor, self.rank.of);
        Some(MaskedExample::new(&self.set, &self.masker, self.seed, epoch, index))
    }
}
