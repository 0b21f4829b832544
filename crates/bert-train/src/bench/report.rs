//! What was measured, for people and for programs.

use serde::Serialize;

use super::{BenchOptions, Lengths, Work};
use crate::config::Precision;

/// What was measured over whole steps.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// Name of the model.
    pub model: String,
    /// What a step does.
    pub work: Work,
    /// `cpu`, or the GPU's name.
    pub device: String,
    /// What was computed in.
    pub precision: Precision,
    /// Trainable numbers.
    pub parameters: usize,
    /// Tokens in each sequence; none where the lengths differ.
    pub seq_len: Option<usize>,
    /// Sequences a step.
    pub batch: usize,
    /// Threads that compute on the CPU.
    pub threads: usize,
    /// Median time of a step in milliseconds.
    pub step_ms: f64,
    /// Shortest time of a step in milliseconds.
    pub fastest_ms: f64,
    /// Real tokens a second: all tokens of the measured steps by their time, or at the median where all steps are alike.
    pub tokens_per_second: f64,
    /// FLOP of a step by formula: 6 N for each real token, attention, and the head on the masked tokens.
    pub model_flop: f64,
    /// FLOP/s by that formula.
    pub model_flops: f64,
    /// FLOP of a step's matrix products, counted as they are called (a multiply-add is two).
    pub step_flop: f64,
    /// FLOP/s of the whole step: products by the time of everything.
    pub flops: f64,
    /// Rate of large matrix multiplications in this precision by the fastest way there is, the median of moments spread over the steps.
    pub matrix_flops: f64,
    /// The same by the fastest way that multiplies and adds in this precision; AMX puts f32 together from bf16 faster.
    pub multiply_add_flops: f64,
    /// The GPU's dense peak in this precision, from its attributes.
    pub peak_flops: Option<f64>,
    /// `model_flops` by `peak_flops`.
    pub share_of_peak: Option<f64>,
    /// Most main memory the process had, in MiB; none where the system does not say.
    pub peak_memory_mib: Option<f64>,
    /// Most memory of the GPU that tensors had at once in the measured steps, in MiB; none on the CPU.
    pub device_memory_mib: Option<f64>,
    /// Mean milliseconds a step by part; `gemm` lies inside the others.
    pub parts: Vec<PartTime>,
    /// Mean milliseconds of the steps in which the parts were timed: on a GPU those wait for each part and take longer.
    pub parts_step_ms: f64,
}

/// Time of one part of a step.
#[derive(Debug, Clone, Serialize)]
pub struct PartTime {
    /// Name of the part.
    pub part: String,
    /// Mean milliseconds a step.
    pub ms: f64,
}

/// Sums over the measured steps.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// Seconds of each step.
    pub times: Vec<f64>,
    /// Real tokens.
    pub tokens: usize,
    /// FLOP by formula.
    pub model_flop: f64,
    /// FLOP counted as products were called.
    pub multiplied_flop: u64,
    /// Most bytes of the GPU.
    pub device_memory: Option<u64>,
    /// Mean times of the parts, and of the steps they belong to.
    pub parts: Vec<PartTime>,
    pub parts_step_ms: f64,
}

/// What the steps ran on.
#[derive(Debug)]
pub(super) struct Machine {
    pub name: String,
    pub peak_flops: Option<f64>,
    pub matrix_flops: f64,
    pub multiply_add_flops: f64,
}

impl BenchReport {
    pub(super) fn new(options: &BenchOptions, parameters: usize, machine: Machine, measured: Measured) -> Self {
        let Measured { mut times, tokens, model_flop, multiplied_flop, .. } = measured;
        let steps = times.len();
        let total: f64 = times.iter().sum();
        let median = median(&mut times);
        let seq_len = match options.lengths {
            Lengths::Fixed(length) => Some(length),
            Lengths::File(_) => None,
        };
        // One disturbed step must not count where a median can be had.
        let time = if seq_len.is_some() { median * steps as f64 } else { total };
        let model_flops = model_flop / time;
        Self {
            model: options.model.clone(),
            work: options.work,
            device: machine.name,
            precision: options.precision,
            parameters,
            seq_len,
            batch: options.batch,
            threads: rayon::current_num_threads(),
            step_ms: 1e3 * median,
            fastest_ms: 1e3 * times[0],
            tokens_per_second: tokens as f64 / time,
            model_flop: model_flop / steps as f64,
            model_flops,
            step_flop: multiplied_flop as f64 / steps as f64,
            flops: multiplied_flop as f64 / time,
            matrix_flops: machine.matrix_flops,
            multiply_add_flops: machine.multiply_add_flops,
            peak_flops: machine.peak_flops,
            share_of_peak: machine.peak_flops.map(|peak| model_flops / peak),
            peak_memory_mib: peak_memory_mib(),
            device_memory_mib: measured.device_memory.map(|bytes| bytes as f64 / f64::from(1 << 20)),
            parts: measured.parts,
            parts_step_ms: measured.parts_step_ms,
        }
    }
}

/// Sorts the numbers, of which there is at least one.
pub(super) fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    (numbers[(numbers.len() - 1) / 2] + numbers[numbers.len() / 2]) / 2.0
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
        let Self { model, batch, threads, parameters, device, .. } = self;
        let millions = *parameters as f64 / 1e6;
        let lower = |name: String| name.to_lowercase();
        let (what, precision) = (lower(format!("{:?}", self.work)), lower(format!("{:?}", self.precision)));
        match self.seq_len {
            Some(length) => write!(f, "{what} {model} ({millions:.1} M parameters), {batch} x {length} tokens")?,
            None => write!(f, "{what} {model} ({millions:.1} M parameters), {batch} sequences of unequal length")?,
        }
        writeln!(f, ", {precision} on {device}, {threads} threads")?;
        writeln!(f, "step {:.1} ms, {:.0} tokens/s", self.step_ms, self.tokens_per_second)?;
        write!(f, "{:.1} GFLOP a step by formula, {:.0} GFLOP/s", self.model_flop * 1e-9, self.model_flops * 1e-9)?;
        match (self.share_of_peak, self.peak_flops) {
            (Some(share), Some(peak)) => {
                writeln!(f, ": {:.1}% of the chip's dense peak of {:.0} GFLOP/s", 100.0 * share, peak * 1e-9)?;
            }
            _ => writeln!(f)?,
        }
        write!(f, "{:.1} GFLOP a step multiplied, {:.0} GFLOP/s: ", self.step_flop * 1e-9, self.flops * 1e-9)?;
        let share = |rate: f64| format!("{:.0}% of the {:.0} GFLOP/s", 100.0 * self.flops / rate, rate * 1e-9);
        write!(f, "{} of a large matrix multiplication", share(self.matrix_flops))?;
        if self.multiply_add_flops < self.matrix_flops {
            write!(f, " on AMX, {} of one by multiply-adds", share(self.multiply_add_flops))?;
        }
        writeln!(f)?;
        if let Some(memory) = self.peak_memory_mib {
            writeln!(f, "peak memory {memory:.0} MiB")?;
        }
        if let Some(memory) = self.device_memory_mib {
            writeln!(f, "peak memory of the GPU {memory:.0} MiB")?;
            writeln!(f, "parts, each waited for in steps of {:.1} ms:", self.parts_step_ms)?;
        }
        for PartTime { part, ms } in &self.parts {
            writeln!(f, "  {part:<12}{ms:>10.2} ms {:>4.0}%", 100.0 * ms / self.parts_step_ms)?;
        }
        Ok(())
    }
}
