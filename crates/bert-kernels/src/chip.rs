//! What a GPU is and how much memory it has: for benchmarks, and for sizes that follow from memory.

use candle_core::{Device, Result};

/// What the driver says of a GPU.
#[derive(Clone, Debug, PartialEq)]
pub struct Chip {
    /// Its name, such as `NVIDIA A100-SXM4-80GB`.
    pub name: String,
    /// Compute capability, such as (8, 0).
    pub capability: (i32, i32),
    /// Streaming multiprocessors.
    pub multiprocessors: usize,
    /// Highest clock of the multiprocessors in Hz.
    pub clock: f64,
}

/// The GPU behind a device; none for the CPU and for devices that are not asked.
///
/// # Errors
/// What the driver says.
pub fn chip(device: &Device) -> Result<Option<Chip>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => driver::chip(device).map(Some),
        _ => Ok(None),
    }
}

/// Bytes of a GPU's memory that are free now, those included that this process has freed and keeps for itself.
///
/// # Errors
/// What the driver says.
pub fn free_memory(device: &Device) -> Result<Option<u64>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => driver::free_memory(device).map(Some),
        _ => Ok(None),
    }
}

/// The most bytes of a GPU's memory that tensors had at once since the start or [`forget_peak_memory`]. Work space of cuBLAS and
/// the driver's own is not among it. None where the driver does not count.
///
/// # Errors
/// What the driver says.
pub fn peak_memory(device: &Device) -> Result<Option<u64>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => driver::peak_memory(device),
        _ => Ok(None),
    }
}

/// [`peak_memory`] counts from what is in use now.
///
/// # Errors
/// What the driver says.
pub fn forget_peak_memory(device: &Device) -> Result<()> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => driver::forget_peak_memory(device),
        _ => Ok(()),
    }
}

#[cfg(feature = "cuda")]
mod driver {
    use super::Chip;
    use candle_core::Result;
    use candle_core::cuda_backend::cudarc::driver::result::{device as devices, mem_pool};
    use candle_core::cuda_backend::cudarc::driver::sys::{
        CUdevice_attribute as Attribute, CUmemPool_attribute as Count, CUmemoryPool,
    };
    use candle_core::cuda_backend::{CudaDevice, WrapErr};

    pub fn chip(device: &CudaDevice) -> Result<Chip> {
        let stream = device.cuda_stream();
        let context = stream.context();
        let attribute = |which| context.attribute(which).w();
        Ok(Chip {
            name: context.name().w()?,
            capability: context.compute_capability().w()?,
            multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)? as usize,
            clock: 1e3 * f64::from(attribute(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?),
        })
    }

    pub fn free_memory(device: &CudaDevice) -> Result<u64> {
        let (free, _) = device.cuda_stream().context().mem_get_info().w()?;
        let kept = match pool(device)? {
            Some(pool) => {
                let reserved = count(pool, Count::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?;
                reserved.saturating_sub(count(pool, Count::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?)
            }
            None => 0,
        };
        Ok(free as u64 + kept)
    }

    pub fn peak_memory(device: &CudaDevice) -> Result<Option<u64>> {
        pool(device)?.map(|pool| count(pool, Count::CU_MEMPOOL_ATTR_USED_MEM_HIGH)).transpose()
    }

    pub fn forget_peak_memory(device: &CudaDevice) -> Result<()> {
        let Some(pool) = pool(device)? else { return Ok(()) };
        let mut zero = 0u64; // the one value that the driver takes for it
        // SAFETY: the pool is the device's own, and this attribute is a 64-bit number.
        unsafe { mem_pool::set_attribute(pool, Count::CU_MEMPOOL_ATTR_USED_MEM_HIGH, (&raw mut zero).cast()) }.w()
    }

    /// The pool that all tensors come from; none where the driver allocates without one.
    fn pool(device: &CudaDevice) -> Result<Option<CUmemoryPool>> {
        let stream = device.cuda_stream();
        let context = stream.context();
        if !context.has_async_alloc() {
            return Ok(None);
        }
        context.bind_to_thread().w()?;
        // SAFETY: the device is that of a living context.
        unsafe { devices::get_mem_pool(context.cu_device()) }.w().map(Some)
    }

    fn count(pool: CUmemoryPool, which: Count) -> Result<u64> {
        let mut value = 0u64;
        // SAFETY: the pool is the device's own, and these attributes are 64-bit numbers.
        unsafe { mem_pool::get_attribute(pool, which, (&raw mut value).cast()) }.w()?;
        Ok(value)
    }
}
