//! `micro_batch`: a number, or what fits into memory.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How much of a batch goes into one forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MicroBatch {
    /// As much as fits into the memory that is free when the run begins. A run writes the number that it found into its folder, for
    /// dropout depends on it.
    Auto,
    /// So much.
    Size(usize),
}

const AUTO: &str = "auto";

impl MicroBatch {
    /// The number, where `key` of a configuration has one; the whole batch where it is left out or still to be found.
    pub(super) fn resolve(key: Option<Self>, batch: usize) -> usize {
        match key {
            Some(Self::Size(size)) => size,
            Some(Self::Auto) | None => batch,
        }
    }
}

impl Serialize for MicroBatch {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => to.serialize_str(AUTO),
            Self::Size(size) => size.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for MicroBatch {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = MicroBatch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number or \"{AUTO}\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<MicroBatch, E> {
                if text == AUTO {
                    Ok(MicroBatch::Auto)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<MicroBatch, E> {
                let size = usize::try_from(number);
                size.map(MicroBatch::Size).map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<MicroBatch, E> {
                let size = usize::try_from(number);
                size.map(MicroBatch::Size).map_err(|_| E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))
            }
        }
        from.deserialize_any(Either)
    }
}
