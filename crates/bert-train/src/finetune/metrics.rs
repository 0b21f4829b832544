//! The official metrics of the tasks.

/// Share of predictions that are right.
pub fn accuracy(predicted: &[usize], gold: &[usize]) -> f64 {
    let right = predicted.iter().zip(gold).filter(|(p, g)| p == g).count();
    right as f64 / gold.len().max(1) as f64
}

/// F1 of class 1: `2 tp / (2 tp + fp + fn)`; 0 when class 1 occurs nowhere.
pub fn f1(predicted: &[usize], gold: &[usize]) -> f64 {
    let [_, false_positives, false_negatives, true_positives] = confusion(predicted, gold);
    let denominator = 2.0 * true_positives + false_positives + false_negatives;
    if denominator == 0.0 { 0.0 } else { 2.0 * true_positives / denominator }
}

/// Matthews' correlation coefficient of two classes; 0 when a row or column of the confusion matrix is empty, as when
/// everything is predicted to be one class.
pub fn matthews(predicted: &[usize], gold: &[usize]) -> f64 {
    let [true_negatives, false_positives, false_negatives, true_positives] = confusion(predicted, gold);
    let denominator = ((true_positives + false_positives)
        * (true_positives + false_negatives)
        * (true_negatives + false_positives)
        * (true_negatives + false_negatives))
        .sqrt();
    if denominator == 0.0 {
        0.0
    } else {
        (true_positives * true_negatives - false_positives * false_negatives) / denominator
    }
}

/// Pearson's correlation; 0 when one side is constant.
pub fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    let denominator = (aa * bb).sqrt();
    if denominator > 0.0 { ab / denominator } else { 0.0 }
}

/// Spearman's correlation: Pearson's of the ranks, ties sharing the mean of theirs.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    pearson(&ranks(a), &ranks(b))
}

/// Ranks from 1; equal values share the mean of the ranks they take up.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    for tied in order.chunk_by(|&i, &j| values[i] == values[j]) {
        // Where this group starts: `chunk_by` walks along `order`.
        let before = order.partition_point(|&i| values[i] < values[tied[0]]);
        let mean = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        for &i in tied {
            ranks[i] = mean;
        }
    }
    ranks
}

/// Counts of (gold, predicted): (0, 0), (0, 1), (1, 0), (1, 1).
fn confusion(predicted: &[usize], gold: &[usize]) -> [f64; 4] {
    let mut counts = [0.0; 4];
    for (&predicted, &gold) in predicted.iter().zip(gold) {
        counts[2 * usize::from(gold == 1) + usize::from(predicted == 1)] += 1.0;
    }
    counts
}
