//! The thread pool of a piece of work.

use crate::error::{Error, Result};

/// A pool of `workers` threads; 0 for one per core.
pub(crate) fn pool(workers: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(workers)
        .build()
        .map_err(|e| Error::Setting { name: "workers", reason: format!("{workers} threads cannot be started: {e}") })
}
