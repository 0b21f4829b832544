//! Launches through the CUDA driver, on candle's stream.

use super::{Argument, DropoutArgument, Grid, LayoutArgument, RatesArgument};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::{CudaDevice, CudaStorage, CudaStorageSlice, WrapErr};
use candle_core::{Result, bail};

// SAFETY: plain numbers in C's layout, the same as in the kernels.
unsafe impl DeviceRepr for DropoutArgument {}
// SAFETY: as above.
unsafe impl DeviceRepr for LayoutArgument {}
// SAFETY: as above.
unsafe impl DeviceRepr for RatesArgument {}

/// The compiled kernels of `kernels/MODULE.cu`.
fn ptx(module: &str) -> Result<&'static str> {
    Ok(match module {
        "activation" => include_str!(concat!(env!("OUT_DIR"), "/activation.ptx")),
        "attention" => include_str!(concat!(env!("OUT_DIR"), "/attention.ptx")),
        "attention_tensor" => include_str!(concat!(env!("OUT_DIR"), "/attention_tensor.ptx")),
        "dropout" => include_str!(concat!(env!("OUT_DIR"), "/dropout.ptx")),
        "embedding" => include_str!(concat!(env!("OUT_DIR"), "/embedding.ptx")),
        "linear" => include_str!(concat!(env!("OUT_DIR"), "/linear.ptx")),
        "loss" => include_str!(concat!(env!("OUT_DIR"), "/loss.ptx")),
        "norm" => include_str!(concat!(env!("OUT_DIR"), "/norm.ptx")),
        "optim" => include_str!(concat!(env!("OUT_DIR"), "/optim.ptx")),
        _ => bail!("there is no module of kernels {module}"),
    })
}

pub(super) fn launch(
    device: &CudaDevice,
    module: &str,
    kernel: &str,
    grid: Grid,
    arguments: &[Argument],
) -> Result<()> {
    let function = device.get_or_load_custom_func(kernel, &format!("bert_kernels_{module}"), ptx(module)?)?;
    let mut builder = function.builder();
    for argument in arguments {
        match argument {
            Argument::Address(value) | Argument::U64(value) => builder.arg(value),
            Argument::U32(value) => builder.arg(value),
            Argument::F32(value) => builder.arg(value),
            Argument::Dropout(value) => builder.arg(value),
            Argument::Layout(value) => builder.arg(value),
            Argument::Rates(value) => builder.arg(value),
        };
    }
    let config = LaunchConfig {
        grid_dim: (grid.blocks.0, grid.blocks.1, 1),
        block_dim: (grid.threads, 1, 1),
        shared_mem_bytes: grid.shared,
    };
    // SAFETY: the arguments are those of the kernel, in its order and layout, and their memory is as large as the shapes that the
    // callers checked; tests run every caller on the emulated kernels.
    unsafe { builder.launch(config) }.w()?;
    Ok(())
}

/// Where a storage begins on the device. Candle's work and ours go to one stream, in order: the memory can be used by whatever is
/// launched before the storage is given back.
pub(super) fn address(storage: &CudaStorage) -> Result<u64> {
    fn of<T>(slice: &CudaSlice<T>, storage: &CudaStorage) -> u64 {
        slice.device_ptr(&storage.device.cuda_stream()).0
    }
    Ok(match &storage.slice {
        CudaStorageSlice::F32(slice) => of(slice, storage),
        CudaStorageSlice::F64(slice) => of(slice, storage),
        CudaStorageSlice::BF16(slice) => of(slice, storage),
        CudaStorageSlice::F16(slice) => of(slice, storage),
        CudaStorageSlice::U32(slice) => of(slice, storage),
        _ => bail!("a kernel takes no such type"),
    })
}
