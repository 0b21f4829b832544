//! Dropout whose mask is a function of its coordinates (Srivastava et al., 2014).
//!
//! A mask is never stored and never part of a generator's state: backward passes compute it again, a resumed run
//! draws the same, and another device can draw it too.

use crate::cpu::{ROWS, vectorised};
use crate::philox::{WIDE, key, philox_wide};
use crate::storage::{tensor, with_slice};
use crate::{has_fast_form, node};
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

/// Columns that one wide Philox call decides: 4 words x 16 lanes x 2 halves.
const COLUMNS: usize = 8 * WIDE;

/// One place in the network where elements are dropped, in one forward pass.
///
/// Each element is dropped with the probability given, to a resolution of 2^-16, and the others are divided by
/// exactly the probability with which they stay.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    threshold: u32,
    scale: f32,
    seed: u64,
    pass: u64,
    site: u32,
}

impl Dropout {
    /// The mask of place `site` in forward pass number `pass` of the run with this seed; `None` when nothing is
    /// ever dropped.
    pub fn new(probability: f64, seed: u64, pass: u64, site: u32) -> Option<Self> {
        let threshold = (probability.clamp(0.0, 1.0) * 65536.0).round() as u32;
        let scale = if threshold < 65536 { (65536.0 / f64::from(65536 - threshold)) as f32 } else { 0.0 };
        (threshold > 0).then_some(Self { threshold, scale, seed, pass, site })
    }

    /// What the kernels take.
    #[cfg(any(kernels, test))]
    pub(crate) fn argument(dropout: Option<Self>) -> crate::cuda::Argument {
        crate::cuda::Argument::Dropout(dropout.map_or_else(Default::default, |dropout| {
            let [low, high] = key(dropout.seed);
            crate::cuda::DropoutArgument {
                threshold: dropout.threshold,
                scale: dropout.scale,
                key: [low, high ^ (dropout.pass >> 32) as u32],
                site: dropout.site,
                pass: dropout.pass as u32,
            }
        }))
    }

    /// Writes row `row` of the mask: 0 for a dropped element, the scale for one that stays.
    #[inline(always)]
    pub(crate) fn fill(&self, row: u32, out: &mut [f32]) {
        let mut key = key(self.seed);
        key[1] ^= (self.pass >> 32) as u32;
        for (group, out) in out.chunks_mut(COLUMNS).enumerate() {
            let words = philox_wide(key, [(group * WIDE) as u32, row, self.site, self.pass as u32]);
            // 128 columns: for each word its 16 low halves, then its 16 high halves. One long loop decides on all of them:
            // of short ones the compiler makes four lanes instead of sixteen.
            let (mut low, mut high) = ([0f32; COLUMNS / 2], [0f32; COLUMNS / 2]);
            for (i, word) in words.as_flattened().iter().enumerate() {
                low[i] = if word & 0xFFFF < self.threshold { 0.0 } else { self.scale };
                high[i] = if word >> 16 < self.threshold { 0.0 } else { self.scale };
            }
            let mut mask = [0f32; COLUMNS];
            for (word, mask) in mask.chunks_exact_mut(2 * WIDE).enumerate() {
                mask[..WIDE].copy_from_slice(&low[word * WIDE..][..WIDE]);
                mask[WIDE..].copy_from_slice(&high[word * WIDE..][..WIDE]);
            }
            out.copy_from_slice(&mask[..out.len()]);
        }
    }

    /// The mask as a tensor [rows, columns] for the reference forms.
    pub fn mask(&self, rows: usize, columns: usize, device: &Device) -> Result<Tensor> {
        let mut mask = vec![0f32; rows * columns];
        for (row, out) in mask.chunks_mut(columns.max(1)).enumerate() {
            self.fill(row as u32, out);
        }
        Tensor::from_vec(mask, (rows, columns), device)
    }
}

/// The plain candle form of [`dropout`].
pub fn reference(x: &Tensor, dropout: Option<Dropout>) -> Result<Tensor> {
    let Some(dropout) = dropout else { return Ok(x.clone()) };
    let (rows, columns) = x.dims2()?;
    x * dropout.mask(rows, columns, x.device())?.to_dtype(x.dtype())?
}

/// x [T, H] with elements dropped, differentiable; x itself where nothing is.
pub fn dropout(x: &Tensor, dropout: Option<Dropout>) -> Result<Tensor> {
    let Some(mask) = dropout else { return Ok(x.clone()) };
    if !has_fast_form(x) {
        return reference(x, dropout);
    }
    let y = apply(&x.detach().contiguous()?, mask)?;
    node::join(x, y, move |dy| apply(dy, mask).map(Some))
}

#[cfg(any(kernels, test))]
pub(crate) fn apply_on_cuda(x: &Tensor, dropout: Dropout) -> Result<Tensor> {
    use crate::cuda::{Argument, Grid, Teams, at, empty, launch, typed};
    let (rows, width) = x.dims2()?;
    let y = empty((rows, width), x.dtype(), x.device())?;
    let sizes = [rows, width].map(|n| Argument::U32(n as u32));
    let arguments = [at(x)?, at(&y)?, sizes[0], sizes[1], Dropout::argument(Some(dropout))];
    let teams = Teams::new(width)?;
    let grid = Grid::new((rows as u32).div_ceil(teams.count), teams.threads);
    launch(x.device(), "dropout", &typed("dropout", x.dtype())?, grid, &arguments)?;
    Ok(y)
}

fn apply(x: &Tensor, dropout: Dropout) -> Result<Tensor> {
    #[cfg(kernels)]
    if crate::on_cuda(x) {
        return apply_on_cuda(x, dropout);
    }
    let (_, width) = x.dims2()?;
    with_slice(x, |x| {
        tensor((x.len() / width.max(1), width), |y| {
            let chunks = y.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * width));
            chunks.enumerate().for_each(|(chunk, (y, x))| {
                let rows = y.chunks_exact_mut(width).zip(x.chunks_exact(width));
                for (i, (y, x)) in rows.enumerate() {
                    vectorised(
                        #[inline(always)]
                        || {
                            dropout.fill((chunk * ROWS + i) as u32, y);
                            y.iter_mut().zip(x).for_each(|(y, x)| *y *= x);
                        },
                    );
                }
            });
        })
    })?
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn row(p: f64, seed: u64, pass: u64, site: u32, row: u32, n: usize) -> Vec<f32> {
        let mut out = vec![-1.0; n];
        Dropout::new(p, seed, pass, site).unwrap().fill(row, &mut out);
        out
    }

    #[test]
    fn drops_at_the_rate_asked_for_and_keeps_the_mean() {
        for p in [0.1, 0.5, 0.9] {
            let n = 400_000;
            let mask = row(p, 3, 5, 7, 11, n);
            let dropped = mask.iter().filter(|&&m| m == 0.0).count() as f64;
            let deviation = (n as f64 * p * (1.0 - p)).sqrt();
            assert!((dropped - n as f64 * p).abs() < 5.0 * deviation, "p {p}: {dropped} of {n}");
            let mean = mask.iter().map(|&m| f64::from(m)).sum::<f64>() / n as f64;
            assert!((mean - 1.0).abs() < 5.0 * deviation / n as f64 / (1.0 - p), "p {p}: mean {mean}");
        }
    }

    #[test]
    fn every_coordinate_matters_and_nothing_else() {
        let base = row(0.5, 1, 2, 3, 4, 256);
        assert_eq!(base, row(0.5, 1, 2, 3, 4, 256));
        assert_eq!(base[..77], row(0.5, 1, 2, 3, 4, 77)[..], "a shorter row is a prefix");
        for other in [row(0.5, 9, 2, 3, 4, 256), row(0.5, 1, 9, 3, 4, 256), row(0.5, 1, 2, 9, 4, 256)] {
            assert_ne!(base, other);
        }
        assert_ne!(base, row(0.5, 1, 2, 3, 9, 256));
        assert_ne!(base, row(0.5, 1, 2 + (1 << 32), 3, 4, 256));
    }

    #[test]
    fn nothing_to_drop_is_no_dropout() {
        assert!(Dropout::new(0.0, 1, 1, 1).is_none());
        assert!(row(1.0, 1, 1, 1, 1, 64).iter().all(|&m| m == 0.0));
    }
}
