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

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    /// Expected values: scikit-learn 1.9.1, `matthews_corrcoef`, `f1_score`, `accuracy_score`.
    #[test]
    fn classes_as_scikit_learn_scores_them() {
        let predicted = [1, 0, 1, 1, 0, 1, 0, 0, 1, 1];
        let gold = [1, 0, 0, 1, 0, 1, 1, 0, 1, 0];
        close(matthews(&predicted, &gold), 0.408248290463863);
        close(f1(&predicted, &gold), 0.7272727272727273);
        close(accuracy(&predicted, &gold), 0.7);
        // One class everywhere: no correlation rather than a division by zero.
        close(matthews(&[1, 1, 1], &[0, 1, 1]), 0.0);
        close(f1(&[0, 0], &[0, 0]), 0.0);
    }

    /// Expected values: SciPy 1.17.1, `pearsonr` and `spearmanr`, with ties on both sides.
    #[test]
    fn scores_as_scipy_correlates_them() {
        let a = [0.5, 1.0, 1.0, 2.5, 2.5, 2.5, 4.0, 5.0];
        let b = [0.0, 1.2, 0.8, 3.0, 2.0, 3.0, 3.0, 4.8];
        close(pearson(&a, &b), 0.9419535221051298);
        close(spearman(&a, &b), 0.9434148851749269);
        close(pearson(&[2.0; 3], &[1.0, 2.0, 3.0]), 0.0);
        close(spearman(&[1.0, 2.0, 3.0], &[9.0, 8.0, 1.0]), -1.0);
    }

    #[test]
    fn tied_values_share_the_mean_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0, 3.0]), [4.0, 1.0, 4.0, 2.0, 4.0]);
    }
}
