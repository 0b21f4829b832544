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
    /// `[CLS] A [SEP] B [SEP]` with masks.
    pub input_ids: Vec<u32>,
    /// Index of the first token of segment B; the number of tokens when there is none.
    pub second_start: usize,
    /// Positions to predict, ascending.
    pub positions: Vec<u32>,
    /// The tokens that stood at those positions.
    pub labels: Vec<u32>,
    /// Whether segment B comes from another document.
    pub is_random_next: bool,
}

impl MaskedExample {
    /// Example `index` of a dataset as it is masked in an epoch.
    ///
    /// # Panics
    /// When `index` is not below the number of examples.
    pub fn new(set: &ExampleSet, masker: &Masker, seed: u64, epoch: u64, index: usize) -> Self {
        let example = set.get(index);
        let mut input_ids = example.tokens.to_vec();
        let (mut positions, mut labels) = (Vec::new(), Vec::new());
        masker.mask(&mut input_ids, seed, epoch, index as u64, &mut positions, &mut labels);
        MaskedExample {
            input_ids,
            second_start: example.second_start,
            positions,
            labels,
            is_random_next: example.is_random_next,
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
        let source = Source::new(set, masker, seed, cursor);
        // After as many examples as an epoch has, the next epoch begins.
        let cursor = source.cursor;
        Loader { ahead: prefetch(source.clone()), source, ready: VecDeque::new(), cursor }
    }

    /// The next `n` examples, across the end of an epoch where it falls. Fewer only from an empty dataset: none.
    pub fn next_batch(&mut self, n: usize) -> Vec<MaskedExample> {
        let mut batch = Vec::with_capacity(n);
        while batch.len() < n {
            if let Some(example) = self.ready.pop_front() {
                batch.push(example);
                self.cursor = self.source.after(self.cursor);
                continue;
            }
            match self.ahead.as_ref().and_then(|ahead| ahead.recv().ok()) {
                Some(chunk) => self.ready.extend(chunk),
                None => {
                    // The system gave no thread, or it is gone: prepare here. The examples are the same.
                    self.ahead = None;
                    self.source.cursor = self.cursor;
                    match self.source.next() {
                        Some(example) => self.ready.push_back(example),
                        None => break,
                    }
                }
            }
        }
        batch
    }

    /// The place behind the last example that was handed out, however many more are prepared.
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
    cursor: Cursor,
    /// The order of the cursor's epoch.
    order: (u64, Permutation),
}

impl Source {
    fn new(set: Arc<ExampleSet>, masker: Masker, seed: u64, cursor: Cursor) -> Self {
        let examples = set.len() as u64;
        let cursor = Cursor {
            epoch: cursor.epoch + cursor.position.checked_div(examples).unwrap_or(0),
            position: cursor.position.checked_rem(examples).unwrap_or(0),
        };
        Source { order: (cursor.epoch, Permutation::new(examples, seed, cursor.epoch)), set, masker, seed, cursor }
    }

    fn after(&self, cursor: Cursor) -> Cursor {
        match cursor.position + 1 {
            position if position < self.set.len() as u64 => Cursor { position, ..cursor },
            _ => Cursor { epoch: cursor.epoch + 1, position: 0 },
        }
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
        self.cursor = self.after(self.cursor);
        Some(MaskedExample::new(&self.set, &self.masker, self.seed, epoch, index))
    }
}
