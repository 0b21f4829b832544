//! The CUDA forms on emulated kernels, against the reference forms in f64.

mod attention;
mod layers;
mod optim;

use crate::Parameter;
use candle_core::{DType, Device, Result, Tensor, Var};

/// Numbers between -1 and 1, a function of the salt.
fn values(n: usize, salt: u64) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// The same numbers as a tensor of rows and, exactly, in f64.
struct Rows {
    of_type: Tensor,
    wide: Var,
}

impl Rows {
    fn new(shape: &[usize], salt: u64, dtype: DType) -> Result<Self> {
        let of_type = Tensor::from_vec(values(shape.iter().product(), salt), shape, &Device::Cpu)?.to_dtype(dtype)?;
        Ok(Self { wide: Var::from_tensor(&of_type.to_dtype(DType::F64)?)?, of_type })
    }
}

/// A parameter in f32 and the same in f64. Multiples of 2^-7 are exact in bf16 too, so that its copy in that type is no error.
fn parameters(name: &str, shape: &[usize], salt: u64) -> Result<(Parameter, Parameter)> {
    let exact: Vec<f32> = values(shape.iter().product(), salt).iter().map(|v| (v * 128.0).round() / 128.0).collect();
    let value = Tensor::from_vec(exact, shape, &Device::Cpu)?;
    Ok((Parameter::new(name, &value)?, Parameter::new(name, &value.to_dtype(DType::F64)?)?))
}

/// What an error may be, as a share of the largest number of the tensor.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::BF16 => 0.02,
        DType::F16 => 0.0025, // eight times as fine
        _ => 2e-5,
    }
}

#[track_caller]
fn assert_close(what: &str, ours: &Tensor, wide: &Tensor, tolerance: f64) {
    let flat = |t: &Tensor| t.to_dtype(DType::F64).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1::<f64>());
    let (Ok(ours), Ok(wide)) = (flat(ours), flat(wide)) else { panic!("{what}: cannot be read") };
    assert_eq!(ours.len(), wide.len(), "{what}");
    let largest = wide.iter().fold(1e-3f64, |most, v| most.max(v.abs()));
    for (i, (a, b)) in ours.iter().zip(&wide).enumerate() {
        // Written so that what is not a number fails.
        assert!((a - b).abs() <= tolerance * largest, "{what}: {a} for {b} at {i} of {}", ours.len());
    }
}

/// Sums that may cancel: an error is measured against what was added, not against the sum.
#[track_caller]
fn assert_sums(what: &str, ours: &Tensor, wide: &Tensor, tolerance: f64) {
    let flat = |t: &Tensor| t.to_dtype(DType::F64).and_then(|t| t.to_vec1::<f64>());
    let (Ok(ours), Ok(wide)) = (flat(ours), flat(wide)) else { panic!("{what}: cannot be read") };
    assert_eq!(ours.len(), wide.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(&wide).enumerate() {
        assert!((a - b).abs() <= tolerance, "{what}: {a} for {b} at {i} of {}", ours.len());
    }
}

const TYPES: [DType; 3] = [DType::F32, DType::BF16, DType::F16];
