//! Speed of a pre-training step on synthetic examples.

use std::time::Instant;

use bert_data::loader::MaskedExample;
use bert_kernels::timing;
use bert_model::{BertForPreTraining, Pass, backward};
use candle_core::Device;
use serde::Serialize;

use crate::config::{OptimizerConfig, model_config};
use crate::error::{Error, Result};
use crate::optimizer::AdamW;
use crate::pretrain::{Targets, collate};

/// Steps before the clock starts: memory is mapped and threads are started in them.
const WARM_UP: usize = 2;

/// What to measure.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// Name of a model.
    pub model: String,
    /// Tokens in each sequence.
    pub seq_len: usize,
    /// Sequences a step.
    pub batch: usize,
    /// Measured steps.
    pub steps: usize,
}

/// What was measured: whole steps of forward, backward, clipping and update, with dropout.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// Name of the model.
    pub model: String,
    /// Trainable numbers.
    pub parameters: usize,
    /// Tokens in each sequence.
    pub seq_len: usize,
    /// Sequences a step.
    pub batch: usize,
    /// Threads that compute.
    pub threads: usize,
    /// Median time of a step in milliseconds.
    pub step_ms: f64,
    /// Tokens a second at that time.
    pub tokens_per_second: f64,
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

/// Measures pre-training steps of a model with random weights on random tokens.
pub fn bench(options: &BenchOptions) -> Result<BenchReport> {
    let config = model_config(&options.model)?;
    let BenchOptions { seq_len, batch, steps, .. } = *options;
    if steps == 0 || batch == 0 || !(8..=config.max_position_embeddings).contains(&seq_len) {
        let longest = config.max_position_embeddings;
        return Err(Error::Request(format!(
            "--steps and --batch need at least 1, --seq-len 8 to {longest} for this model"
        )));
    }
    let model = BertForPreTraining::new(&config, 1, &Device::Cpu)?;
    let store = model.parameters();
    let mut optimizer = AdamW::new(&OptimizerConfig::default(), store)?;
    let examples: Vec<_> = (0..batch).map(|i| example(i, seq_len, config.vocab_size)).collect();
    let targets = Targets::of(&examples);
    let mut times = Vec::with_capacity(steps);
    for step in 0..WARM_UP + steps {
        if step == WARM_UP {
            timing::reset();
        }
        let start = Instant::now();
        let parts = model.loss(&collate(&examples), &Pass::train(1, step as u64))?;
        backward(&targets.normalise(&parts)?, store)?;
        optimizer.step(store, 1e-4)?;
        if step >= WARM_UP {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    let median = (times[(steps - 1) / 2] + times[steps / 2]) / 2.0;
    let part = |part: &timing::Part| PartTime {
        part: format!("{part:?}").to_lowercase(),
        ms: 1e3 * timing::seconds(*part) / steps as f64,
    };
    Ok(BenchReport {
        model: options.model.clone(),
        parameters: store.elements(),
        seq_len,
        batch,
        threads: rayon::current_num_threads(),
        step_ms: 1e3 * median,
        tokens_per_second: (batch * seq_len) as f64 / median,
        peak_memory_mib: peak_memory_mib(),
        parts: timing::PARTS.iter().map(part).collect(),
    })
}

/// A full-length example whose tokens spread over the vocabulary and of which every seventh is predicted.
fn example(index: usize, seq_len: usize, vocab_size: usize) -> MaskedExample {
    let token = |position: usize| ((index * seq_len + position) * 7919 % vocab_size) as u32;
    let positions: Vec<u32> = (1..seq_len as u32 - 1).step_by(7).collect();
    MaskedExample {
        input_ids: (0..seq_len).map(token).collect(),
        second_start: seq_len / 2,
        labels: positions.iter().map(|&at| token(at as usize + 1)).collect(),
        positions,
        is_random_next: index % 2 == 1,
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
        let Self { model, seq_len, batch, threads, parameters, .. } = self;
        let millions = *parameters as f64 / 1e6;
        writeln!(f, "{model} ({millions:.1} M parameters), {batch} x {seq_len} tokens, {threads} threads")?;
        writeln!(f, "step {:.1} ms, {:.0} tokens/s", self.step_ms, self.tokens_per_second)?;
        if let Some(memory) = self.peak_memory_mib {
            writeln!(f, "peak memory {memory:.0} MiB")?;
        }
        for PartTime { part, ms } in &self.parts {
            writeln!(f, "  {part:<12}{ms:>10.2} ms")?;
        }
        Ok(())
    }
}
