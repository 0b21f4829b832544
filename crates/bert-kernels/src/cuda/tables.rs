//! Tables of 32-bit words on a device that follow from a batch alone.

use candle_core::{Device, Result, Tensor};
use std::sync::{Arc, Mutex, PoisonError};

/// Tables made once a batch: the layers of a step, forward and backward, share them, and so do clones of what they belong to.
#[derive(Clone, Default)]
pub(crate) struct Tables(Arc<Mutex<Vec<(Key, Tensor)>>>);

/// What a table is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Key {
    /// Blocks of so many queries each.
    Queries(u32),
    /// Blocks of so many keys each.
    Keys(u32),
    /// The selected rows.
    Rows,
}

impl Tables {
    /// The table, made by `words` where there is none yet on this device.
    pub fn get(&self, key: Key, device: &Device, words: impl FnOnce() -> Vec<u32>) -> Result<Tensor> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(of, table): &&(Key, Tensor)| *of == key && table.device().same_device(device);
        if let Some((_, table)) = tables.iter().find(is_it) {
            return Ok(table.clone());
        }
        let table = super::upload(words(), device)?;
        tables.push((key, table.clone()));
        Ok(table)
    }
}

// They follow from what they belong to, so they make no difference to it.
impl PartialEq for Tables {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Tables {}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tables")
    }
}
