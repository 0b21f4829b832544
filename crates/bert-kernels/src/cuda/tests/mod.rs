//! The CUDA forms against the reference forms in f64 on the CPU: on emulated kernels everywhere, and in a build with the feature
//! `cuda` on a GPU too (`on_gpu`).

mod attention;
mod layers;
mod loss;
#[cfg(feature = "cuda")]
mod on_gpu;
mod optim;

use super::emulator;
use crate::Parameter;
use candle_core::{DType, Device, Result, Tensor, Var};
use std::cell::RefCell;

thread_local! {
    static DEVICE: RefCell<Device> = const { RefCell::new(Device::Cpu) };
}

/// Where this thread's test runs its kernels: in main memory they are emulated.
fn device() -> Device {
    DEVICE.with_borrow(Device::clone)
}

/// Whether kernels can be run there; where not, a line has said why.
fn is_ready() -> bool {
    device().is_cuda() || emulator::is_there()
}

/// The cases given and some drawn at random: a few small ones for the emulation, more and larger ones for a GPU.
fn and_random<T>(cases: impl Into<Vec<T>>, mut draw: impl FnMut(&mut Draw) -> T) -> Vec<T> {
    let (mut cases, gpu) = (cases.into(), device().is_cuda());
    let mut random = Draw { state: cases.len() as u64, scale: if gpu { 16 } else { 1 } };
    cases.extend((0..if gpu { 8 } else { 2 }).map(|_| draw(&mut random)));
    cases
}

/// Draws sizes: the same ones on every run.
struct Draw {
    state: u64,
    scale: usize,
}

impl Draw {
    /// From 0 to below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % end
    }

    /// From 1 to `most`, for a GPU to 16 times as many.
    fn size(&mut self, most: usize) -> usize {
        let most = most * self.scale;
        1 + self.below(most)
    }

    fn probability(&mut self) -> f64 {
        [0.0, 0.1, 0.5][self.below(3)]
    }
}

/// Numbers between -1 and 1, a function of the salt.
fn values(n: usize, salt: u64) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// The same numbers as a tensor of rows on the device under test and, exactly, in f64 on the CPU.
struct Rows {
    of_type: Tensor,
    wide: Var,
}

impl Rows {
    fn new(shape: &[usize], salt: u64, dtype: DType) -> Result<Self> {
        let of_type = Tensor::from_vec(values(shape.iter().product(), salt), shape, &Device::Cpu)?.to_dtype(dtype)?;
        Ok(Self { wide: Var::from_tensor(&of_type.to_dtype(DType::F64)?)?, of_type: of_type.to_device(&device())? })
    }
}

/// A parameter in f32 on the device under test and the same in f64 on the CPU. Multiples of 2^-7 are exact in bf16 too, so that its copy in that type is no error.
fn parameters(name: &str, shape: &[usize], salt: u64) -> Result<(Parameter, Parameter)> {
    let exact: Vec<f32> = values(shape.iter().product(), salt).iter().map(|v| (v * 128.0).round() / 128.0).collect();
    let value = Tensor::from_vec(exact, shape, &Device::Cpu)?;
    Ok((Parameter::new(name, &value.to_device(&device())?)?, Parameter::new(name, &value.to_dtype(DType::F64)?)?))
}

/// What an error may be, as a share of the largest number of the tensor.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::BF16 => 0.02,
        DType::F16 => 0.0025, // eight times as fine
        _ => 2e-5,
    }
}

/// The elements, from wherever they are.
fn numbers(t: &Tensor) -> Result<Vec<f64>> {
    t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

#[track_caller]
fn assert_close(what: &str, ours: &Tensor, wide: &Tensor, tolerance: f64) {
    let (Ok(ours), Ok(wide)) = (numbers(ours), numbers(wide)) else { panic!("{what}: cannot be read") };
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
    let (Ok(ours), Ok(wide)) = (numbers(ours), numbers(wide)) else { panic!("{what}: cannot be read") };
    assert_eq!(ours.len(), wide.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(&wide).enumerate() {
        assert!((a - b).abs() <= tolerance, "{what}: {a} for {b} at {i} of {}", ours.len());
    }
}

const TYPES: [DType; 3] = [DType::F32, DType::BF16, DType::F16];
