//! Several inputs in one corpus, each with its share: weights, and languages sampled with p^exponent.

use serde::{Deserialize, Serialize};

use super::InputSpec;
use crate::error::{Error, Result};
use crate::random::{Purpose, Random};

/// How often the documents of each input are used.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Mixture {
    /// The weight of each input, in the order in which they were given.
    pub weights: Vec<f64>,
    /// p^exponent: an input with the share p of the text gets a share that goes with p^exponent. 1 changes nothing, 0 gives
    /// every input the same; multilingual BERT has 0.7.
    pub exponent: Option<f64>,
}

/// One input of a corpus: what it holds, and how it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// The input as it was given.
    pub input: String,
    /// Its documents.
    pub documents: u64,
    /// Bytes of their text, after cleaning.
    pub bytes: u64,
    /// How often each document is used, on average.
    pub weight: f64,
}

impl Mixture {
    /// What the inputs ask for. None when every document is used once, which needs no mixture.
    ///
    /// # Errors
    /// [`Error::Input`] for an input that cannot be read, [`Error::Setting`] for an exponent without meaning.
    pub fn parse(inputs: &[String], exponent: Option<f64>) -> Result<Option<Self>> {
        if let Some(exponent) = exponent
            && !(0.0..=1.0).contains(&exponent)
        {
            return Err(Error::Setting {
                name: "sampling-exponent",
                reason: format!("{exponent} is not between 0 and 1; multilingual BERT has 0.7"),
            });
        }
        let weights: Vec<f64> =
            inputs.iter().map(|input| InputSpec::parse(input).map(|spec| spec.weight)).collect::<Result<_>>()?;
        let is_plain = exponent.is_none() && weights.iter().all(|&weight| weight == 1.0);
        Ok((!is_plain).then_some(Mixture { weights, exponent }))
    }

    /// Fills in how often each input's documents are used.
    pub(crate) fn settle(&self, sources: &mut [SourceRecord]) {
        let bytes: Vec<u64> = sources.iter().map(|source| source.bytes).collect();
        for (source, weight) in sources.iter_mut().zip(self.resolve(&bytes)) {
            source.weight = weight;
        }
    }

    /// How often each input's documents are used, given the bytes of its text.
    ///
    /// The exponent changes the inputs' shares and leaves the sum as it is.
    fn resolve(&self, bytes: &[u64]) -> Vec<f64> {
        let Some(exponent) = self.exponent else { return self.weights.clone() };
        let sizes: Vec<f64> = bytes.iter().zip(&self.weights).map(|(&bytes, weight)| bytes as f64 * weight).collect();
        let total: f64 = sizes.iter().sum();
        let power = |size: f64| if size > 0.0 { (size / total).powf(exponent) } else { 0.0 };
        let powers: f64 = sizes.iter().map(|&size| power(size)).sum();
        let shares = sizes.iter().zip(&self.weights);
        shares
            .map(|(&size, weight)| match size > 0.0 {
                true => weight * (power(size) / powers) / (size / total),
                false => *weight,
            })
            .collect()
    }
}

/// How often a document is used: the whole part of its weight, and once more with the probability of the rest. Follows from the
/// seed and the document's number.
pub(crate) fn copies(weight: f64, seed: u64, document: u64) -> u64 {
    let more = Random::new(seed, Purpose::Weight, 0, document).chance(weight.fract());
    weight as u64 + u64::from(more)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn mixture(inputs: &[&str], exponent: Option<f64>) -> Option<Mixture> {
        let inputs: Vec<String> = inputs.iter().map(ToString::to_string).collect();
        Mixture::parse(&inputs, exponent).unwrap()
    }

    #[test]
    fn plain_inputs_need_no_mixture() {
        assert_eq!(mixture(&["a", "b:weight=1"], None), None);
        assert_eq!(mixture(&["a", "b:weight=2"], None).unwrap().resolve(&[5, 5]), [1.0, 2.0]);
        assert!(Mixture::parse(&["a".into()], Some(1.5)).unwrap_err().is_request());
    }

    #[test]
    fn the_exponent_raises_the_small_and_keeps_the_sum() {
        let bytes = [900, 90, 10, 0];
        let weights = mixture(&["en", "de", "is", "empty"], Some(0.7)).unwrap().resolve(&bytes);
        // Shares .9, .09, .01 to the power of .7: .9289, .1853, .0398; their sum 1.1540.
        for (weight, expected) in weights.iter().zip([0.8943, 1.7843, 3.4497]) {
            assert!((weight - expected).abs() < 2e-3, "{weights:?}");
        }
        let total: f64 = weights.iter().zip(bytes).map(|(weight, bytes)| weight * bytes as f64).sum();
        assert!((total - 1000.0).abs() < 1e-9);
        let unchanged = mixture(&["en", "de"], Some(1.0)).unwrap().resolve(&[900, 100]);
        assert!(unchanged.iter().all(|weight| (weight - 1.0).abs() < 1e-12));
        let equal = mixture(&["en", "de"], Some(0.0)).unwrap().resolve(&[900, 100]);
        assert!((equal[0] * 900.0 - equal[1] * 100.0).abs() < 1e-9);
    }

    #[test]
    fn the_number_of_copies_is_the_weight_on_average() {
        for weight in [0.25, 1.0, 2.7] {
            let total: u64 = (0..20_000).map(|document| copies(weight, 3, document)).sum();
            assert!((total as f64 / 20_000.0 - weight).abs() < 0.02);
        }
        assert!((0..100).all(|document| copies(1.0, 3, document) == 1));
    }
}
