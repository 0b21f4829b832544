//! How much work a step is, by formula: the same for every program that trains this model on these tokens.

use bert_model::BertConfig;

use super::Work;

/// FLOP of a step over sequences of the given lengths, a multiply-add being two.
///
/// Forward and backward are 6 N T for N parameters of the encoder's layers (embeddings are looked up, not multiplied) and T real
/// tokens; attention adds 12 L H S^2 for each sequence of S tokens (scores and weighted sum); the head of pre-training 6 n (H^2 + H V)
/// for n masked tokens. Encoding is a third of it, without a head. What a program leaves out (ours: rows of the last layer that no head
/// reads) or computes twice (`recompute`) changes its time and not this number; pooler and classifiers are too small to count.
pub(super) fn step_flop(config: &BertConfig, work: Work, lengths: &[usize], masked: usize) -> f64 {
    let [hidden, layers, vocabulary] =
        [config.hidden_size, config.num_hidden_layers, config.vocab_size].map(|size| size as f64);
    let tokens = lengths.iter().sum::<usize>() as f64;
    let squares = lengths.iter().map(|&length| (length * length) as f64).sum::<f64>();
    let forward = 2.0 * layer_parameters(config) as f64 * tokens + 4.0 * layers * hidden * squares;
    let head = 2.0 * masked as f64 * hidden * (hidden + vocabulary);
    match work {
        Work::Pretrain => 3.0 * (forward + head),
        Work::Finetune => 3.0 * forward,
        Work::Encode => forward,
    }
}

/// N: weights, biases and norms of all layers.
fn layer_parameters(config: &BertConfig) -> usize {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let attention = 4 * (hidden * hidden + hidden);
    let feed_forward = 2 * hidden * inner + inner + hidden;
    let norms = 2 * 2 * hidden;
    config.num_hidden_layers * (attention + feed_forward + norms)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// By hand. A layer of Base: 4 x 768^2 + 2 x 768 x 3072 = 7,077,888 weights, 4 x 768 + 3072 + 768 + 4 x 768 = 9,984 others;
    /// twelve are 85,054,464. 8 x 128 is 1,024 tokens, of which ceil(19.2) = 20 of each sequence are masked.
    #[test]
    fn base_on_8_x_128() {
        let base = BertConfig::preset("base").unwrap();
        assert_eq!(layer_parameters(&base), 85_054_464);
        let lengths = [128; 8];
        let layers = 522_574_626_816.0; // 6 x 85,054,464 x 1,024
        let attention = 14_495_514_624.0; // 12 x 12 x 768 x 8 x 16,384
        let head = 23_069_491_200.0; // 6 x 160 x (589,824 + 768 x 30,522)
        assert_eq!(step_flop(&base, Work::Pretrain, &lengths, 160), layers + attention + head);
        assert_eq!(step_flop(&base, Work::Finetune, &lengths, 160), layers + attention);
        assert_eq!(step_flop(&base, Work::Encode, &lengths, 160), (layers + attention) / 3.0);
    }

    /// Padding is no token, and attention grows with the square of each length: 2 x (100^2 + 28^2) of 2 x 128.
    #[test]
    fn unequal_lengths_count_as_they_are() {
        let tiny = BertConfig::preset("tiny").unwrap();
        let of = |lengths: &[usize]| step_flop(&tiny, Work::Encode, lengths, 0);
        let alike = of(&[64, 64]);
        assert_eq!(of(&[100, 28]) - alike, 4.0 * 2.0 * 128.0 * (10_784.0 - 8_192.0));
        assert_eq!(of(&[64]), alike / 2.0);
    }
}
