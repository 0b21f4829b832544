//! Where the time of a step goes, and how much it multiplies, for benchmarks: relaxed atomic additions.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// A part of the training step. `Gemm` lies inside the others; the rest are disjoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Matrix multiplications of linear layers, included in `Linear` and `Loss` too.
    Gemm,
    /// Linear layers: products and biases.
    Linear,
    /// Scores, softmax, dropout and the weighted sum.
    Attention,
    /// Layer norm with dropout and residual.
    Norm,
    /// GELU and its like.
    Activation,
    /// Table look-ups and their scatter.
    Embedding,
    /// Projection to classes and cross-entropy.
    Loss,
    /// Gradient norm and update.
    Optimizer,
}

/// All parts, in the order in which they are reported.
pub const PARTS: [Part; 8] = [
    Part::Gemm,
    Part::Linear,
    Part::Attention,
    Part::Norm,
    Part::Activation,
    Part::Embedding,
    Part::Loss,
    Part::Optimizer,
];

static NANOSECONDS: [AtomicU64; PARTS.len()] = [const { AtomicU64::new(0) }; PARTS.len()];

pub(crate) fn timed<R>(part: Part, f: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = f();
    NANOSECONDS[part as usize].fetch_add(start.elapsed().as_nanos() as u64, Relaxed);
    result
}

/// Seconds spent in a part since the last [`reset`], over all threads that called operations.
pub fn seconds(part: Part) -> f64 {
    NANOSECONDS[part as usize].load(Relaxed) as f64 * 1e-9
}

static MULTIPLY_ADDS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn count_product(rows: usize, inner: usize, columns: usize) {
    MULTIPLY_ADDS.fetch_add((rows * inner * columns) as u64, Relaxed);
}

/// Multiply-adds of all matrix products since the last [`reset`].
pub fn multiply_adds() -> u64 {
    MULTIPLY_ADDS.load(Relaxed)
}

/// Starts the clocks and the count at zero again.
pub fn reset() {
    MULTIPLY_ADDS.store(0, Relaxed);
    for clock in &NANOSECONDS {
        clock.store(0, Relaxed);
    }
}
