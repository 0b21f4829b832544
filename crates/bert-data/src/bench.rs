//! How fast a dataset is read: masked tokens a second.

use std::sync::Arc;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::examples::ExampleSet;
use crate::loader::{Cursor, Loader, Rank};
use crate::masking::{MaskKind, Masker};

/// Examples that are asked for at once, as a trainer does.
const BATCH: usize = 256;

/// Rates of reading a dataset, in tokens a second, special tokens included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// What is masked together; none where masks were drawn while building.
    pub mask_kind: Option<MaskKind>,
    /// One thread that makes batches when they are asked for.
    pub one_core: f64,
    /// A loader with its thread, as a training process has it, asked for batches without a pause.
    pub prefetched: f64,
    /// A process's worth of batches on every core at once.
    pub all_cores: f64,
    /// Number of those cores.
    pub cores: usize,
}

/// Reads with masks for about `time` in each of three ways.
///
/// # Errors
/// [`Error::Setting`] when the split has no examples.
pub fn rates(set: &Arc<ExampleSet>, masker: &Masker, seed: u64, time: Duration) -> Result<Rates> {
    if set.is_empty() {
        let reason = format!("the {} split has no examples to read", set.split().name());
        return Err(Error::Setting { name: "split", reason });
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let inline = |rank| Loader::inline(set.clone(), masker.clone(), seed, Cursor::default(), rank);
    // The first pages come from the disk.
    read(&mut inline(Rank::default()), time / 10);
    let one_core = read(&mut inline(Rank::default()), time);
    let prefetched = read(&mut Loader::new(set.clone(), masker.clone(), seed, Cursor::default()), time);
    let together = Barrier::new(cores);
    let all_cores = thread::scope(|scope| {
        let ranks = (0..cores as u64).map(|index| {
            let (inline, together) = (&inline, &together);
            scope.spawn(move || {
                let mut loader = inline(Rank { index, of: cores as u64 });
                together.wait();
                read(&mut loader, time)
            })
        });
        let ranks: Vec<_> = ranks.collect();
        ranks.into_iter().map(|rank| rank.join().unwrap_or(0.0)).sum()
    });
    let mask_kind = set.manifest().settings.static_masks.is_none().then(|| masker.options().kind);
    Ok(Rates { mask_kind, one_core, prefetched, all_cores, cores })
}

/// Tokens a second of one loader.
fn read(loader: &mut Loader, time: Duration) -> f64 {
    let start = Instant::now();
    let mut tokens = 0;
    while start.elapsed() < time {
        let batch = loader.next_batch(BATCH);
        tokens += std::hint::black_box(batch).iter().map(|example| example.input_ids.len()).sum::<usize>();
    }
    tokens as f64 / start.elapsed().as_secs_f64()
}
