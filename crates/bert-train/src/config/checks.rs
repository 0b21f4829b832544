//! Values that have the right type but cannot be run.

use super::raw::Raw;
use crate::error::Result;

/// Raises errors that name the file and the key of a value.
pub(super) struct Checks<'a>(pub &'a Raw);

impl Checks<'_> {
    /// An error at `key` unless `holds`.
    pub fn that(&self, holds: bool, key: &str, problem: impl FnOnce() -> String, cure: &str) -> Result<()> {
        if holds {
            return Ok(());
        }
        Err(self.0.error(key, problem(), cure))
    }

    /// A finite number above zero.
    pub fn positive(&self, key: &str, value: f64) -> Result<()> {
        self.that(
            value.is_finite() && value > 0.0,
            key,
            || format!("{value} is not above zero"),
            "give a positive number",
        )
    }

    /// A finite number, zero or above.
    pub fn not_negative(&self, key: &str, value: f64) -> Result<()> {
        self.that(
            value.is_finite() && value >= 0.0,
            key,
            || format!("{value} is below zero"),
            "give zero or a positive number",
        )
    }

    /// A count of at least one.
    pub fn at_least_one(&self, key: &str, value: u64) -> Result<()> {
        self.that(value >= 1, key, || "0 is too few".into(), "give 1 or more")
    }

    /// A probability or share.
    pub fn share(&self, key: &str, value: f64) -> Result<()> {
        self.that(
            (0.0..=1.0).contains(&value),
            key,
            || format!("{value} is not between 0 and 1"),
            "give a share such as 0.1",
        )
    }
}
