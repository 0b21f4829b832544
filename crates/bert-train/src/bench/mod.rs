//! Speed of training steps and of encoding, on synthetic tokens.

mod flop;
mod peak;
mod report;
mod workload;

use std::path::PathBuf;
use std::time::Instant;

use bert_kernels::chip;
use bert_kernels::timing::{self, LargeProduct};
use bert_model::Pass;
use candle_core::{Device, Tensor};

use crate::config::{Precision, model_config};
use crate::error::{Error, Result};

pub use report::{BenchReport, PartTime};
use report::{Machine, Measured, median};
pub use workload::Work;
use workload::{Input, Workload};

/// Moments, spread over the run, at which the rate of a large matrix multiplication is measured: a machine that is shared changes its
/// speed, and step and rate have to meet the same.
const RATES: usize = 12;
/// Steps before the clock starts: memory is mapped, threads are started and kernels are loaded in them.
const WARM_UP: usize = 2;
/// Steps behind the timed ones in which a GPU's parts are timed, each waited for.
const PROFILED: usize = 3;

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
    /// What is computed in.
    pub precision: Precision,
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
/// A device without the precision asked for, [`Error::Request`] for sizes that the model or the machine cannot have,
/// [`Error::File`] for a file of lengths that holds something else.
pub fn bench(options: &BenchOptions) -> Result<BenchReport> {
    let config = model_config(&options.model)?;
    let BenchOptions { batch, steps, work, device, .. } = options;
    options.precision.set_up(device)?;
    if *steps == 0 || *batch == 0 {
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
    let batches: Vec<Vec<usize>> = (0..WARM_UP + steps)
        .map(|step| (0..*batch).map(|i| lengths[(step * batch + i) % lengths.len()]).collect())
        .collect();

    let mut run = Run { workload: Workload::new(&config, *work, options.precision, device)?, options, passes: 0 };
    chip::forget_peak_memory(device)?;
    let (mut measured, mut fastest, mut multiply_adds) = (Measured::default(), Vec::new(), Vec::new());
    for (step, lengths) in batches.iter().enumerate() {
        if step == WARM_UP {
            timing::reset();
        }
        if step % batches.len().div_ceil(RATES) == 0 {
            let rates = matrix_rate(options)?;
            fastest.push(rates.fastest);
            multiply_adds.push(rates.multiply_adds);
        }
        let input = run.workload.input(lengths);
        let seconds = run.step(&input)?;
        if step >= WARM_UP {
            measured.times.push(seconds);
            measured.tokens += lengths.iter().sum::<usize>();
            measured.model_flop += flop::step_flop(&config, *work, lengths, input.masked());
        }
    }
    measured.multiplied_flop = 2 * timing::multiply_adds();
    measured.device_memory = chip::peak_memory(device)?;
    run.time_parts(&mut measured, &batches[batches.len() - 1])?;
    let chip = chip::chip(device)?;
    let machine = Machine {
        peak_flops: chip.as_ref().and_then(|chip| peak::dense_peak(chip, options.precision)),
        name: chip.map_or_else(|| "cpu".into(), |chip| chip.name),
        matrix_flops: median(&mut fastest),
        multiply_add_flops: median(&mut multiply_adds),
    };
    Ok(BenchReport::new(options, run.workload.parameters().elements(), machine, measured))
}

/// Steps one after the other.
struct Run<'a> {
    workload: Workload,
    options: &'a BenchOptions,
    passes: u64,
}

impl Run<'_> {
    /// One step, from an idle device to an idle device; its seconds.
    fn step(&mut self, input: &Input) -> Result<f64> {
        let pass = Pass::train(1, self.passes)
            .recomputing(self.options.recompute)
            .computing_in(self.options.precision.dtype());
        self.passes += 1;
        self.options.device.synchronize()?;
        let start = Instant::now();
        self.workload.step(input, pass)?;
        self.options.device.synchronize()?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Where the time goes. On the CPU the clocks of the timed steps say it. A GPU's parts overlap with what the processor does, so
    /// they are timed in further steps, which wait for each.
    fn time_parts(&mut self, measured: &mut Measured, lengths: &[usize]) -> Result<()> {
        let mut seconds: f64 = measured.times.iter().sum();
        let mut steps = measured.times.len();
        if !self.options.device.is_cpu() {
            let input = self.workload.input(lengths);
            timing::reset();
            timing::wait_for_parts(true);
            seconds = 0.0;
            steps = PROFILED;
            for _ in 0..PROFILED {
                seconds += self.step(&input)?;
            }
            timing::wait_for_parts(false);
        }
        let ms = |seconds: f64| 1e3 * seconds / steps as f64;
        measured.parts_step_ms = ms(seconds);
        measured.parts = timing::PARTS
            .map(|part| PartTime { part: format!("{part:?}").to_lowercase(), ms: ms(timing::seconds(part)) })
            .to_vec();
        Ok(())
    }
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

/// The rate of large matrix multiplications on this device and in this precision now, in FLOP/s. Of random numbers on a GPU, which
/// clocks higher on equal ones.
fn matrix_rate(options: &BenchOptions) -> Result<LargeProduct> {
    const SIZE: usize = 8192;
    let device = &options.device;
    if device.is_cpu() {
        return Ok(LargeProduct::measure());
    }
    let a = Tensor::randn(0f32, 1.0, (SIZE, SIZE), device)?.to_dtype(options.precision.dtype())?;
    let mut best = f64::INFINITY;
    for _ in 0..8 {
        device.synchronize()?;
        let start = Instant::now();
        a.matmul(&a)?;
        device.synchronize()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let rate = 2.0 * (SIZE as f64).powi(3) / best;
    Ok(LargeProduct { fastest: rate, multiply_adds: rate })
}
