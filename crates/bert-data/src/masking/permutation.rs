//! Permutation language modelling: which tokens are predicted, and in which order the text is factorised (Yang et al. 2019).
//!
//! Nothing is replaced. Each position has a rank, and sees what has a lower one: a target is predicted from the positions of lower
//! rank, and a position that is none reads those of lower or equal rank. Text that is not predicted has one rank, the lowest, so
//! it reads itself in both directions; targets, `[CLS]` and `[SEP]` follow in random order.

use std::ops::Range;

use crate::random::Random;

/// Longest n-gram, in words; a run of n has a probability proportional to 1/n (`data_utils.py` of zihangdai/xlnet).
const LONGEST_NGRAM: usize = 5;
/// Positions that are permuted together. Longer examples are worked through in such blocks, and no block reads a later one, as
/// where the memory of the model holds the earlier ones (the same place: `perm_size`, and `reuse_len` of the same size).
pub const BLOCK: usize = 256;

/// Runs of one to five words, each with so much text before and after it that the runs spread over all of the example (the
/// original has six tokens a word: its share of 1/6, for words of one token); where these are fewer than `count` tokens, single ones
/// at random.
/// `candidates` are the positions that may be predicted, `words` the same as words. A run that would exceed `count` is shortened.
pub(super) fn targets(
    candidates: &[u32],
    words: &[Range<u32>],
    count: usize,
    random: &mut Random,
    chosen: &mut Vec<u32>,
) {
    let Some(last) = candidates.last() else { return };
    // For each token to predict, and so for each word.
    let context = candidates.len() as f64 / count.max(1) as f64 * candidates.len() as f64 / words.len().max(1) as f64;
    let mut place = 0;
    let mut next = 0;
    while place <= *last && chosen.len() < count {
        let n = super::choose::ngram_length(LONGEST_NGRAM.min(count - chosen.len()), random);
        let around = (n as f64 * context).round().max(1.0) as u32;
        let before = random.below(u64::from(around)) as u32;
        let after = around - before;
        // The first word that begins after the text before it.
        next += words[next..].partition_point(|word| word.start < place + before);
        let taken = words[next..].iter().take(n).scan(words.get(next).map_or(0, |word| word.start), |end, word| {
            let adjacent = *end == word.start;
            *end = word.end;
            adjacent.then(|| word.clone())
        });
        let mut end = place + before + 1;
        for word in taken.collect::<Vec<_>>() {
            if chosen.len() + word.len() > count {
                break;
            }
            end = word.end;
            next += 1;
            chosen.extend(word);
        }
        place = end + after;
    }
    let mut rest: Vec<u32> = candidates.iter().copied().filter(|at| chosen.binary_search(at).is_err()).collect();
    for i in 0..rest.len().min(count.saturating_sub(chosen.len())) {
        let j = i + random.below((rest.len() - i) as u64) as usize;
        rest.swap(i, j);
        chosen.push(rest[i]);
    }
}

/// The rank of each position. `is_permuted` says which positions have a place of their own in the order: targets and functional
/// tokens.
pub(super) fn ranks(len: usize, is_permuted: impl Fn(usize) -> bool, random: &mut Random) -> Vec<u32> {
    let mut ranks = vec![0; len];
    let mut rank = 0;
    for start in (0..len).step_by(BLOCK) {
        let block = start..len.min(start + BLOCK);
        let mut permuted: Vec<usize> = block.clone().filter(|&at| is_permuted(at)).collect();
        for i in (1..permuted.len()).rev() {
            permuted.swap(i, random.below(i as u64 + 1) as usize);
        }
        ranks[block].fill(rank);
        for at in permuted {
            rank += 1;
            ranks[at] = rank;
        }
        rank += 1;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn random(index: u64) -> Random {
        Random::new(3, Purpose::Permutation, 0, index)
    }

    /// The attention mask of the original (`_local_perm`), written out with its own quantities: true where i must not see j.
    fn original(index: &[i64], is_functional: &[bool], is_target: &[bool]) -> Vec<Vec<bool>> {
        let len = index.len();
        let in_order: Vec<bool> = (0..len).map(|i| is_functional[i] || is_target[i]).collect();
        let rev: Vec<i64> = (0..len).map(|i| if in_order[i] { index[i] } else { -1 }).collect();
        let own: Vec<i64> = (0..len).map(|i| if is_target[i] { rev[i] } else { rev[i] + 1 }).collect();
        (0..len).map(|i| (0..len).map(|j| own[i] <= rev[j] && in_order[j]).collect()).collect()
    }

    #[test]
    fn ranks_give_the_attention_mask_of_the_original() {
        for seed in 0..200 {
            let len = 12;
            let mut draws = random(seed);
            let is_functional: Vec<bool> = (0..len).map(|i| i == 0 || i == len - 1).collect();
            let is_target: Vec<bool> = (0..len).map(|i| !is_functional[i] && draws.chance(0.3)).collect();
            let ranks = ranks(len, |at| is_functional[at] || is_target[at], &mut random(seed));
            // Any order of all positions that has the permuted ones in the order of their ranks.
            let index: Vec<i64> = ranks.iter().map(|&rank| i64::from(rank)).collect();
            let hidden = original(&index, &is_functional, &is_target);
            for i in 0..len {
                for j in 0..len {
                    let sees = if is_target[i] { ranks[j] < ranks[i] } else { ranks[j] <= ranks[i] };
                    assert_eq!(sees, !hidden[i][j], "{i} {j} {ranks:?}");
                }
            }
        }
    }

    #[test]
    fn orders_are_uniform_and_stay_in_their_block() {
        let mut counts = std::collections::BTreeMap::<Vec<u32>, f64>::new();
        let draws = 24_000;
        for index in 0..draws {
            let ranks = ranks(7, |at| [1, 3, 4, 6].contains(&at), &mut random(index));
            assert!([0, 2, 5].iter().all(|&at| ranks[at] == 0));
            *counts.entry(ranks).or_default() += 1.0;
        }
        assert_eq!(counts.len(), 24);
        let expected = draws as f64 / 24.0;
        let chi_square: f64 = counts.values().map(|c| (c - expected).powi(2) / expected).sum();
        // 23 degrees of freedom: 49.7 is exceeded once in a thousand.
        assert!(chi_square < 49.7, "chi-square {chi_square}");

        let ranks = ranks(BLOCK + 40, |at| at % 5 == 0, &mut random(0));
        let (first, second) = ranks.split_at(BLOCK);
        assert!(first.iter().max() < second.iter().min());
        let context: Vec<u32> = (0..40).filter(|at| !(BLOCK + at).is_multiple_of(5)).map(|at| second[at]).collect();
        assert!(context.iter().all(|&rank| rank == context[0]), "text of a block reads itself in both directions");
    }

    #[test]
    fn targets_are_runs_of_words_with_text_around_them() {
        // Words of one to three tokens.
        let words: Vec<Range<u32>> =
            (0..85).flat_map(|i| [6 * i + 1..6 * i + 2, 6 * i + 2..6 * i + 4, 6 * i + 4..6 * i + 7]).collect();
        let candidates: Vec<u32> = words.iter().cloned().flatten().collect();
        let count = candidates.len() / 6;
        let (mut whole, mut total, mut halves) = (0.0, 0.0, [0.0_f64; 2]);
        let mut runs = 0.0;
        for index in 0..3000 {
            let mut chosen = Vec::new();
            targets(&candidates, &words, count, &mut random(index), &mut chosen);
            assert_eq!(chosen.len(), count);
            chosen.sort_unstable();
            assert!(chosen.is_sorted_by(|a, b| a < b) && chosen.iter().all(|at| candidates.binary_search(at).is_ok()));
            let taken = |at: &u32| chosen.binary_search(at).is_ok();
            let hit: Vec<&Range<u32>> = words.iter().filter(|&word| word.clone().any(|at| taken(&at))).collect();
            whole += hit.iter().filter(|word| (**word).clone().all(|at| taken(&at))).count() as f64;
            total += hit.len() as f64;
            runs += chosen.windows(2).filter(|pair| pair[0] + 1 < pair[1]).count() as f64 + 1.0;
            chosen.iter().for_each(|&at| halves[usize::from(at > 255)] += 1.0);
        }
        // Most targets come in whole words, several at a time, and both halves of the text have as many.
        assert!(whole / total > 0.7, "{}", whole / total);
        let length = count as f64 * 3000.0 / runs;
        assert!((2.0..5.0).contains(&length), "mean run {length}");
        assert!((halves[0] / halves[1] - 1.0).abs() < 0.15, "{halves:?}");
    }

    #[test]
    fn few_tokens_and_none() {
        let mut chosen = Vec::new();
        targets(&[], &[], 3, &mut random(0), &mut chosen);
        assert!(chosen.is_empty());
        let word = std::iter::once(4..6).collect::<Vec<_>>();
        targets(&[4, 5], &word, 1, &mut random(0), &mut chosen);
        assert_eq!(chosen.len(), 1);
        chosen.clear();
        targets(&[4, 5], &word, 9, &mut random(0), &mut chosen);
        assert_eq!(chosen.len(), 2);
        assert!(ranks(0, |_| true, &mut random(0)).is_empty());
    }
}
