//! The word cache: what the library made of a piece of text, remembered.

use std::sync::OnceLock;

use ahash::RandomState;

/// Some 25 MB, and at most as much again for what is remembered. A power of two.
const SLOTS: usize = 1 << 19;
/// Where all of these are taken a piece is not remembered: frequent words come early.
const PROBES: usize = 8;
/// Longer pieces (URLs, tables) hardly ever repeat.
const LONGEST_PIECE: usize = 64;

/// Pieces of text and their ids. A slot is written once and never changes, so threads read without a lock.
pub(super) struct WordCache {
    hasher: RandomState,
    /// Made at the first piece: many a tokenizer never encodes.
    slots: OnceLock<Box<[OnceLock<Entry>]>>,
}

struct Entry {
    hash: u64,
    piece: Box<str>,
    ids: Box<[u32]>,
}

impl Default for WordCache {
    fn default() -> Self {
        WordCache { hasher: RandomState::new(), slots: OnceLock::new() }
    }
}

impl WordCache {
    /// Appends the ids of `piece` to `out`, from memory or from `encode`.
    pub(super) fn get_or_encode(&self, piece: &str, out: &mut Vec<u32>, encode: impl FnOnce(&str) -> Vec<u32>) {
        if piece.len() > LONGEST_PIECE {
            out.extend(encode(piece));
            return;
        }
        let slots = self.slots.get_or_init(|| (0..SLOTS).map(|_| OnceLock::new()).collect());
        let hash = self.hasher.hash_one(piece);
        let mut free = None;
        for probe in 0..PROBES {
            let slot = &slots[(hash as usize).wrapping_add(probe) % SLOTS];
            match slot.get() {
                Some(entry) if entry.hash == hash && *entry.piece == *piece => {
                    out.extend_from_slice(&entry.ids);
                    return;
                }
                Some(_) => {}
                None => {
                    free = Some(slot);
                    break;
                }
            }
        }
        let ids = encode(piece);
        out.extend_from_slice(&ids);
        if let Some(slot) = free {
            // Another thread may have taken the slot meanwhile; then this piece is remembered when it comes again.
            let _ = slot.set(Entry { hash, piece: piece.into(), ids: ids.into() });
        }
    }
}
