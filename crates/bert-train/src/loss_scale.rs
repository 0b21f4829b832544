//! The scale of the loss in f16 (Micikevicius et al., "Mixed Precision Training", 2018).
//!
//! Gradients are often below 2^-24, where f16 has only zero. The loss is multiplied by a scale before the backward pass and the
//! gradient divided by it in the update. The scale is as large as overflow lets it be: a gradient that is not finite halves it, and
//! a long row of good ones doubles it.

use serde::{Deserialize, Serialize};

/// The scale at the beginning of a run.
const INITIAL: f64 = 65_536.0;
/// Good steps in a row after which it grows.
const GROWTH_INTERVAL: u64 = 2_000;
/// Of growth; its inverse is that of backing off. A power of two costs no bit.
const FACTOR: f64 = 2.0;
/// Not below: a gradient that is not finite at a scale of 1 does not lack f16's range.
const LEAST: f64 = 1.0;

/// A dynamic scale of the loss: a function of the gradients so far, all of it in checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    factor: f64,
    /// Good steps since it last changed.
    good_steps: u64,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { factor: INITIAL, good_steps: 0 }
    }
}

impl LossScale {
    /// What the loss is multiplied by.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Learns whether the gradient of a step was finite.
    pub fn observe(&mut self, finite: bool) {
        if !finite {
            *self = Self { factor: (self.factor / FACTOR).max(LEAST), good_steps: 0 };
            return;
        }
        self.good_steps += 1;
        if self.good_steps == GROWTH_INTERVAL {
            *self = Self { factor: self.factor * FACTOR, good_steps: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn after(scale: &mut LossScale, steps: u64, finite: bool) -> f64 {
        (0..steps).for_each(|_| scale.observe(finite));
        scale.factor()
    }

    #[test]
    fn a_bad_gradient_halves_it_and_two_thousand_good_ones_double_it() {
        let mut scale = LossScale::default();
        assert_eq!(scale.factor(), 65_536.0);
        assert_eq!(after(&mut scale, 1_999, true), 65_536.0);
        assert_eq!(after(&mut scale, 1, true), 131_072.0);
        assert_eq!(after(&mut scale, 2, false), 32_768.0);
        // A bad one begins the row anew.
        assert_eq!(after(&mut scale, 1_999, true), 32_768.0);
        assert_eq!(after(&mut scale, 1, false), 16_384.0);
        assert_eq!(after(&mut scale, 1_999, true), 16_384.0);
        assert_eq!(after(&mut scale, 1, true), 32_768.0);
    }

    #[test]
    fn it_never_falls_below_one() {
        let mut scale = LossScale::default();
        assert_eq!(after(&mut scale, 16, false), 1.0);
        assert_eq!(after(&mut scale, 100, false), 1.0);
        assert_eq!(after(&mut scale, 2_000, true), 2.0);
    }

    #[test]
    fn saved_and_read_it_goes_on_from_the_same_place() {
        let mut scale = LossScale::default();
        after(&mut scale, 3, false);
        after(&mut scale, 1_500, true);
        let mut again: LossScale = serde_json::from_str(&serde_json::to_string(&scale).unwrap()).unwrap();
        assert_eq!(again, scale);
        assert_eq!(after(&mut again, 500, true), 16_384.0);
    }
}
