//! Which positions of an example are predicted, beyond single tokens.
//!
//! Everything here keeps to words as the tokenizer marks them (`##x` belongs to the piece before it). Nothing crosses a token
//! that may not be predicted, so neither a word nor a span reaches over a `[SEP]`.

use std::ops::Range;

use crate::random::Random;

/// Longest n-gram of [`MaskKind::NGram`](super::MaskKind::NGram), in words (Lan et al. 2020, section 4.1.2).
const LONGEST_NGRAM: usize = 3;
/// Longest span of [`MaskKind::Span`](super::MaskKind::Span), in words (Joshi et al. 2020, section 3.1).
const LONGEST_SPAN: usize = 10;
/// Parameter of the geometric distribution of a span's length (the same place).
const SPAN_P: f64 = 0.2;

/// Positions of one word.
type Word = Range<u32>;

/// Cuts candidate positions, ascending, into words.
pub(super) fn words(candidates: &[u32], is_continuation: impl Fn(u32) -> bool) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::with_capacity(candidates.len());
    for &position in candidates {
        match words.last_mut() {
            Some(word) if word.end == position && is_continuation(position) => word.end += 1,
            _ => words.push(position..position + 1),
        }
    }
    words
}

/// Whole words in random order; one that would exceed `count` is passed over (`create_pretraining_data.py` of
/// google-research/bert).
pub(super) fn whole_words(mut words: Vec<Word>, count: usize, random: &mut Random, chosen: &mut Vec<u32>) {
    for i in 0..words.len() {
        if chosen.len() >= count {
            return;
        }
        let j = i + random.below((words.len() - i) as u64) as usize;
        words.swap(i, j);
        let word = words[i].clone();
        if chosen.len() + word.len() <= count {
            chosen.extend(word);
        }
    }
}

/// Runs of one to three words, a run of n with probability proportional to 1/n; a run that would exceed `count` or meets one
/// that was taken is shortened or passed over (`create_pretraining_data.py` of google-research/albert).
pub(super) fn ngrams(words: &[Word], count: usize, random: &mut Random, chosen: &mut Vec<u32>) {
    let mut starts: Vec<usize> = (0..words.len()).collect();
    let mut taken = vec![false; words.len()];
    for i in 0..starts.len() {
        if chosen.len() >= count {
            return;
        }
        let j = i + random.below((starts.len() - i) as u64) as usize;
        starts.swap(i, j);
        let start = starts[i];
        let room = 1 + words[start..].windows(2).take(LONGEST_NGRAM - 1).take_while(|w| w[0].end == w[1].start).count();
        let mut n = ngram_length(room, random);
        let tokens = |n: usize| (words[start + n - 1].end - words[start].start) as usize;
        while n > 1 && chosen.len() + tokens(n) > count {
            n -= 1;
        }
        if chosen.len() + tokens(n) > count || taken[start..start + n].contains(&true) {
            continue;
        }
        taken[start..start + n].fill(true);
        chosen.extend(words[start].start..words[start + n - 1].end);
    }
}

pub(super) fn ngram_length(room: usize, random: &mut Random) -> usize {
    let total: f64 = (1..=room).map(|n| 1.0 / n as f64).sum();
    let mut left = random.unit() * total;
    for n in 1..room {
        left -= 1.0 / n as f64;
        if left < 0.0 {
            return n;
        }
    }
    room
}

/// Spans of words whose lengths are geometric, each beginning at the word of a random token, until `count` tokens are taken; the
/// last is cut there. A span ends early where another begins.
pub(super) fn spans(words: &[Word], count: usize, random: &mut Random) -> Vec<Range<u32>> {
    let tokens: u64 = words.iter().map(|word| word.len() as u64).sum();
    let mut taken = vec![false; words.len()];
    let mut spans: Vec<Range<u32>> = Vec::new();
    let mut left = count.min(tokens as usize) as u32;
    // By token and not by word: a word of many pieces is as likely to be hit as in the text.
    let ends: Vec<u64> = words
        .iter()
        .scan(0, |end, word| {
            *end += word.len() as u64;
            Some(*end)
        })
        .collect();
    while left > 0 {
        let token = random.below(tokens);
        let start = ends.partition_point(|&end| end <= token);
        if taken[start] {
            continue;
        }
        let wanted = span_length(random);
        let mut span = words[start].start..words[start].start;
        for at in start..words.len().min(start + wanted) {
            if left == 0 || taken[at] || words[at].start != span.end {
                break;
            }
            taken[at] = true;
            let pieces = (words[at].len() as u32).min(left);
            span.end += pieces;
            left -= pieces;
        }
        spans.push(span);
    }
    spans.sort_unstable_by_key(|span| span.start);
    spans
}

/// A length from 1 to [`LONGEST_SPAN`], P(n) proportional to p (1 - p)^(n - 1).
fn span_length(random: &mut Random) -> usize {
    let total = 1.0 - (1.0 - SPAN_P).powi(LONGEST_SPAN as i32);
    let mut left = random.unit() * total;
    for n in 1..LONGEST_SPAN {
        left -= SPAN_P * (1.0 - SPAN_P).powi(n as i32 - 1);
        if left < 0.0 {
            return n;
        }
    }
    LONGEST_SPAN
}

/// Single tokens without replacement, each drawn in proportion to its weight (Efraimidis and Spirakis 2006: the smallest
/// exponential waiting times).
pub(super) fn weighted(
    candidates: &[u32],
    weight: impl Fn(u32) -> f64,
    count: usize,
    random: &mut Random,
    chosen: &mut Vec<u32>,
) {
    // 1 - u lies in (0, 1], so the logarithm is finite.
    let mut waits: Vec<(f64, u32)> =
        candidates.iter().map(|&at| (-(1.0 - random.unit()).ln() / weight(at), at)).collect();
    let count = count.min(waits.len());
    if count > 0 && count < waits.len() {
        waits.select_nth_unstable_by(count - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    }
    chosen.extend(waits[..count].iter().map(|&(_, at)| at));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn random(index: u64) -> Random {
        Random::new(3, Purpose::Mask, 0, index)
    }

    /// Three and a half standard deviations of a binomial: exceeded once in two thousand.
    fn within(count: f64, draws: f64, share: f64) {
        let bound = 3.5 * (draws * share * (1.0 - share)).sqrt();
        assert!((count - draws * share).abs() < bound, "{count} of {draws}, expected a share of {share}");
    }

    #[test]
    fn continuations_join_the_word_before_them_unless_something_stands_between() {
        // Position 4 is no candidate (a [SEP]); 5 is a continuation whose word begins before it.
        let words = words(&[1, 2, 3, 5, 6, 7], |position| [2, 5, 7].contains(&position));
        assert_eq!(words, [1..3, 3..4, 5..6, 6..8]);
    }

    #[test]
    fn lengths_have_the_distributions_of_the_papers() {
        let draws = 40_000;
        let mut counts = [0.0; LONGEST_SPAN + 1];
        let mut total = 0.0;
        for index in 0..draws {
            let n = span_length(&mut random(index));
            counts[n] += 1.0;
            total += n as f64;
        }
        let all: f64 = (0..10).map(|n| 0.2 * 0.8_f64.powi(n)).sum();
        for (n, &count) in counts.iter().enumerate().skip(1) {
            within(count, draws as f64, 0.2 * 0.8_f64.powi(n as i32 - 1) / all);
        }
        // The paper gives the mean as 3.8.
        assert!((total / draws as f64 - 3.8).abs() < 0.05, "mean {}", total / draws as f64);

        let mut counts = [0.0; 4];
        (0..draws).for_each(|index| counts[ngram_length(3, &mut random(index))] += 1.0);
        for (n, count) in counts.iter().enumerate().skip(1) {
            within(*count, draws as f64, 1.0 / n as f64 / (1.0 + 0.5 + 1.0 / 3.0));
        }
    }

    #[test]
    fn drawing_by_weight_prefers_what_is_heavy() {
        // Weights 1, 2, 5: the first draw takes each in proportion.
        let weights = [1.0, 2.0, 5.0];
        let mut counts = [0.0; 3];
        let draws = 20_000;
        for index in 0..draws {
            let mut chosen = Vec::new();
            weighted(&[0, 1, 2], |at| weights[at as usize], 1, &mut random(index), &mut chosen);
            counts[chosen[0] as usize] += 1.0;
        }
        for (count, weight) in counts.iter().zip(weights) {
            within(*count, draws as f64, weight / 8.0);
        }
        let mut all = Vec::new();
        weighted(&[4, 5], |_| 1.0, 9, &mut random(0), &mut all);
        all.sort_unstable();
        assert_eq!(all, [4, 5]);
    }

    #[test]
    fn nothing_exceeds_the_budget_or_comes_twice() {
        let words: Vec<Word> = vec![1..3, 3..4, 4..9, 10..11, 11..13, 13..14, 20..27];
        for index in 0..2000 {
            for count in 0..12 {
                let mut chosen = Vec::new();
                match index % 2 {
                    0 => whole_words(words.clone(), count, &mut random(index), &mut chosen),
                    _ => ngrams(&words, count, &mut random(index), &mut chosen),
                }
                assert!(chosen.len() <= count);
                let as_set: std::collections::BTreeSet<u32> = chosen.iter().copied().collect();
                assert_eq!(as_set.len(), chosen.len());
                for word in &words {
                    let inside = word.clone().filter(|position| as_set.contains(position)).count();
                    assert!(inside == 0 || inside == word.len(), "half a word: {chosen:?}");
                }

                let spans = spans(&words, count, &mut random(index));
                let taken: usize = spans.iter().map(ExactSizeIterator::len).sum();
                assert_eq!(taken, count, "{spans:?}");
                assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
                let starts_a_word = |span: &Range<u32>| words.iter().any(|word| word.start == span.start);
                assert!(spans.iter().all(|span| !span.is_empty() && starts_a_word(span)), "{spans:?}");
                assert!(!spans.iter().any(|span| span.contains(&9) || span.contains(&14)), "{spans:?}");
            }
        }
    }
}
