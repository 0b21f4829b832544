//! Launches of the project's own kernels (`kernels/*.cu`).
//!
//! The CUDA form of an operation is written on tensors and [`launch`], whatever device they are on: on a GPU a launch goes to
//! the driver, and in tests a tensor in main memory goes to an emulation of the same kernels (`emulator`). So all of it but the
//! compiler and the chip is tested without a GPU.

#[cfg(feature = "cuda")]
mod blas;
#[cfg(feature = "cuda")]
pub(crate) mod device;
#[cfg(feature = "cuda")]
mod driver;
#[cfg(any(test, feature = "emulation"))]
pub(crate) mod emulator;
pub(crate) mod product;
pub(crate) mod tables;
#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, DType, Device, Result, Shape, Storage, Tensor, bail};
#[cfg(any(test, feature = "emulation"))]
use std::ffi::c_void;

/// Lanes of a warp.
pub(crate) const WARP: u32 = 32;
/// Threads of a block where nothing speaks for another number.
pub(crate) const THREADS: u32 = 256;

/// One argument of a kernel, laid out as the kernel's parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Argument {
    Address(u64),
    U32(u32),
    U64(u64),
    F32(f32),
    Dropout(DropoutArgument),
    Layout(LayoutArgument),
    Rates(RatesArgument),
}

/// `Dropout` in `kernels/device.cuh`; threshold 0 drops nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DropoutArgument {
    pub threshold: u32,
    pub scale: f32,
    pub key: [u32; 2],
    pub site: u32,
    pub pass: u32,
}

/// `Layout` in `kernels/attention.cuh`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayoutArgument {
    pub query_stride: u32,
    pub memory_stride: u32,
    pub keys: u32,
    pub values: u32,
    pub heads: u32,
    pub size: u32,
    pub asking: u32,
    pub rows: u32,
    pub groups: u32,
    pub scale: f32,
}

/// `Rates` in `kernels/optim.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct RatesArgument {
    pub lr: f32,
    pub beta1: f32,
    pub rest1: f32,
    pub beta2: f32,
    pub rest2: f32,
    pub epsilon: f32,
    pub decay: f32,
    pub correction1: f32,
    pub correction2: f32,
    pub scale: f32,
}

impl Argument {
    /// Where a launch finds the value.
    #[cfg(any(test, feature = "emulation"))]
    fn pointer(&self) -> *mut c_void {
        match self {
            Self::Address(value) | Self::U64(value) => std::ptr::from_ref(value) as *mut c_void,
            Self::U32(value) => std::ptr::from_ref(value) as *mut c_void,
            Self::F32(value) => std::ptr::from_ref(value) as *mut c_void,
            Self::Dropout(value) => std::ptr::from_ref(value) as *mut c_void,
            Self::Layout(value) => std::ptr::from_ref(value) as *mut c_void,
            Self::Rates(value) => std::ptr::from_ref(value) as *mut c_void,
        }
    }
}

/// Blocks, threads of a block, and its dynamic shared memory in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub blocks: (u32, u32),
    pub threads: u32,
    pub shared: u32,
}

impl Grid {
    /// Blocks without shared memory.
    pub fn new(blocks: u32, threads: u32) -> Self {
        Self { blocks: (blocks, 1), threads, shared: 0 }
    }

    /// For kernels whose grid strides over the elements: at most eight blocks for each of a large chip's multiprocessors.
    pub fn striding(elements: usize) -> Self {
        Self::new(elements.div_ceil(THREADS as usize).clamp(1, 1056) as u32, THREADS)
    }
}

/// Runs `kernel` of `kernels/MODULE.cu`. Nothing happens where there is no block.
///
/// # Errors
/// What the driver says; a device without these kernels.
pub(crate) fn launch(device: &Device, module: &str, kernel: &str, grid: Grid, arguments: &[Argument]) -> Result<()> {
    if grid.blocks.0 == 0 || grid.blocks.1 == 0 {
        return Ok(());
    }
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => driver::launch(device, module, kernel, grid, arguments),
        #[cfg(any(test, feature = "emulation"))]
        Device::Cpu => emulator::launch(kernel, grid, arguments),
        _ => bail!("kernel {module}/{kernel}: {device:?} does not run it ({} arguments, {grid:?})", arguments.len()),
    }
}

/// The address of a contiguous tensor's first element, for as long as the tensor lives.
pub(crate) fn address(t: &Tensor) -> Result<u64> {
    let (storage, layout) = t.storage_and_layout();
    let Some((start, _)) = layout.contiguous_offsets() else {
        bail!("a kernel needs contiguous tensors, not {layout:?}")
    };
    let base = match &*storage {
        #[cfg(feature = "cuda")]
        Storage::Cuda(storage) => driver::address(storage)?,
        Storage::Cpu(CpuStorage::F32(values)) => values.as_ptr() as u64,
        Storage::Cpu(CpuStorage::F64(values)) => values.as_ptr() as u64,
        Storage::Cpu(CpuStorage::BF16(values)) => values.as_ptr() as u64,
        Storage::Cpu(CpuStorage::F16(values)) => values.as_ptr() as u64,
        Storage::Cpu(CpuStorage::U32(values)) => values.as_ptr() as u64,
        _ => bail!("a kernel takes no {:?}", t.dtype()),
    };
    Ok(base + (start * t.dtype().size_in_bytes()) as u64)
}

/// The argument for a tensor.
pub(crate) fn at(t: &Tensor) -> Result<Argument> {
    address(t).map(Argument::Address)
}

/// The argument for a tensor that may be absent: null then.
pub(crate) fn at_or_null(t: Option<&Tensor>) -> Result<Argument> {
    t.map_or(Ok(Argument::Address(0)), at)
}

/// Memory that a kernel will fill.
pub(crate) fn empty(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Tensor> {
    // SAFETY: every caller hands it to a kernel that writes all of it.
    unsafe { Tensor::empty(shape, dtype, device) }
}

/// A table of 32-bit words on the device.
pub(crate) fn upload(words: Vec<u32>, device: &Device) -> Result<Tensor> {
    let count = words.len();
    Tensor::from_vec(words, count, device)
}

/// The kernel's name for rows of this type.
pub(crate) fn typed(kernel: &str, dtype: DType) -> Result<String> {
    match dtype {
        DType::F32 => Ok(format!("{kernel}_f32")),
        DType::BF16 => Ok(format!("{kernel}_bf16")),
        DType::F16 => Ok(format!("{kernel}_f16")),
        other => bail!("{kernel}: rows are f32, bf16 or f16, not {other:?}"),
    }
}

/// How kernels that give each row to a team of warps are launched (`team_of` in `kernels/device.cuh`).
pub(crate) struct Teams {
    /// Threads of a block.
    pub threads: u32,
    /// Teams of a block: rows that it has at once.
    pub count: u32,
}

impl Teams {
    pub fn new(width: usize) -> Result<Self> {
        let of_row = width.div_ceil(8 * WARP as usize) as u32 * WARP;
        if width == 0 || of_row > 1024 {
            bail!("rows of {width} columns, of which the CUDA kernels take 1 to 8192")
        }
        let count = (384 / of_row).max(1);
        Ok(Self { threads: count * of_row, count })
    }
}

/// How kernels that sum columns are launched (`kernels/strip.cuh`).
pub(crate) struct Strips {
    pub grid: Grid,
    /// Rows of a block.
    pub block_rows: u32,
    /// Blocks one below the other: rows of the partial sums.
    pub blocks: usize,
}

impl Strips {
    /// Enough blocks for a large chip, few enough that adding their sums costs little; a function of the sizes alone.
    pub fn new(rows: usize, width: usize) -> Self {
        let strips = width.div_ceil(8 * WARP as usize);
        let block_rows = rows.div_ceil(1024usize.div_ceil(strips.max(1))).next_multiple_of(8).max(32);
        let blocks = rows.div_ceil(block_rows);
        let grid = Grid { blocks: (strips as u32, blocks as u32), threads: THREADS, shared: 0 };
        Self { grid, block_rows: block_rows as u32, blocks }
    }
}

/// Each target [H] += scale * (sum over the blocks of its part), partial [blocks, targets, H], all in f32 and contiguous.
pub(crate) fn add_partials(partial: &Tensor, targets: [Option<&Tensor>; 3], scale: f32) -> Result<()> {
    let (blocks, parts, width) = partial.dims3()?;
    let [first, second, third] = targets;
    let grid = Grid { blocks: ((width as u32).div_ceil(WARP), parts as u32), threads: 16 * WARP, shared: 0 };
    let arguments = [
        at(partial)?,
        at_or_null(first)?,
        at_or_null(second)?,
        at_or_null(third)?,
        Argument::U32(width as u32),
        Argument::U32(blocks as u32),
        Argument::F32(scale),
    ];
    launch(partial.device(), "linear", "add_partials", grid, &arguments)
}

/// `target += scale * source`: target f32, source of any type the kernels have.
pub(crate) fn add_scaled(target: &Tensor, source: &Tensor, scale: f32) -> Result<()> {
    let (source, elements) = (source.contiguous()?, target.elem_count());
    let arguments = [at(target)?, at(&source)?, Argument::U64(elements as u64), Argument::F32(scale)];
    let kernel = typed("add_scaled", source.dtype())?;
    launch(target.device(), "linear", &kernel, Grid::striding(elements), &arguments)
}
