//! How much memory a training step takes, and which forward passes fit.
//!
//! The estimate counts what is alive at the peak. Letters as in `bert-kernels`: T tokens and n rows that the heads read, of one forward
//! pass; H, I, V, L layers. A row of activations has 4 or 2 bytes a number, everything that the optimiser touches has 4.

use bert_model::BertConfig;
use candle_core::Device;

use crate::config::Precision;
use crate::error::{Error, Result};

/// The share of the free memory that a forward pass may plan with: the estimate is within a fifth of what is measured
/// (`tests/memory.rs`), and allocators leave gaps.
const SHARE: f64 = 0.8;
/// Program, libraries, vocabulary and what else does not depend on the model.
const PROGRAM: u64 = 32 << 20;

/// A model as it is trained.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// Its shape.
    pub model: &'a BertConfig,
    /// Type of the activations.
    pub precision: Precision,
    /// Whether a layer keeps its inputs alone.
    pub recompute: bool,
}

/// The size of one forward pass.
#[derive(Debug, Clone, Copy)]
pub struct PassSize {
    /// T: tokens.
    pub tokens: usize,
    /// Masked tokens that the head over the vocabulary predicts; 0 without that head.
    pub masked: usize,
    /// Sequences, whose first tokens the other heads read.
    pub sequences: usize,
    /// Whether gradients of another pass of the same batch are there already.
    pub accumulates: bool,
}

impl Training<'_> {
    /// Bytes at the peak of a step.
    pub fn peak(&self, pass: &PassSize) -> u64 {
        let model = self.model;
        let [hidden, inner, heads, layers] =
            [model.hidden_size, model.intermediate_size, model.num_attention_heads, model.num_hidden_layers]
                .map(|n| n as u64);
        let vocabulary = model.vocab_size as u64;
        let [tokens, masked] = [pass.tokens, pass.masked].map(|n| n as u64);
        let asked = masked + pass.sequences as u64;
        let number = self.precision.dtype().size_in_bytes() as u64;

        // What lives as long as the model: value and two moments, and in 16 bits the copy that products read.
        let of_layer = 4 * hidden * hidden + 2 * hidden * inner + 9 * hidden + inner;
        let rows = vocabulary + (model.max_position_embeddings + model.type_vocab_size) as u64;
        let of_heads = 2 * hidden * hidden + if masked > 0 { vocabulary } else { 0 };
        let parameters = layers * of_layer + rows * hidden + of_heads;
        let copies = if number < 4 { number * (parameters - (rows - vocabulary) * hidden) } else { 0 };
        let model = 12 * parameters + copies;

        // Graph nodes: three of the embeddings, with what their norm keeps, and the two blocks of each layer.
        let nodes = number * hidden * (4 * tokens + 2 * (layers - 1) * tokens + 2 * asked);
        // Scores of the vocabulary, which become their own gradient, and five rows before them.
        let head = number * masked * (vocabulary + 5 * hidden);
        // Queries, keys, values, context and normed rows of one block, inner and normed rows of the other; sums in f32.
        let kept_by_layer = tokens * (number * (6 * hidden + inner) + 4 * (heads + 2));
        // The last layer: keys and values of all tokens, the rest of those that are read.
        let kept_by_last = number * (2 * hidden * tokens + asked * (5 * hidden + inner));
        // Backward of a feed-forward block: three rows of each width.
        let passing = number * tokens * 3 * (hidden + inner);

        // The peak is in the last layer but one, which all others wait for, or in the first, where all gradients are there. The scores
        // are gone by then, but what they leave is a gap that tensors of other sizes do not fill: they are counted all along.
        let all_gradients = 4 * parameters;
        let tied = if masked > 0 { vocabulary * hidden } else { 0 };
        let first_gradients = 4 * (tied + of_heads + of_layer);
        let kept_by_all = match self.recompute {
            false => kept_by_last + (layers - 1) * kept_by_layer,
            true => kept_by_layer, // of the block that is computed again
        };
        let early = kept_by_all + if pass.accumulates { all_gradients } else { first_gradients };
        let late = kept_by_layer + all_gradients;
        PROGRAM + model + nodes + head + passing + early.max(late)
    }

    /// The largest divisor of `batch` whose pass fits into `free` bytes; `size` gives the pass of a divisor, or none where a divisor
    /// is too small to be one.
    ///
    /// # Errors
    /// [`Error::Request`] where none fits; `key` is what the message calls the setting.
    pub fn largest_pass(
        &self,
        key: &str,
        batch: usize,
        free: u64,
        size: impl Fn(usize) -> Option<PassSize>,
    ) -> Result<usize> {
        let mebibytes = |bytes: u64| bytes >> 20;
        let mut least = None;
        for micro in (1..=batch).rev().filter(|micro| batch.is_multiple_of(*micro)) {
            let Some(pass) = size(micro) else { continue };
            let peak = self.peak(&pass);
            if peak as f64 <= SHARE * free as f64 {
                return Ok(micro);
            }
            least = Some(peak);
        }
        let least = least.map_or_else(|| "more".into(), |peak| format!("about {} MiB", mebibytes(peak)));
        let cure = if self.recompute { "take a smaller model" } else { "set recompute=true, or take a smaller model" };
        Err(Error::Request(format!(
            "{key}=auto: the smallest forward pass needs {least}, and of {} MiB of free memory {:.0}% are planned with; {cure}",
            mebibytes(free),
            100.0 * SHARE
        )))
    }
}

/// Bytes of memory that are free for tensors: the GPU's, or the machine's.
///
/// # Errors
/// [`Error::Request`] where the system does not say.
pub fn free(device: &Device) -> Result<u64> {
    let free = match device {
        Device::Cpu => free_main_memory(),
        _ => bert_kernels::chip::free_memory(device)?,
    };
    free.ok_or_else(|| {
        Error::Request("micro_batch=auto: this system does not say how much memory is free; give a number".into())
    })
}

/// What Linux counts as available, within the limit of the container if there is one.
fn free_main_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = 1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    let number = |file: &str| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let limit = number("/sys/fs/cgroup/memory.max").zip(number("/sys/fs/cgroup/memory.current"));
    Some(limit.map_or(available, |(most, used)| available.min(most.saturating_sub(used))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SMALL: PassSize = PassSize { tokens: 128, masked: 20, sequences: 1, accumulates: true };

    fn base() -> BertConfig {
        BertConfig::preset("base").unwrap()
    }

    fn largest(free: u64, recompute: bool) -> Result<usize> {
        let model = base();
        let training = Training { model: &model, precision: Precision::Bf16, recompute };
        training.largest_pass("phase.0.micro_batch", 96, free, |micro| {
            let of = |number: usize| number * micro;
            Some(PassSize { tokens: of(128), masked: of(20), sequences: micro, accumulates: micro < 96 })
        })
    }

    #[test]
    fn the_largest_divisor_that_fits() {
        assert_eq!(largest(80 << 30, false).unwrap(), 96);
        let free = 4 << 30;
        let some = largest(free, false).unwrap();
        assert!(some < 96 && 96 % some == 0, "{some}");
        assert!(largest(free, true).unwrap() > some, "recomputing makes room");
        // What is chosen fits with a margin, and the next larger divisor does not.
        let model = base();
        let training = Training { model: &model, precision: Precision::Bf16, recompute: false };
        let peak = |micro: usize| {
            training.peak(&PassSize {
                tokens: 128 * micro,
                masked: 20 * micro,
                sequences: micro,
                accumulates: micro < 96,
            })
        };
        let next = (some + 1..=96).find(|n| 96 % n == 0).unwrap();
        let planned = SHARE * free as f64;
        assert!(peak(some) as f64 <= planned && peak(next) as f64 > planned);
    }

    #[test]
    fn where_nothing_fits_the_message_says_what_to_do() {
        let error = largest(1 << 30, false).unwrap_err();
        let message = error.to_string();
        assert!(
            error.is_request() && message.contains("phase.0.micro_batch=auto") && message.contains("recompute=true"),
            "{message}"
        );
        assert!(!largest(1 << 30, true).unwrap_err().to_string().contains("recompute=true"));
    }

    /// Of Base in f32, value and moments alone are 12 bytes for each of 110 million numbers; half as wide activations take less, but
    /// their copies of the weights cost something.
    #[test]
    fn what_does_not_depend_on_the_batch() {
        let model = base();
        let of = |precision| Training { model: &model, precision, recompute: false }.peak(&SMALL);
        let (wide, narrow) = (of(Precision::F32), of(Precision::Bf16));
        assert!((1_750..2_000).contains(&(wide >> 20)), "{} MiB", wide >> 20);
        assert!(narrow > wide, "{narrow} {wide}");
    }

    #[test]
    fn this_machine_says_what_is_free() {
        if cfg!(target_os = "linux") {
            assert!(free(&Device::Cpu).unwrap() > 1 << 20);
        }
    }
}
