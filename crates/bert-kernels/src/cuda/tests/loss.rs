//! Cross-entropy with its projection: losses, hits and the gradients that a scale on the device gives.

use super::{Rows, TYPES, and_random, assert_close, device, is_ready, parameters, tolerance};
use crate::loss;
use candle_core::{DType, Device, Result, Tensor};

#[test]
pub(super) fn cross_entropy_over_a_vocabulary() -> Result<()> {
    if !is_ready() {
        return Ok(());
    }
    for dtype in TYPES {
        let cases = [(1, 4, 2), (7, 16, 101), (40, 8, 3001)];
        for (rows, hidden, classes) in and_random(cases, |draw| (draw.size(20), 1 + draw.below(30), 1 + draw.size(700)))
        {
            let (weight, wide_weight) = parameters("weight", &[classes, hidden], 1)?;
            let (bias, wide_bias) = parameters("bias", &[classes], 2)?;
            let x = Rows::new(&[rows, hidden], 3, dtype)?;
            let labels: Vec<u32> = (0..rows).map(|i| (i * 37 % classes) as u32).collect();
            let ours = loss::cuda::forward(&x.of_type, &weight, &bias, &labels)?;
            let wide = loss::reference(x.wide.as_tensor(), &wide_weight, &wide_bias, &labels)?;
            assert_eq!((ours.sum.dtype(), ours.sum.rank()), (DType::F32, 0));
            assert_close(&format!("{dtype:?} loss"), &ours.sum, &wide.sum, tolerance(dtype));
            if dtype == DType::F32 {
                assert_close("hits", &ours.correct, &wide.correct, 0.0);
            }
            let scale = Tensor::new(0.25f32, &device())?;
            let dx = loss::cuda::backward(&x.of_type, &weight, &bias, &ours.d_logits, &scale)?;
            let grads = (wide.sum * 0.25)?.backward()?;
            let of = |t: &Tensor| grads.get(t).cloned().map_or_else(|| t.zeros_like(), Ok);
            let tolerance = tolerance(dtype);
            assert_close("dx", &dx, &of(&x.wide)?, tolerance);
            assert_close("d weight", &weight.grad(), &of(wide_weight.value())?, tolerance);
            assert_close("d bias", &bias.grad(), &of(wide_bias.value())?, tolerance);
        }
    }
    Ok(())
}

/// Rows whose scores differ by far more than exponentials can hold: the largest comes first, last and in between.
#[test]
pub(super) fn scores_of_any_size() -> Result<()> {
    if !is_ready() {
        return Ok(());
    }
    let (classes, hidden) = (300, 3);
    let (weight, wide_weight) = parameters("weight", &[classes, hidden], 1)?;
    let (bias, wide_bias) = parameters("bias", &[classes], 2)?;
    let mut shift = vec![-200f32; classes];
    (shift[0], shift[150], shift[299]) = (300.0, 310.0, 305.0);
    let shift = Tensor::from_vec(shift, classes, &Device::Cpu)?;
    bias.set(&(bias.value().detach() + shift.to_device(&device())?)?)?;
    wide_bias.set(&(wide_bias.value().detach() + shift.to_dtype(DType::F64)?)?)?;
    let x = Rows::new(&[4, hidden], 3, DType::F32)?;
    let labels = [0, 7, 150, 299];
    let ours = loss::cuda::forward(&x.of_type, &weight, &bias, &labels)?;
    let wide = loss::reference(x.wide.as_tensor(), &wide_weight, &wide_bias, &labels)?;
    assert_close("loss", &ours.sum, &wide.sum, tolerance(DType::F32));
    assert_close("hits", &ours.correct, &wide.correct, 0.0);
    Ok(())
}

/// Equal scores: the first class counts, as on the CPU.
#[test]
pub(super) fn of_equal_scores_the_first_is_the_guess() -> Result<()> {
    if !is_ready() {
        return Ok(());
    }
    let (weight, _) = parameters("weight", &[700, 2], 1)?;
    let (bias, _) = parameters("bias", &[700], 2)?;
    weight.set(&weight.value().zeros_like()?)?;
    bias.set(&bias.value().zeros_like()?)?;
    let x = Tensor::ones((3, 2), DType::F32, &device())?;
    assert_eq!(loss::cuda::forward(&x, &weight, &bias, &[0, 1, 699])?.correct.to_scalar::<f32>()?, 1.0);
    Ok(())
}
