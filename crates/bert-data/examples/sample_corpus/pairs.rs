//! Pairs of segments made from documents the way BERT's pre-training data are, and their corruption.
//!
//! Written a second time here, and shortly, so that the loss worked out does not rest on the code it is to judge.

use crate::inference::{Corruption, Seen};
use crate::random::Random;

/// A document: sentences of words.
pub type Document = Vec<Vec<u32>>;

/// One [CLS] A [SEP] B [SEP], with what a person who made it knows.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The words of the first and the second segment.
    pub segments: [Vec<u32>; 2],
    /// Whether the second comes from another document.
    pub is_random: bool,
    /// Whether the segment's first word opens its document.
    pub opens_document: [bool; 2],
    /// Whether words were cut from the segment's front.
    pub front_cut: [bool; 2],
}

/// How the pairs are made.
#[derive(Debug, Clone, Copy)]
pub struct PairOptions {
    /// Length of an example with its three special tokens.
    pub seq_len: usize,
    /// Probability that a document's examples get a random shorter length.
    pub short_seq_prob: f64,
}

/// Every pair of every document, in order.
pub fn pairs(documents: &[Document], options: PairOptions, random: &mut Random) -> Vec<Pair> {
    (0..documents.len()).flat_map(|index| document_pairs(documents, index, options, random)).collect()
}

fn document_pairs(documents: &[Document], index: usize, options: PairOptions, random: &mut Random) -> Vec<Pair> {
    let document = &documents[index];
    let most = options.seq_len - 3;
    let target = if random.chance(options.short_seq_prob) { random.between(2, most) } else { most };
    let mut made = Vec::new();
    let mut at = 0;
    let mut chunk_start = 0;
    let mut length = 0;
    while at < document.len() {
        length += document[at].len();
        at += 1;
        if length < target && at < document.len() {
            continue;
        }
        let chunk = at - chunk_start;
        let a_end = if chunk >= 2 { random.between(1, chunk - 1) } else { 1 };
        let first = document[chunk_start..chunk_start + a_end].concat();
        let is_random = chunk == 1 || random.chance(0.5);
        let mut opens = [chunk_start == 0, false];
        let second = if is_random {
            let other = (index + random.between(1, documents.len() - 1)) % documents.len();
            let start = random.below(documents[other].len());
            opens[1] = start == 0;
            let wanted = target.saturating_sub(first.len());
            let mut words = Vec::new();
            for sentence in &documents[other][start..] {
                words.extend_from_slice(sentence);
                if words.len() >= wanted {
                    break;
                }
            }
            // Sentences not used are put back.
            at = chunk_start + a_end;
            words
        } else {
            document[chunk_start + a_end..at].concat()
        };
        made.push(truncated([first, second], is_random, opens, most, random));
        chunk_start = at;
        length = 0;
    }
    made
}

fn truncated(
    mut segments: [Vec<u32>; 2],
    is_random: bool,
    mut opens_document: [bool; 2],
    most: usize,
    random: &mut Random,
) -> Pair {
    let mut front_cut = [false; 2];
    while segments[0].len() + segments[1].len() > most {
        let longer = usize::from(segments[0].len() <= segments[1].len());
        if random.chance(0.5) {
            segments[longer].remove(0);
            front_cut[longer] = true;
            opens_document[longer] = false;
        } else {
            segments[longer].pop();
        }
    }
    Pair { segments, is_random, opens_document, front_cut }
}

/// The pair as a model sees it, and the positions to predict: (segment, index), sorted.
pub fn corrupt(pair: &Pair, corruption: &Corruption, random: &mut Random) -> ([Vec<Seen>; 2], Vec<(usize, usize)>) {
    let mut positions: Vec<(usize, usize)> =
        (0..2).flat_map(|segment| (0..pair.segments[segment].len()).map(move |index| (segment, index))).collect();
    // The specials count for the number of predictions, as in the original.
    let wanted = ((positions.len() + 3) as f64 * corruption.rate).round() as usize;
    random.shuffle(&mut positions);
    positions.truncate(wanted.max(1));
    positions.sort_unstable();
    let mut seen = pair.segments.clone().map(|words| words.into_iter().map(Seen::Word).collect::<Vec<_>>());
    for &(segment, index) in &positions {
        let draw = random.unit();
        if draw < corruption.mask {
            seen[segment][index] = Seen::Mask;
        } else if draw < corruption.mask + corruption.random {
            let id = random.below(corruption.vocabulary);
            seen[segment][index] = if id < corruption.words { Seen::Word(id as u32) } else { Seen::Foreign };
        }
    }
    (seen, positions)
}
