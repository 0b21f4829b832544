//! A CUDA device as training wants it.

use candle_core::cuda_backend::cudarc::driver::result;
use candle_core::cuda_backend::cudarc::driver::sys::CUmemPool_attribute;
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::{Device, Result, bail};

/// Opens the device: one stream, no events, and memory that stays.
pub(crate) fn open(ordinal: usize) -> Result<Device> {
    // `new_cuda` would take the stream of whichever thread calls: a tensor let go by another thread than the one that computes would
    // have its memory given away too early. This is one stream for all threads.
    let device = Device::new_cuda_with_stream(ordinal)?;
    let Device::Cuda(cuda) = &device else { bail!("device {ordinal} is not CUDA's") };
    keep_memory(cuda)?;
    // Otherwise every tensor costs two events, and every use records one.
    // SAFETY: events order work of several streams. Here kernels, products, copies, allocations and releases all go to the device's one
    // stream, which runs them in the order in which they came.
    unsafe { cuda.disable_event_tracking() };
    Ok(device)
}

/// What tensors give back stays with the process instead of going to the driver at the next synchronisation: from the second step on
/// nothing is allocated.
fn keep_memory(device: &CudaDevice) -> Result<()> {
    let stream = device.cuda_stream();
    let context = stream.context();
    if !context.has_async_alloc() {
        return Ok(()); // the driver has no pools, and candle uses none
    }
    let mut threshold = u64::MAX;
    // SAFETY: the device is the context's, and the attribute is a u64.
    unsafe {
        let pool = result::device::get_mem_pool(context.cu_device()).w()?;
        let attribute = CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        result::mem_pool::set_attribute(pool, attribute, (&raw mut threshold).cast()).w()
    }
}
