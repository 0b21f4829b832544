//! The sequence of packs: examples grouped so that a forward pass has about the same number of tokens each time.
//!
//! An epoch's order is cut into windows of a fixed number of examples, and each window is packed on its own. So the packs at any
//! place of a run follow from (dataset, seed, cursor): nothing is left over that a checkpoint would have to hold.

use std::sync::Arc;

use super::packing::best_fit;
use super::prefetch::Sequence;
use super::source::after;
use super::{Cursor, MaskedExample, Rank};
use crate::error::{Error, Result};
use crate::examples::ExampleSet;
use crate::masking::Masker;
use crate::order::Permutation;
use crate::random::{Purpose, Random};

/// Packs a window is good for. Half a pack is lost in a window, at its end: 0.2%.
const PACKS_PER_WINDOW: u64 = 256;
/// Most examples of a window; its lengths are looked up before its first pack can be made.
const LONGEST_WINDOW: u64 = 1 << 18;

/// The packs of one rank, one after the other.
#[derive(Clone)]
pub(super) struct PackSource {
    set: Arc<ExampleSet>,
    masker: Masker,
    seed: u64,
    rank: Rank,
    /// Most tokens of a pack.
    budget: usize,
    /// Examples that are packed together.
    window: u64,
    /// The next packs of all ranks.
    cursor: Cursor,
    /// The packs of the window that was used last.
    plan: Option<Plan>,
}

/// The packs of one window, in the order in which they are handed out.
#[derive(Clone)]
struct Plan {
    epoch: u64,
    window: u64,
    /// Numbers of the examples, pack after pack.
    examples: Vec<usize>,
    /// For each pack, where the next one begins in `examples`.
    ends: Vec<usize>,
}

impl PackSource {
    /// # Errors
    /// [`Error::Setting`] when an example may be longer than a pack.
    pub(super) fn new(
        set: Arc<ExampleSet>,
        masker: Masker,
        seed: u64,
        cursor: Cursor,
        rank: Rank,
        budget: usize,
    ) -> Result<Self> {
        let longest = set.manifest().settings.seq_len;
        if budget < longest {
            let reason =
                format!("{budget} tokens cannot hold an example, which may have {longest}; give {longest} or more");
            return Err(Error::Setting { name: "tokens of a pack", reason });
        }
        let files = set.manifest().files.iter().filter(|file| file.split == set.split());
        let tokens: u64 = files.map(|file| file.tokens).sum();
        let fitting = (PACKS_PER_WINDOW * budget as u64).saturating_mul(set.len() as u64) / tokens.max(1);
        let window = fitting.clamp(1, LONGEST_WINDOW);
        let mut source = PackSource { set, masker, seed, rank, budget, window, cursor, plan: None };
        source.seek(cursor);
        Ok(source)
    }

    /// The examples of the pack at a place, and the place behind it. From the middle of a pack on: the rest of it.
    fn pack(&mut self, cursor: Cursor) -> (Vec<usize>, Cursor) {
        let window = cursor.position / self.window;
        let plan = match self.plan.take() {
            Some(plan) if (plan.epoch, plan.window) == (cursor.epoch, window) => plan,
            _ => self.plan(cursor.epoch, window),
        };
        let start = (cursor.position - window * self.window) as usize;
        let end = plan.ends[plan.ends.partition_point(|&end| end <= start)];
        let pack = plan.examples[start..end].to_vec();
        self.plan = Some(plan);
        (pack, after(cursor, (end - start) as u64, self.set.len() as u64))
    }

    fn plan(&self, epoch: u64, window: u64) -> Plan {
        let all = self.set.len() as u64;
        let order = Permutation::new(all, self.seed, epoch);
        let positions = window * self.window..all.min((window + 1) * self.window);
        let numbers: Vec<usize> = positions.map(|position| order.at(position) as usize).collect();
        let lengths: Vec<usize> = numbers.iter().map(|&number| self.set.get(number).tokens.len()).collect();
        let mut packs = best_fit(&lengths, self.budget);
        // Packing begins with the longest examples; training should not.
        let mut random = Random::new(self.seed, Purpose::Packs, epoch, window);
        for i in (1..packs.len()).rev() {
            packs.swap(i, random.below(i as u64 + 1) as usize);
        }
        let ends = packs.iter().scan(0, |end, pack| {
            *end += pack.len();
            Some(*end)
        });
        Plan { epoch, window, ends: ends.collect(), examples: packs.iter().flatten().map(|&at| numbers[at]).collect() }
    }
}

impl Sequence for PackSource {
    type Of = Vec<MaskedExample>;

    fn cursor(&self) -> Cursor {
        self.cursor
    }

    fn seek(&mut self, cursor: Cursor) {
        self.cursor = after(cursor, 0, self.set.len() as u64);
    }
}

impl Iterator for PackSource {
    type Item = (Vec<MaskedExample>, Cursor);

    /// Never ends, unless the dataset is empty.
    fn next(&mut self) -> Option<Self::Item> {
        if self.set.is_empty() {
            return None;
        }
        let mut own = (self.cursor.epoch, Vec::new());
        // The packs of all ranks: how many examples they have is seen only here.
        for rank in 0..self.rank.of {
            let epoch = self.cursor.epoch;
            let (pack, behind) = self.pack(self.cursor);
            self.cursor = behind;
            if rank == self.rank.index {
                own = (epoch, pack);
            }
        }
        let (epoch, pack) = own;
        let masked = |number| MaskedExample::new(&self.set, &self.masker, self.seed, epoch, number);
        Some((pack.into_iter().map(masked).collect(), self.cursor))
    }
}
