//! stand-in until the colleague's is merged
use candle_core::DType;
use serde::{Deserialize, Serialize};
/// Precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32
    #[default]
    F32,
    /// tf32
    Tf32,
    /// bf16
    Bf16,
    /// f16
    F16,
}
impl Precision {
    /// rows
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::Tf32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}
