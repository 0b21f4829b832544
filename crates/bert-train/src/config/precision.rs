//! `precision`: the type of the activations, and what it asks of a device.

use bert_kernels::computes_in;
use candle_core::{DType, Device, cuda};
use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, Result};

/// In what type training computes. Weights, gradients, moments and all sums are f32 whatever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32 throughout.
    #[default]
    F32,
    /// f32, but the factors of matrix products are rounded to 10 bits of fraction on the tensor cores.
    Tf32,
    /// Activations and the weights of products in bf16: f32's range, 7 bits of fraction.
    Bf16,
    /// The same in f16: 10 bits of fraction and a range so short that the loss is scaled.
    F16,
}

impl Precision {
    /// Whether this is the default, which settings leave out.
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// The type of the activations.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::Tf32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }

    /// Makes the device ready for it; called before anything else is done.
    ///
    /// # Errors
    /// A device that has no form for it.
    pub fn set_up(self, device: &Device) -> Result<()> {
        let is_there = match self {
            Self::F32 => true,
            Self::Tf32 => device.is_cuda(),
            Self::Bf16 | Self::F16 => computes_in(self.dtype(), device),
        };
        if !is_there {
            let (device, problem) = match device {
                Device::Cpu => ("cpu", "the processor computes in f32 only"),
                Device::Metal(_) => ("metal", "Apple GPUs compute in f32 only"),
                Device::Cuda(_) => ("cuda", "this build has no kernels for it"),
            };
            return Err(ConfigError {
                origin: format!("--device {device}"),
                key: "precision".into(),
                problem: format!("{} is not to be had: {problem}", self.dtype_name()),
                cure: "give --set precision=f32, or --device cuda in a build for CUDA".into(),
            }
            .into());
        }
        // A switch of candle's for the whole process.
        cuda::set_gemm_reduced_precision_f32(self == Self::Tf32);
        Ok(())
    }

    fn dtype_name(self) -> &'static str {
        if self == Self::Tf32 { "tf32" } else { self.dtype().as_str() }
    }
}
