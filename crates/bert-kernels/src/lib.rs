//! The operations of BERT on Candle, forward and backward.
//!
//! Candle's own fused layer norm, softmax and rotary ops have no backward and cut the gradient without an
//! error; its generic autograd zero-fills and adds on every edge. So the operations of an encoder live here,
//! each in a folder with two forms:
//!
//! - **reference**: plain differentiable candle operations on [`Parameter::value`]; runs on every device and in
//!   every float type, and is what the fast form is tested against;
//! - **cpu**: multi-threaded f32 with a hand-written backward that adds parameter gradients in place to
//!   [`Parameter::grad`];
//! - **cuda**, with the feature of that name: the project's own kernels in f32, bf16 or f16, with parameters, their gradients and all
//!   sums in f32; tested on an emulation of the kernels, not yet run on a GPU. With the feature `emulation` whole models can be (`emulated`).
//!
//! The fast form of an operation is a pair `forward` / `backward` on tensors without a graph. Several of them
//! are strung together into one graph node with [`node::join`]: all layers of an encoder are one.
//!
//! Its three principal types: [`Parameter`] (a value and its gradient), [`Spans`] (where the sequences of a
//! batch lie on the token axis, packed or padded), [`Dropout`] (a mask that is a function of its coordinates).
//!
//! ```
//! use bert_kernels::{Parameter, linear, node};
//! use candle_core::{Device, Tensor};
//!
//! let device = Device::Cpu;
//! let weight = Parameter::new("weight", &Tensor::randn(0f32, 1., (3, 4), &device)?)?;
//! let bias = Parameter::new("bias", &Tensor::zeros(3, candle_core::DType::F32, &device)?)?;
//! let x = Tensor::randn(0f32, 1., (2, 4), &device)?;
//! let y = linear::linear(&node::root(&x)?, &weight, &bias)?; // [2, 3]
//! y.sum_all()?.backward()?;
//! assert_eq!(bias.grad().to_vec1::<f32>()?, [2., 2., 2.]);
//! # Ok::<(), candle_core::Error>(())
//! ```
//!
//! Letters in shapes: B sequences, T tokens of a batch (rows), S length of a sequence, H hidden size, N heads,
//! D head size, I intermediate size, V vocabulary.

pub mod activation;
pub mod attention;
pub mod chip;
mod cpu;
#[cfg(any(kernels, test))]
mod cuda;
pub mod dropout;
pub mod embedding;
pub mod linear;
pub mod loss;
pub mod node;
pub mod norm;
pub mod optim;
mod parameter;
mod philox;
mod spans;
mod storage;
pub mod timing;

pub use activation::Activation;
#[cfg(feature = "emulation")]
pub use cuda::emulator::emulated;
pub use dropout::Dropout;
pub use parameter::Parameter;
pub use philox::truncated_normal;
pub use spans::{Selection, Spans};

use candle_core::{DType, Device, Tensor};

/// Whether the fast forms can run on this tensor.
pub fn has_fast_form(x: &Tensor) -> bool {
    computes_in(x.dtype(), x.device())
}

/// Whether the fast forms have rows of this type on this device: f32 on the CPU; f32, bf16 and f16 on a GPU of a build for CUDA.
pub fn computes_in(dtype: DType, device: &Device) -> bool {
    match dtype {
        DType::F32 => device.is_cpu() || has_kernels(device),
        DType::BF16 | DType::F16 => has_kernels(device),
        _ => false,
    }
}

/// CUDA device number `ordinal`, set up for training: everything in the order of one stream, and memory that the process keeps.
///
/// # Errors
/// No such device; a build without the feature `cuda`.
pub fn cuda_device(ordinal: usize) -> candle_core::Result<candle_core::Device> {
    #[cfg(feature = "cuda")]
    return cuda::device::open(ordinal);
    #[cfg(not(feature = "cuda"))]
    candle_core::Device::new_cuda(ordinal)
}

/// Whether the CUDA forms apply, once a fast form does.
#[cfg(kernels)]
fn on_cuda(x: &Tensor) -> bool {
    has_kernels(x.device())
}

fn has_kernels(device: &Device) -> bool {
    #[cfg(feature = "emulation")]
    if device.is_cpu() {
        return cuda::emulator::is_on();
    }
    cfg!(feature = "cuda") && device.is_cuda()
}
