//! The least loss that is possible on the sample: the ideal reader's, averaged over fresh documents.

use crate::grammar::Grammar;
use crate::inference::{Corruption, Cuts, Reader};
use crate::pairs::{Document, Pair, PairOptions, corrupt, pairs};
use crate::random::Random;

/// A mean and its standard error.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error, with the examples as independent units.
    pub error: f64,
}

/// What the best possible model reaches, at one sequence length. Losses in nats.
#[derive(Debug)]
pub struct Floor {
    /// Length of an example with its special tokens.
    pub seq_len: usize,
    /// Number of examples.
    pub examples: usize,
    /// Number of predicted positions.
    pub predictions: usize,
    /// Mean -log probability of the true word.
    pub mlm_loss: Estimate,
    /// The same as the reader itself expects it; equal within the errors when the inference is right.
    pub expected_loss: Estimate,
    /// How often the likeliest word is the true one.
    pub mlm_accuracy: Estimate,
    /// Loss of always predicting the frequencies of the words.
    pub unigram_loss: Estimate,
    /// Accuracy of always predicting the most frequent word.
    pub unigram_accuracy: Estimate,
    /// Mean -log probability of the true kind of pair.
    pub nsp_loss: Estimate,
    /// How often the likelier kind of pair is the true one.
    pub nsp_accuracy: Estimate,
}

/// Sums over one example: predictions, then the figures in the order of [`Floor`].
type Sums = [f64; 8];

/// Documents of random classes, each with a random number of sentences between `low` and `high`.
pub fn documents(
    grammar: &Grammar,
    count: usize,
    (low, high): (usize, usize),
    seed: u64,
    purpose: u64,
) -> Vec<Document> {
    (0..count)
        .map(|index| {
            let mut random = Random::new(seed, purpose, index as u64);
            let class = random.below(grammar.classes.len());
            let sentences = random.between(low, high);
            grammar.classes[class].document(sentences, &mut random)
        })
        .collect()
}

/// How often the pairs' segments begin and end where.
pub fn count_cuts(pairs: &[Pair], full_stop: u32) -> Cuts {
    let total = pairs.len() as f64;
    let share = |test: &dyn Fn(&Pair, usize) -> bool| {
        let hits = pairs.iter().flat_map(|pair| [test(pair, 0), test(pair, 1)]);
        hits.filter(|hit| *hit).count() as f64 / (2.0 * total)
    };
    let opening = [0, 1].map(|segment| {
        let whole = |pair: &&Pair| !pair.front_cut[segment] && (segment == 0 || pair.is_random);
        let candidates = pairs.iter().filter(whole).count() as f64;
        pairs.iter().filter(whole).filter(|pair| pair.opens_document[segment]).count() as f64 / candidates
    });
    let words = pairs.iter().flat_map(|pair| pair.segments.iter().flatten());
    let (stops, others) =
        words.fold(
            (0.0, 0.0),
            |(stops, others), &word| {
                if word == full_stop { (stops + 1.0, others) } else { (stops, others + 1.0) }
            },
        );
    let ends_inside = share(&|pair, segment| pair.segments[segment].last() != Some(&full_stop));
    Cuts {
        next: pairs.iter().filter(|pair| !pair.is_random).count() as f64 / total,
        front: share(&|pair, segment| pair.front_cut[segment]),
        opening,
        ends_inside: 2.0 * total * ends_inside / others,
        ends_after_sentence: 2.0 * total * (1.0 - ends_inside) / stops,
    }
}

/// Reads the first pairs of fresh documents, corrupted as in training, and averages.
pub fn measure(
    grammar: &Grammar,
    corruption: Corruption,
    options: PairOptions,
    frequencies: &[f64],
    (fresh, others): (&[Document], &[Document]),
    (examples, threads, seed): (usize, usize, u64),
) -> Floor {
    let full_stop = grammar.words.list.iter().position(|word| word == ".").unwrap_or(0) as u32;
    let counted = pairs(others, options, &mut Random::new(seed, 101, 0));
    let cuts = count_cuts(&counted, full_stop);
    let mut sample = pairs(fresh, options, &mut Random::new(seed, 102, 0));
    Random::new(seed, 103, 0).shuffle(&mut sample);
    sample.truncate(examples);
    let reader = Reader::new(&grammar.classes, corruption, cuts);
    let one = |index: usize, pair: &Pair| {
        score(&reader, pair, &corruption, frequencies, &mut Random::new(seed, 104, index as u64))
    };
    let mut sums = vec![Sums::default(); sample.len()];
    std::thread::scope(|scope| {
        let share = sample.len().div_ceil(threads.max(1)).max(1);
        for (part, (sums, sample)) in sums.chunks_mut(share).zip(sample.chunks(share)).enumerate() {
            let one = &one;
            scope.spawn(move || {
                for (offset, (sum, pair)) in sums.iter_mut().zip(sample).enumerate() {
                    *sum = one(part * share + offset, pair);
                }
            });
        }
    });
    let per_prediction = |column: usize| ratio(&sums, column, 0);
    let per_example = |column: usize| {
        let ones: Vec<Sums> = sums
            .iter()
            .map(|sum| {
                let mut one = *sum;
                one[0] = 1.0;
                one
            })
            .collect();
        ratio(&ones, column, 0)
    };
    Floor {
        seq_len: options.seq_len,
        examples: sample.len(),
        predictions: sums.iter().map(|sum| sum[0]).sum::<f64>() as usize,
        mlm_loss: per_prediction(1),
        expected_loss: per_prediction(2),
        mlm_accuracy: per_prediction(3),
        unigram_loss: per_prediction(4),
        unigram_accuracy: per_prediction(5),
        nsp_loss: per_example(6),
        nsp_accuracy: per_example(7),
    }
}

fn score(reader: &Reader<'_>, pair: &Pair, corruption: &Corruption, frequencies: &[f64], random: &mut Random) -> Sums {
    let (seen, positions) = corrupt(pair, corruption, random);
    let posterior = reader.read(&seen, &positions);
    let mut sums = Sums::default();
    for (&(segment, index), words) in positions.iter().zip(&posterior.words) {
        let truth = pair.segments[segment][index] as usize;
        sums[0] += 1.0;
        sums[1] -= words[truth].ln();
        sums[2] -= words.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>();
        sums[3] += f64::from(u8::from(argmax(words) == truth));
        sums[4] -= frequencies[truth].ln();
        sums[5] += f64::from(u8::from(argmax(frequencies) == truth));
    }
    let right = if pair.is_random { 1.0 - posterior.next } else { posterior.next };
    sums[6] = -right.max(f64::MIN_POSITIVE).ln();
    sums[7] = f64::from(u8::from(right > 0.5));
    sums
}

fn argmax(values: &[f64]) -> usize {
    (0..values.len()).fold(0, |best, at| if values[at] > values[best] { at } else { best })
}

/// Sum of a column over the sum of another, and the standard error of that ratio over examples.
fn ratio(sums: &[Sums], column: usize, unit: usize) -> Estimate {
    let total: f64 = sums.iter().map(|sum| sum[unit]).sum();
    let mean = sums.iter().map(|sum| sum[column]).sum::<f64>() / total;
    let squares: f64 = sums.iter().map(|sum| (sum[column] - mean * sum[unit]).powi(2)).sum();
    let n = sums.len() as f64;
    Estimate { mean, error: (squares * n / (n - 1.0)).sqrt() / total }
}
