//! What was measured, for people and for programs.

use serde::Serialize;

use super::workload::{Work, Workload};
use super::{BenchOptions, Lengths};

/// What was measured over whole steps.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// Name of the model.
    pub model: String,
    /// What a step does.
    pub work: Work,
    /// Trainable numbers.
    pub parameters: usize,
    /// Tokens in each sequence; none where the lengths differ.
    pub seq_len: Option<usize>,
    /// Sequences a step.
    pub batch: usize,
    /// Threads that compute.
    pub threads: usize,
    /// Median time of a step in milliseconds.
    pub step_ms: f64,
    /// Shortest time of a step in milliseconds.
    pub fastest_ms: f64,
    /// Real tokens a second: all tokens of the measured steps by their time, or at the median where all steps are alike.
    pub tokens_per_second: f64,
    /// FLOP of a step's matrix products, counted as they are called (a multiply-add is two).
    pub step_flop: f64,
    /// FLOP/s of the whole step: products by the time of everything.
    pub flops: f64,
    /// Best rate of large matrix multiplications, measured before and after in the same process.
    pub matrix_flops: f64,
    /// Most memory the process had, in MiB; none where the system does not say.
    pub peak_memory_mib: Option<f64>,
    /// Mean milliseconds a step by part; `gemm` lies inside the others.
    pub parts: Vec<PartTime>,
}

/// Time of one part of a step.
#[derive(Debug, Clone, Serialize)]
pub struct PartTime {
    /// Name of the part.
    pub part: String,
    /// Mean milliseconds a step.
    pub ms: f64,
}

impl BenchReport {
    /// From the times of the steps in seconds, all their tokens and FLOP.
    pub(super) fn new(
        options: &BenchOptions,
        workload: &Workload,
        times: &mut [f64],
        tokens: usize,
        flop: u64,
        matrix_flops: f64,
        parts: Vec<PartTime>,
    ) -> Self {
        let steps = times.len();
        let total: f64 = times.iter().sum();
        times.sort_by(f64::total_cmp);
        let median = (times[(steps - 1) / 2] + times[steps / 2]) / 2.0;
        let seq_len = match options.lengths {
            Lengths::Fixed(length) => Some(length),
            Lengths::File(_) => None,
        };
        // One disturbed step must not count where a median can be had.
        let time = if seq_len.is_some() { median * steps as f64 } else { total };
        Self {
            model: options.model.clone(),
            work: options.work,
            parameters: workload.parameters().elements(),
            seq_len,
            batch: options.batch,
            threads: rayon::current_num_threads(),
            step_ms: 1e3 * median,
            fastest_ms: 1e3 * times[0],
            tokens_per_second: tokens as f64 / time,
            step_flop: flop as f64 / steps as f64,
            flops: flop as f64 / time,
            matrix_flops,
            peak_memory_mib: peak_memory_mib(),
            parts,
        }
    }
}

/// The high-water mark that Linux keeps of a process's resident memory.
fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

impl std::fmt::Display for BenchReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { model, batch, threads, parameters, .. } = self;
        let millions = *parameters as f64 / 1e6;
        let what = format!("{:?}", self.work).to_lowercase();
        match self.seq_len {
            Some(length) => write!(f, "{what} {model} ({millions:.1} M parameters), {batch} x {length} tokens")?,
            None => write!(f, "{what} {model} ({millions:.1} M parameters), {batch} sequences of unequal length")?,
        }
        writeln!(f, ", {threads} threads")?;
        writeln!(f, "step {:.1} ms, {:.0} tokens/s", self.step_ms, self.tokens_per_second)?;
        writeln!(
            f,
            "{:.1} GFLOP a step, {:.0} GFLOP/s: {:.0}% of the {:.0} GFLOP/s of a large matrix multiplication",
            self.step_flop * 1e-9,
            self.flops * 1e-9,
            100.0 * self.flops / self.matrix_flops,
            self.matrix_flops * 1e-9
        )?;
        if let Some(memory) = self.peak_memory_mib {
            writeln!(f, "peak memory {memory:.0} MiB")?;
        }
        for PartTime { part, ms } in &self.parts {
            writeln!(f, "  {part:<12}{ms:>10.2} ms {:>4.0}%", 100.0 * ms / self.step_ms)?;
        }
        Ok(())
    }
}
