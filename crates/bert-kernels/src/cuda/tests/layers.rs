//! Dropout, layer norm, activations, linear maps, cross-entropy, embeddings.

use super::{Rows, TYPES, assert_close, assert_sums, parameters, tolerance, values};
use crate::cuda::emulator;
use crate::embedding::{self, Lookup};
use crate::norm::{self, LayerNorm};
use crate::{Activation, Dropout, activation, dropout, linear, loss};
use candle_core::{DType, Device, Result, Tensor};

#[test]
fn masks_are_those_of_the_cpu() -> Result<()> {
    if !emulator::is_there() {
        return Ok(());
    }
    for (rows, width) in [(1, 1), (3, 77), (5, 128), (9, 200), (4, 768), (2, 1025)] {
        for (p, pass) in [(0.1, 3), (0.5, (1 << 32) + 7), (1.0, 0)] {
            let Some(dropout) = Dropout::new(p, 0x1234_5678_9abc, pass, 5) else { continue };
            let ones = Tensor::ones((rows, width), DType::F32, &Device::Cpu)?;
            let ours = dropout::apply_on_cuda(&ones, dropout)?.to_vec2::<f32>()?;
            assert_eq!(ours, dropout.mask(rows, width, &Device::Cpu)?.to_vec2::<f32>()?, "{rows} x {width}, p {p}");
        }
    }
    Ok(())
}

#[test]
fn layer_norm_with_dropout_and_residual() -> Result<()> {
    if !emulator::is_there() {
        return Ok(());
    }
    for dtype in TYPES {
        for (rows, width, p, with_residual) in [
            (1, 8, 0.0, false),
            (5, 77, 0.1, true),
            (70, 64, 0.0, true),
            (3, 768, 0.3, true),
            (2, 1024, 0.1, false),
            (70, 264, 0.1, true), // several teams and blocks
            (5, 2000, 0.5, true),
            (1, 4096, 0.0, true),
        ] {
            let (weight, wide_weight) = parameters("weight", &[width], 1)?;
            let (bias, wide_bias) = parameters("bias", &[width], 2)?;
            let norm = LayerNorm { weight, bias, epsilon: 1e-12 };
            let wide_norm = LayerNorm { weight: wide_weight, bias: wide_bias, epsilon: 1e-12 };
            let dropout = Dropout::new(p, 7, 8, 9);
            let (x, r, dy) = (
                Rows::new(&[rows, width], 3, dtype)?,
                Rows::new(&[rows, width], 4, dtype)?,
                Rows::new(&[rows, width], 5, dtype)?,
            );
            let (residual, wide_residual) = match with_residual {
                true => (Some(&r.of_type), Some(r.wide.as_tensor())),
                false => (None, None),
            };
            let (y, saved) = norm::cuda::forward(&x.of_type, residual, &norm, dropout)?;
            let wide = norm::reference(x.wide.as_tensor(), wide_residual, &wide_norm, dropout)?;
            let tolerance = tolerance(dtype);
            let what = format!("{dtype:?} {rows} x {width}");
            assert_close(&what, &y, &wide, tolerance);
            let (of_x, _) = parameters("bias of x", &[width], 6)?;
            let d = norm::cuda::backward(&dy.of_type, &saved, &norm, dropout, Some(&of_x))?;
            let grads = (&wide * dy.wide.as_tensor())?.sum_all()?.backward()?;
            let of = |t: &Tensor| grads.get(t).cloned().map_or_else(|| t.zeros_like(), Ok);
            assert_close(&format!("{what}: dx"), &d.x, &of(&x.wide)?, tolerance);
            let sums = of(&x.wide)?.sum(0)?;
            let typical = of(&x.wide)?.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt();
            assert_sums(&format!("{what}: sums of dx"), &of_x.grad(), &sums, tolerance * typical);
            if with_residual {
                assert_close(&format!("{what}: d residual"), &d.residual, &of(&r.wide)?, tolerance);
            }
            assert_close(&format!("{what}: d gain"), &norm.weight.grad(), &of(wide_norm.weight.value())?, tolerance);
            assert_close(&format!("{what}: d bias"), &norm.bias.grad(), &of(wide_norm.bias.value())?, tolerance);
        }
    }
    Ok(())
}

#[test]
fn activations_and_sums_of_their_gradients() -> Result<()> {
    if !emulator::is_there() {
        return Ok(());
    }
    for dtype in TYPES {
        for kind in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
            for (rows, width) in [(1, 1), (3, 77), (20, 256), (90, 520)] {
                // Off the kink of max(x, 0), where the slope is a matter of taste.
                let (x, dy) = (Rows::new(&[rows, width], 1, dtype)?, Rows::new(&[rows, width], 2, dtype)?);
                let (bias, _) = parameters("bias", &[width], 3)?;
                let input = x.of_type.clone();
                let y = activation::cuda::forward(&input, kind)?;
                let tolerance = tolerance(dtype);
                let wide = activation::reference(x.wide.as_tensor(), kind)?;
                assert_close("f(x)", &y, &wide, tolerance);
                let (again, dx) = activation::cuda::forward_and_backward(&input, &dy.of_type, kind, Some(&bias))?;
                assert_close("f(x) again", &again, &y, 0.0);
                // Candle's own slope of GELU has six digits.
                let grads = (wide * dy.wide.as_tensor())?.sum_all()?.backward()?;
                let wide = grads.get(x.wide.as_tensor()).expect("x is in the graph");
                assert_close("dx", &dx, wide, tolerance);
                assert_sums("sums of dx", &bias.grad(), &wide.sum(0)?, 1e-5 * (rows as f64).sqrt());
                let alone = activation::cuda::backward(&input, &dy.of_type, kind)?;
                assert_close("dx alone", &alone, &dx, 0.0);
            }
        }
    }
    Ok(())
}

#[test]
fn linear_maps_and_ranges_of_their_outputs() -> Result<()> {
    if !emulator::is_there() {
        return Ok(());
    }
    for dtype in TYPES {
        for (rows, inputs, outputs, part) in [(1, 3, 5, 0..5), (70, 33, 48, 16..48), (300, 8, 600, 0..600)] {
            let (weight, wide_weight) = parameters("weight", &[outputs, inputs], 1)?;
            let (bias, wide_bias) = parameters("bias", &[outputs], 2)?;
            let (x, dy) = (Rows::new(&[rows, inputs], 3, dtype)?, Rows::new(&[rows, part.len()], 4, dtype)?);
            let tolerance = tolerance(dtype);
            let y = linear::cuda::forward_part(&x.of_type, &weight, &bias, part.clone())?;
            let wide =
                linear::reference(x.wide.as_tensor(), &wide_weight, &wide_bias)?.narrow(1, part.start, part.len())?;
            assert_close("y", &y, &wide, tolerance);
            let grads = (wide * dy.wide.as_tensor())?.sum_all()?.backward()?;
            let of = |t: &Tensor| grads.get(t).cloned().map_or_else(|| t.zeros_like(), Ok);
            for times in 1..3 {
                linear::cuda::backward_parameters(&x.of_type, &weight, &bias, part.clone(), &dy.of_type)?;
                let scale = f64::from(times);
                assert_close("d weight", &weight.grad(), &(of(wide_weight.value())? * scale)?, tolerance);
                assert_close("d bias", &bias.grad(), &(of(wide_bias.value())? * scale)?, tolerance);
            }
            let dx = linear::cuda::backward_input(&weight, part.clone(), &dy.of_type, None)?;
            assert_close("dx", &dx, &of(&x.wide)?, tolerance);
            let sum = linear::cuda::backward_input(&weight, part, &dy.of_type, Some(&x.of_type))?;
            assert_close("dx onto x", &sum, &(of(&x.wide)? + x.wide.as_tensor())?, tolerance);
        }
    }
    Ok(())
}

#[test]
fn cross_entropy_over_a_vocabulary() -> Result<()> {
    if !emulator::is_there() {
        return Ok(());
    }
    for dtype in TYPES {
        for (rows, hidden, classes) in [(1, 4, 2), (7, 16, 101), (40, 8, 3001)] {
            let (weight, wide_weight) = parameters("weight", &[classes, hidden], 1)?;
            let (bias, wide_bias) = parameters("bias", &[classes], 2)?;
            let x = Rows::new(&[rows, hidden], 3, dtype)?;
            let labels: Vec<u32> = (0..rows).map(|i| (i * 37 % classes) as u32).collect();
            let ours = loss::cuda::forward(&x.of_type, &weight, &bias, &labels)?;
            let wide = loss::reference(x.wide.as_tensor(), &wide_weight, &wide_bias, &labels)?;
            let sum = wide.sum.to_scalar::<f64>()?;
            assert!((ours.sum - sum).abs() < tolerance(dtype) * sum, "{dtype:?}: {} for {sum}", ours.sum);
            if dtype == DType::F32 {
                assert_eq!(ours.correct, wide.correct);
            }
            let dx = loss::cuda::backward(&x.of_type, &weight, &bias, &ours.d_logits, 0.25)?;
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

/// Equal scores: the first class counts, as on the CPU.
#[test]
fn of_equal_scores_the_first_is_the_guess() -> Result<()> {
    if !emulator::is_there() {
        return Ok(());
    }
    let (weight, _) = parameters("weight", &[700, 2], 1)?;
    let (bias, _) = parameters("bias", &[700], 2)?;
    weight.set(&weight.value().zeros_like()?)?;
    bias.set(&bias.value().zeros_like()?)?;
    let x = Tensor::ones((3, 2), DType::F32, &Device::Cpu)?;
    assert_eq!(loss::cuda::forward(&x, &weight, &bias, &[0, 1, 699])?.correct, 1);
    Ok(())
}

#[test]
fn embeddings_and_their_gradients_by_sorting() -> Result<()> {
    if !emulator::is_there() {
        return Ok(());
    }
    for dtype in TYPES {
        for (rows, width) in [(1, 4), (130, 300), (700, 16)] {
            let (words, wide_words) = parameters("words", &[50, width], 1)?;
            let (segments, wide_segments) = parameters("segments", &[2, width], 2)?;
            let ids: Vec<u32> = values(rows, 3).iter().map(|v| (v.abs() * v.abs() * 49.0) as u32).collect();
            let second: Vec<u32> = (0..rows).map(|i| u32::from(i > rows / 3)).collect();
            let lookups = [Lookup { table: &words, ids: &ids }, Lookup { table: &segments, ids: &second }];
            let wide = embedding::reference(&[
                Lookup { table: &wide_words, ids: &ids },
                Lookup { table: &wide_segments, ids: &second },
            ])?;
            let tolerance = tolerance(dtype);
            assert_close("rows", &embedding::cuda::forward(&lookups, dtype)?, &wide, tolerance);
            let dy = Rows::new(&[rows, width], 4, dtype)?;
            let tables = [(words.clone(), ids.clone()), (segments.clone(), second.clone())];
            embedding::cuda::backward(&tables, &dy.of_type)?;
            let grads = (wide * dy.wide.as_tensor())?.sum_all()?.backward()?;
            let of = |t: &Tensor| grads.get(t).cloned().map_or_else(|| t.zeros_like(), Ok);
            // Sums are in f32 whatever the rows are.
            assert_close("d words", &words.grad(), &of(wide_words.value())?, 2e-5);
            assert_close("d segments", &segments.grad(), &of(wide_segments.value())?, 2e-5);

            let picked: Vec<u32> = (0..rows as u32).map(|i| i * 7 % (rows as u32).div_ceil(2)).collect();
            let index = Tensor::new(picked.as_slice(), &Device::Cpu)?;
            let chosen = embedding::cuda::gather(&dy.of_type, &picked)?;
            assert_close("gather", &chosen, &dy.wide.index_select(&index, 0)?, 0.0);
            let sums = dy.of_type.copy()?;
            embedding::cuda::scatter_add(&sums, &picked, &chosen)?;
            let wide = dy.wide.as_tensor().index_add(&index, &chosen.to_dtype(DType::F64)?, 0)?;
            assert_close("scatter", &sums, &wide, tolerance);
        }
    }
    Ok(())
}
