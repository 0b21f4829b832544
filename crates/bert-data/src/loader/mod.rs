//! Batches of masked examples in a random order, prepared ahead by a thread of their own.
//!
//! What comes next is a function of (dataset, seed, cursor): a run that resumes from a cursor gets exactly the examples and
//! masks that an uninterrupted one would have got.

mod packing;
mod packs;
mod prefetch;
mod source;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::examples::ExampleSet;
use crate::masking::Masker;
pub use packing::best_fit;
use packs::PackSource;
use prefetch::{Ahead, Prefetched};
use source::Source;

/// Examples that travel between the threads together, and how many such chunks may wait: 2,048 examples, a few megabytes.
const EXAMPLES_AHEAD: Ahead = Ahead { chunk: 64, chunks: 32 };
/// The same for packs, which are large.
const PACKS_AHEAD: Ahead = Ahead { chunk: 1, chunks: 8 };

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
    /// For permutation targets the rank of each token ([`permutation`](crate::masking::permutation)), the tokens being as they
    /// were; otherwise empty.
    pub ranks: Vec<u32>,
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
        let (mut positions, mut labels, mut ranks) = (Vec::new(), Vec::new(), Vec::new());
        match example.masks {
            Some(masks) => {
                positions.extend(masks.positions.iter().map(|&position| u32::from(position)));
                labels.extend(masks.labels.iter());
            }
            None => {
                let index = index as u64;
                masker.mask(&mut input_ids, seed, epoch, index, &mut positions, &mut labels);
                ranks = masker.ranks(&input_ids, &positions, seed, epoch, index);
            }
        }
        MaskedExample {
            input_ids,
            second_start: example.second_start,
            positions,
            labels,
            ranks,
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
pub struct Loader(Prefetched<Source>);

impl Loader {
    /// Begins at `cursor`; `Cursor::default()` is the beginning. The preparing thread ends when the loader is dropped.
    pub fn new(set: Arc<ExampleSet>, masker: Masker, seed: u64, cursor: Cursor) -> Self {
        Self::for_rank(set, masker, seed, cursor, Rank::default())
    }

    /// As [`Loader::new`], for one of several processes that train together: of every [`Rank::of`] examples one is handed out
    /// here. All ranks together see exactly the examples and masks that one process would see, and have the same cursor after
    /// batches of the same size.
    pub fn for_rank(set: Arc<ExampleSet>, masker: Masker, seed: u64, cursor: Cursor, rank: Rank) -> Self {
        Loader(Prefetched::start(Source::new(set, masker, seed, cursor, rank), EXAMPLES_AHEAD))
    }

    /// As [`Loader::for_rank`], without a thread: each batch is made when it is asked for. The batches are the same.
    pub fn inline(set: Arc<ExampleSet>, masker: Masker, seed: u64, cursor: Cursor, rank: Rank) -> Self {
        Loader(Prefetched::inline(Source::new(set, masker, seed, cursor, rank)))
    }

    /// The next `n` examples, across the end of an epoch where it falls. Fewer only from an empty dataset: none.
    pub fn next_batch(&mut self, n: usize) -> Vec<MaskedExample> {
        self.0.by_ref().take(n).collect()
    }

    /// The place behind the last example that was handed out, here and on the other ranks, however many more are prepared.
    pub fn cursor(&self) -> Cursor {
        self.0.cursor()
    }
}

/// Hands out packs of masked examples, epoch after epoch: as many examples as a number of tokens has room for, so that little work
/// is lost where lengths differ. Every example is in one pack of an epoch.
pub struct PackLoader(Prefetched<PackSource>);

impl PackLoader {
    /// Begins at `cursor`. A pack has at most `tokens` tokens. Of every [`Rank::of`] packs one is handed out here; all ranks
    /// together see the packs of one process, and have the same cursor after the same number of packs.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) when the longest example allowed in the dataset has more tokens.
    pub fn new(
        set: Arc<ExampleSet>,
        masker: Masker,
        seed: u64,
        cursor: Cursor,
        rank: Rank,
        tokens: usize,
    ) -> Result<Self> {
        Ok(PackLoader(Prefetched::start(PackSource::new(set, masker, seed, cursor, rank, tokens)?, PACKS_AHEAD)))
    }

    /// As [`PackLoader::new`], without a thread. The packs are the same.
    ///
    /// # Errors
    /// As [`PackLoader::new`].
    pub fn inline(
        set: Arc<ExampleSet>,
        masker: Masker,
        seed: u64,
        cursor: Cursor,
        rank: Rank,
        tokens: usize,
    ) -> Result<Self> {
        Ok(PackLoader(Prefetched::inline(PackSource::new(set, masker, seed, cursor, rank, tokens)?)))
    }

    /// The next `n` packs, across the end of an epoch where it falls. Fewer only from an empty dataset: none.
    pub fn next_packs(&mut self, n: usize) -> Vec<Vec<MaskedExample>> {
        self.0.by_ref().take(n).collect()
    }

    /// The place behind the last pack that was handed out, here and on the other ranks, however many more are prepared.
    pub fn cursor(&self) -> Cursor {
        self.0.cursor()
    }
}
