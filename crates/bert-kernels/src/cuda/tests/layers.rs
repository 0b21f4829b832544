//! Dropout, layer norm, activations, linear maps, embeddings.

use super::{Rows, TYPES, and_random, assert_close, assert_sums, device, is_ready, parameters, tolerance, values};
use crate::embedding::{self, Lookup};
use crate::norm::{self, LayerNorm};
use crate::{Activation, Dropout, activation, dropout, linear};
use candle_core::{DType, Device, Result, Tensor};

#[test]
pub(super) fn masks_are_those_of_the_cpu() -> Result<()> {
    if !is_ready() {
        return Ok(());
    }
    let cases = [(1, 1), (3, 77), (5, 128), (9, 200), (4, 768), (2, 1025)];
    for (rows, width) in and_random(cases, |draw| (draw.size(9), draw.size(500))) {
        for (p, pass) in [(0.1, 3), (0.5, (1 << 32) + 7), (1.0, 0)] {
            let Some(dropout) = Dropout::new(p, 0x1234_5678_9abc, pass, 5) else { continue };
            let ones = Tensor::ones((rows, width), DType::F32, &device())?;
            let ours = dropout::apply_on_cuda(&ones, dropout)?.to_vec2::<f32>()?;
            assert_eq!(ours, dropout.mask(rows, width, &Device::Cpu)?.to_vec2::<f32>()?, "{rows} x {width}, p {p}");
        }
    }
    Ok(())
}

#[test]
pub(super) fn layer_norm_with_dropout_and_residual() -> Result<()> {
    if !is_ready() {
        return Ok(());
    }
    let cases = [
        (1, 8, 0.0, false),
        (5, 77, 0.1, true),
        (70, 64, 0.0, true),
        (3, 768, 0.3, true),
        (2, 1024, 0.1, false),
        (70, 264, 0.1, true), // several teams and blocks
        (5, 2000, 0.5, true),
        (1, 4096, 0.0, true),
    ];
    let cases = and_random(cases, |draw| (draw.size(40), 15 + draw.size(120), draw.probability(), draw.below(2) == 0));
    for dtype in TYPES {
        for &(rows, width, p, with_residual) in &cases {
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
            let (again, _) = norm::cuda::forward(&x.of_type, residual, &norm, dropout)?;
            assert_close("again", &again, &y, 0.0);
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
pub(super) fn activations_and_sums_of_their_gradients() -> Result<()> {
    if !is_ready() {
        return Ok(());
    }
    for dtype in TYPES {
        for kind in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
            let cases = [(1, 1), (3, 77), (20, 256), (90, 520)];
            for (rows, width) in and_random(cases, |draw| (draw.size(20), draw.size(200))) {
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
pub(super) fn linear_maps_and_ranges_of_their_outputs() -> Result<()> {
    if !is_ready() {
        return Ok(());
    }
    let cases = and_random([(1, 3, 5, 0..5), (70, 33, 48, 16..48), (300, 8, 600, 0..600)], |draw| {
        let (rows, inputs, outputs) = (draw.size(60), draw.size(50), 2 + draw.size(60));
        let start = draw.below(outputs);
        (rows, inputs, outputs, start..start + 1 + draw.below(outputs - start))
    });
    for dtype in TYPES {
        for (rows, inputs, outputs, part) in cases.clone() {
            let (weight, wide_weight) = parameters("weight", &[outputs, inputs], 1)?;
            let (bias, wide_bias) = parameters("bias", &[outputs], 2)?;
            let (x, dy) = (Rows::new(&[rows, inputs], 3, dtype)?, Rows::new(&[rows, part.len()], 4, dtype)?);
            let tolerance = tolerance(dtype);
            let y = linear::cuda::forward_part(&x.of_type, &weight, &bias, part.clone())?;
            let wide =
                linear::reference(x.wide.as_tensor(), &wide_weight, &wide_bias)?.narrow(1, part.start, part.len())?;
            assert_close("y", &y, &wide, tolerance);
            let again = linear::cuda::forward_part(&x.of_type, &weight, &bias, part.clone())?;
            assert_close("y again", &again, &y, 0.0);
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
pub(super) fn embeddings_and_their_gradients_by_sorting() -> Result<()> {
    if !is_ready() {
        return Ok(());
    }
    for dtype in TYPES {
        for (rows, width) in and_random([(1, 4), (130, 300), (700, 16)], |draw| (draw.size(300), draw.size(60))) {
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
            let first = words.grad().copy()?;
            words.zero_grad();
            embedding::cuda::backward(&tables[..1], &dy.of_type)?;
            assert_close("d words again", &words.grad(), &first, 0.0);
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
            let wide =
                dy.wide.as_tensor().index_add(&index, &chosen.to_device(&Device::Cpu)?.to_dtype(DType::F64)?, 0)?;
            assert_close("scatter", &sums, &wide, tolerance);
        }
    }
    Ok(())
}
