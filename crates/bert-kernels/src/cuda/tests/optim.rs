//! Norm, AdamW and LAMB over many parameters at once, against their formulas in f64.

use super::{device, is_ready, values};
use crate::optim::{AdamWStep, Update, adamw_all, cuda, global_norm_and, lamb_all};
use candle_core::{DType, Device, Result, Tensor};

/// Sizes around those of a piece and of a block.
const SIZES: [usize; 5] = [1, 3, 257, 65_536, 70_001];

fn tensors(salt: u64, scale: f32, positive: bool, device: &Device) -> Result<Vec<Tensor>> {
    let number = |v: f32| scale * if positive { v.abs() } else { v };
    let one = |(i, &n): (usize, &usize)| {
        Tensor::from_vec(values(n, salt + i as u64).into_iter().map(number).collect::<Vec<_>>(), n, device)
    };
    SIZES.iter().enumerate().map(one).collect()
}

fn step(bias_correction: bool) -> AdamWStep {
    AdamWStep {
        lr: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-6,
        weight_decay: 0.1,
        step: 3,
        bias_correction,
        gradient_scale: 0.5,
    }
}

#[test]
pub(super) fn the_norm_of_all_gradients() -> Result<()> {
    if !is_ready() {
        return Ok(());
    }
    let device = &device();
    let grads = tensors(1, 1.0, false, device)?;
    let mut wide = 0.0;
    for grad in &grads {
        wide += grad.to_vec1::<f32>()?.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
    }
    let scalars = [Tensor::new(3.5f32, device)?, Tensor::new(-7f32, device)?];
    let (ours, read) = cuda::norm_and(&grads, &scalars, device)?;
    assert!((ours / wide.sqrt() - 1.0).abs() < 1e-6, "{ours} for {}", wide.sqrt());
    assert_eq!(read, [3.5, -7.0]);
    assert_eq!((ours, Vec::new()), cuda::norm_and(&grads, &[], device)?);
    // The CPU's form, or on a GPU the way to the kernels.
    let (other, read) = global_norm_and(grads.iter().cloned(), &scalars)?;
    assert!((other / wide.sqrt() - 1.0).abs() < 1e-6, "{other}");
    assert_eq!(read, [3.5, -7.0]);
    grads[3].slice_set(&Tensor::new(&[f32::NAN], device)?, 0, 99)?;
    assert!(!cuda::norm_and(&grads, &[], device)?.0.is_finite());
    Ok(())
}

/// One form of an update rule.
type Rule = fn(&[Update], &AdamWStep) -> Result<()>;

#[test]
pub(super) fn adamw_and_lamb() -> Result<()> {
    check("AdamW, CPU", adamw_all, false, &Device::Cpu)?;
    check("LAMB, CPU", lamb_all, true, &Device::Cpu)?;
    if !is_ready() {
        return Ok(());
    }
    check("AdamW, CUDA", cuda::adamw, false, &device())?;
    check("LAMB, CUDA", cuda::lamb, true, &device())
}

fn check(what: &str, rule: Rule, lamb: bool, device: &Device) -> Result<()> {
    for (bias_correction, narrow) in [(false, DType::BF16), (true, DType::F16)] {
        let what = format!("{what}, bias correction {bias_correction}");
        let (value, grad, m, v) = (
            tensors(1, 1.0, false, device)?,
            tensors(11, 0.1, false, device)?,
            tensors(21, 0.1, false, device)?,
            tensors(31, 0.01, true, device)?,
        );
        let read = |list: &[Tensor]| list.iter().map(Tensor::to_vec1::<f32>).collect::<Result<Vec<_>>>();
        let before = [read(&value)?, read(&grad)?, read(&m)?, read(&v)?];
        let copies = value.iter().map(|t| t.to_dtype(narrow)).collect::<Result<Vec<_>>>()?;
        let updates: Vec<Update> = (0..SIZES.len())
            .map(|i| Update {
                value: &value[i],
                grad: grad[i].clone(),
                m: &m[i],
                v: &v[i],
                decays: i % 2 == 0,
                copy: (i != 1).then(|| copies[i].clone()),
            })
            .collect();
        let step = step(bias_correction);
        rule(&updates, &step)?;
        for i in 0..SIZES.len() {
            let of = |kind: usize| before[kind][i].iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            let (values, grads, firsts, seconds) = (of(0), of(1), of(2), of(3));
            let decay = if i % 2 == 0 { step.weight_decay } else { 0.0 };
            let (c1, c2) = match bias_correction {
                true => (1.0 / (1.0 - 0.9f64.powi(3)), 1.0 / (1.0 - 0.999f64.powi(3))),
                false => (1.0, 1.0),
            };
            let update = |j: usize| {
                let g = 0.5 * grads[j];
                let (m, v) = (0.9 * firsts[j] + 0.1 * g, 0.999 * seconds[j] + 0.001 * g * g);
                m * c1 / ((v * c2).sqrt() + 1e-6) + decay * values[j]
            };
            let us: Vec<f64> = (0..SIZES[i]).map(update).collect();
            let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
            let ratio = if lamb && i % 2 == 0 { norm(&values) / norm(&us) } else { 1.0 };
            let ours = value[i].to_vec1::<f32>()?;
            for j in 0..SIZES[i] {
                let wide = values[j] - 0.01 * ratio * us[j];
                let off = (f64::from(ours[j]) - wide).abs();
                assert!(off < 1e-6 + 1e-5 * wide.abs(), "{what}, {i}/{j}: {} for {wide}", ours[j]);
            }
            for (j, (m, v)) in m[i].to_vec1::<f32>()?.into_iter().zip(v[i].to_vec1::<f32>()?).enumerate() {
                let g = 0.5 * grads[j];
                let (wide_m, wide_v) = (0.9 * firsts[j] + 0.1 * g, 0.999 * seconds[j] + 0.001 * g * g);
                assert!(
                    (f64::from(m) - wide_m).abs() < 1e-7 && (f64::from(v) - wide_v).abs() < 1e-8,
                    "{what}, {i}/{j}: {m} {v}"
                );
            }
            if i != 1 {
                let fresh = value[i].to_dtype(narrow)?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
                assert_eq!(copies[i].to_dtype(DType::F32)?.to_vec1::<f32>()?, fresh, "the copy follows");
            }
        }
    }
    Ok(())
}
