//! Speed of training steps and of encoding, on synthetic tokens.

mod report;
mod workload;

use std::path::PathBuf;
use std::time::Instant;

use bert_kernels::timing;
use bert_model::Pass;
use candle_core::{DType, Device, Tensor};

use crate::config::model_config;
use crate::error::{Error, Result};

pub use report::{BenchReport, PartTime};
pub use workload::Work;
use workload::Workload;

/// Steps before the clock starts: memory is mapped and threads are started in them.
const WARM_UP: usize = 2;

/// What to measure.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// Name of a model.
    pub model: String,
    /// What a step does.
    pub work: Work,
    /// Tokens in each sequence.
    pub lengths: Lengths,
    /// Sequences a step.
    pub batch: usize,
    /// Measured steps.
    pub steps: usize,
    /// Whether the backward pass computes the values inside a layer again.
    pub recompute: bool,
    /// Where it runs.
    pub device: Device,
}

/// How long the sequences are.
#[derive(Debug, Clone)]
pub enum Lengths {
    /// All alike.
    Fixed(usize),
    /// Those of a file with one number a line, batch after batch, from the beginning again at its end.
    File(PathBuf),
}

/// Measures steps of a model with random weights on random tokens.
///
/// # Errors
/// [`Error::Request`] for sizes that the model or the machine cannot have, [`Error::File`] for a file of lengths that
/// holds something else.
pub fn bench(options: &BenchOptions) -> Result<BenchReport> {
    let config = model_config(&options.model)?;
    let BenchOptions { batch, steps, work, .. } = *options;
    if steps == 0 || batch == 0 {
        return Err(Error::Request("--steps and --batch need at least 1".into()));
    }
    let lengths = match &options.lengths {
        Lengths::Fixed(length) => vec![*length],
        Lengths::File(path) => read_lengths(path)?,
    };
    let longest = config.max_position_embeddings;
    if let Some(length) = lengths.iter().find(|length| !(8..=longest).contains(*length)) {
        return Err(Error::Request(format!("a sequence of {length} tokens: this model takes 8 to {longest}")));
    }
    let mut workload = Workload::new(&config, work, &options.device)?;
    let batches: Vec<Vec<usize>> = (0..WARM_UP + steps)
        .map(|step| (0..batch).map(|i| lengths[(step * batch + i) % lengths.len()]).collect())
        .collect();

    let rate_before = matrix_rate()?;
    let mut times = Vec::with_capacity(steps);
    for (step, lengths) in batches.iter().enumerate() {
        if step == WARM_UP {
            timing::reset();
        }
        let input = workload.input(lengths);
        let start = Instant::now();
        workload.step(&input, Pass::train(1, step as u64).recomputing(options.recompute))?;
        if step >= WARM_UP {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let products = timing::multiply_adds();
    let parts = timing::PARTS.map(|part| PartTime {
        part: format!("{part:?}").to_lowercase(),
        ms: 1e3 * timing::seconds(part) / steps as f64,
    });
    // The better of two moments: another program may have disturbed one of them.
    let rate = matrix_rate()?.max(rate_before);
    let tokens: usize = batches[WARM_UP..].iter().flatten().sum();
    Ok(BenchReport::new(options, &workload, &mut times, tokens, 2 * products, rate, parts.to_vec()))
}

/// One length a line.
fn read_lengths(path: &std::path::Path) -> Result<Vec<usize>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
    let lengths: Vec<usize> = text
        .lines()
        .enumerate()
        .map(|(number, line)| {
            line.trim().parse().map_err(|_| Error::File {
                path: path.to_owned(),
                problem: format!("line {}: {line:?} is not a number of tokens", number + 1),
            })
        })
        .collect::<Result<_>>()?;
    if lengths.is_empty() {
        return Err(Error::File { path: path.to_owned(), problem: "holds no lengths; give one a line".into() });
    }
    Ok(lengths)
}

/// The best rate of large matrix multiplications on this machine now, in FLOP/s.
fn matrix_rate() -> Result<f64> {
    const SIZE: usize = 1536;
    let a = Tensor::ones((SIZE, SIZE), DType::F32, &Device::Cpu)?;
    let mut best = f64::INFINITY;
    for _ in 0..8 {
        let start = Instant::now();
        a.matmul(&a)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(2.0 * (SIZE as f64).powi(3) / best)
}
