//! Where the time of a step goes, and how much it multiplies, for benchmarks: relaxed atomic additions.

#[cfg(any(kernels, test))]
use candle_core::{Result, Tensor};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

pub use crate::cpu::LargeProduct;

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

static WAITING: AtomicBool = AtomicBool::new(false);

/// Whether parts are timed on a device that works on by itself. The thread then waits for the device around each part, which slows
/// a step down: for steps that are not timed as a whole. On the CPU parts are always timed.
pub fn wait_for_parts(wait: bool) {
    WAITING.store(wait, Relaxed);
}

impl Part {
    /// Runs this part on the device of `x`, which may work on while the thread goes on; timed where [`wait_for_parts`] asks for it.
    #[cfg(any(kernels, test))]
    pub(crate) fn on<R>(self, x: &Tensor, f: impl FnOnce() -> Result<R>) -> Result<R> {
        if !WAITING.load(Relaxed) {
            return f();
        }
        x.device().synchronize()?;
        timed(self, || {
            let result = f()?;
            x.device().synchronize()?;
            Ok(result)
        })
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    /// One test, since the switch is the whole process's: the tests of operations know nothing of it.
    #[test]
    fn parts_elsewhere_are_timed_when_asked_for() {
        let x = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
        let nap = || {
            std::thread::sleep(std::time::Duration::from_millis(30));
            Ok(7)
        };
        let before = seconds(Part::Activation);
        assert_eq!(Part::Activation.on(&x, nap).unwrap(), 7);
        let silent = seconds(Part::Activation) - before;
        wait_for_parts(true);
        assert_eq!(Part::Activation.on(&x, nap).unwrap(), 7);
        wait_for_parts(false);
        // Other tests run activations meanwhile, for microseconds.
        let timed = seconds(Part::Activation) - before - silent;
        assert!(silent < 0.02 && timed >= 0.03, "{silent} s, {timed} s");
    }
}
