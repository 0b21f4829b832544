//! The word cache: what the library made of a piece of text, remembered.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ahash::{AHashMap, RandomState};

/// Locks are held for nanoseconds; with this many of them, threads seldom meet.
const SHARDS: usize = 64;
/// Together about half a million pieces, some 50 MB. A full shard keeps what it has: frequent words come early.
const PIECES_PER_SHARD: usize = 8192;
/// Longer pieces (URLs, tables) hardly ever repeat.
const LONGEST_PIECE: usize = 64;

/// Pieces of text (between white space) and their ids.
pub(super) struct WordCache {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    /// Piece -> where its ids lie in `ids`.
    places: AHashMap<Box<str>, (u32, u32)>,
    ids: Vec<u32>,
}

impl Default for WordCache {
    fn default() -> Self {
        WordCache { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl WordCache {
    /// Appends the ids of `piece` to `out`, from memory or from `encode`.
    pub(super) fn get_or_encode(&self, piece: &str, out: &mut Vec<u32>, encode: impl FnOnce(&str) -> Vec<u32>) {
        if piece.len() > LONGEST_PIECE {
            out.extend(encode(piece));
            return;
        }
        let shard = &self.shards[self.hasher.hash_one(piece) as usize % SHARDS];
        {
            let shard = lock(shard);
            if let Some(&(start, end)) = shard.places.get(piece) {
                out.extend_from_slice(&shard.ids[start as usize..end as usize]);
                return;
            }
        }
        // Not under the lock: another thread may do the same work, but the outcome is the same.
        let ids = encode(piece);
        out.extend_from_slice(&ids);
        let mut shard = lock(shard);
        if shard.places.len() < PIECES_PER_SHARD {
            let start = shard.ids.len() as u32;
            shard.ids.extend_from_slice(&ids);
            let end = shard.ids.len() as u32;
            shard.places.insert(piece.into(), (start, end));
        }
    }
}

/// A shard is consistent between any two statements that could panic, so a poisoned lock is taken like any other.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
