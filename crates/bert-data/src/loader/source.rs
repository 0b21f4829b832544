//! The sequence of examples itself, without any thread.

use std::sync::Arc;

use super::prefetch::Sequence;
use super::{Cursor, MaskedExample, Rank};
use crate::examples::ExampleSet;
use crate::masking::Masker;
use crate::order::Permutation;

/// The examples of one rank, one after the other.
#[derive(Clone)]
pub(super) struct Source {
    set: Arc<ExampleSet>,
    masker: Masker,
    seed: u64,
    rank: Rank,
    /// The next examples of all ranks.
    cursor: Cursor,
    /// The order of the cursor's epoch.
    order: (u64, Permutation),
}

impl Source {
    pub(super) fn new(set: Arc<ExampleSet>, masker: Masker, seed: u64, cursor: Cursor, rank: Rank) -> Self {
        let order = (cursor.epoch, Permutation::new(set.len() as u64, seed, cursor.epoch));
        let mut source = Source { order, set, masker, seed, rank, cursor };
        source.seek(cursor);
        source
    }
}

/// The place `n` examples further, where an epoch has so many.
pub(super) fn after(cursor: Cursor, n: u64, examples: u64) -> Cursor {
    let examples = examples.max(1);
    let position = cursor.position + n;
    Cursor { epoch: cursor.epoch + position / examples, position: position % examples }
}

impl Sequence for Source {
    type Of = MaskedExample;

    fn cursor(&self) -> Cursor {
        self.cursor
    }

    fn seek(&mut self, cursor: Cursor) {
        // After as many examples as an epoch has, the next epoch begins.
        self.cursor = after(cursor, 0, self.set.len() as u64);
    }
}

impl Iterator for Source {
    type Item = (MaskedExample, Cursor);

    /// Never ends, unless the dataset is empty.
    fn next(&mut self) -> Option<Self::Item> {
        let examples = self.set.len() as u64;
        if examples == 0 {
            return None;
        }
        let Cursor { epoch, position } = after(self.cursor, self.rank.index, examples);
        if self.order.0 != epoch {
            self.order = (epoch, Permutation::new(examples, self.seed, epoch));
        }
        let index = self.order.1.at(position) as usize;
        self.cursor = after(self.cursor, self.rank.of, examples);
        Some((MaskedExample::new(&self.set, &self.masker, self.seed, epoch, index), self.cursor))
    }
}
