//! Products through cublasLt: with the bias added on the way out, sums in f32, onto what is there.
//!
//! A plan (descriptors and the algorithm that cublasLt's heuristic names first) is made once for each shape and kept, with one workspace
//! for all: they run one after the other on candle's stream. GELU is not left to cublasLt's epilogue: that has the tanh form only, and
//! the backward pass wants the sum before it anyway. Nothing here has run on a GPU yet.

use super::address;
use super::product::Factor;
use candle_core::cuda_backend::cudarc::cublaslt::result::{self, CublasError};
use candle_core::cuda_backend::cudarc::cublaslt::sys;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, DevicePtr};
use candle_core::cuda_backend::{CudaDevice, DeviceId, WrapErr, gemm_reduced_precision_f32};
use candle_core::{DType, Error, Result, Tensor, bail};
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, PoisonError};

/// What NVIDIA advises for its largest chips; smaller ones do not need as much.
const WORKSPACE: usize = 32 << 20;
/// Plans of unequal batches pile up: beyond so many all are made anew.
const MOST_PLANS: usize = 4096;

/// cublasLt's matrices are column-major, so it computes the transpose: its A is our b, its B our a, its m our n.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Shape {
    /// m, n and k, ours.
    sizes: [usize; 3],
    /// Whether a and b are turned.
    turned: [bool; 2],
    dtype: DType,
    result: DType,
    bias: bool,
    tf32: bool,
    /// Powers of two that divide the addresses of a, b and c: algorithms ask for up to 256.
    alignments: [u32; 3],
}

struct Plan {
    operation: Operation,
    /// Of cublasLt's A, B and C.
    matrices: [Layout; 3],
    algorithm: sys::cublasLtMatmulAlgo_t,
}

struct Blas {
    handle: sys::cublasLtHandle_t,
    workspace: CudaSlice<u8>,
    /// None: cublasLt has no algorithm for this shape.
    plans: HashMap<Shape, Option<Plan>>,
}

// SAFETY: handles of cublasLt belong to no thread, and the lock around them lets one thread at a time use them.
unsafe impl Send for Blas {}

/// One of each device, for the life of the program.
static OF_DEVICES: LazyLock<Mutex<HashMap<DeviceId, Blas>>> = LazyLock::new(Mutex::default);

/// c = alpha a b + beta c, plus a bias in every row; false where cublasLt cannot.
pub(super) fn product(
    device: &CudaDevice,
    c: &Tensor,
    sizes: [usize; 3],
    (a, b): (Factor, Factor),
    (alpha, beta): (f32, f32),
    bias: Option<&Tensor>,
) -> Result<bool> {
    if sizes.contains(&0) {
        return Ok(false);
    }
    let (a_address, b_address, c_address) = (address(a.matrix)?, address(b.matrix)?, address(c)?);
    let shape = Shape {
        sizes,
        turned: [a.turned, b.turned],
        dtype: a.matrix.dtype(),
        result: c.dtype(),
        bias: bias.is_some(),
        tf32: gemm_reduced_precision_f32(),
        alignments: [a_address, b_address, c_address].map(|address| 1 << address.trailing_zeros().min(8)),
    };
    let bias =
        bias.map(|bias| if bias.dtype() == c.dtype() { address(bias) } else { bail!("bias in {:?}", bias.dtype()) });
    let bias = bias.transpose()?;
    let stream = device.cuda_stream();
    stream.context().bind_to_thread().w()?;
    let mut devices = OF_DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
    let blas = match devices.entry(device.id()) {
        std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
        std::collections::hash_map::Entry::Vacant(entry) => entry.insert(Blas::new(device)?),
    };
    let handle = blas.handle;
    let Some(plan) = blas.plan(shape)? else { return Ok(false) };
    if let Some(bias) = bias {
        plan.operation.set(sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias)?;
    }
    let [of_a, of_b, of_c] = plan.matrices.each_ref().map(|layout| layout.0);
    let (operation, algorithm) = (plan.operation.0, plan.algorithm);
    let workspace = blas.workspace.device_ptr(&stream).0;
    // SAFETY: the matrices are contiguous and of the sizes in the plan, their tensors outlive the launch, and their memory is given
    // back in the order of the same stream. c may be both summand and result, since both have one layout.
    let launched = unsafe {
        result::matmul(
            handle,
            operation,
            (&raw const alpha).cast(),
            (&raw const beta).cast(),
            b_address as *const c_void,
            of_a,
            a_address as *const c_void,
            of_b,
            c_address as *const c_void,
            of_c,
            c_address as *mut c_void,
            of_c,
            &raw const algorithm,
            workspace as *mut c_void,
            WORKSPACE,
            stream.cu_stream().cast(),
        )
    };
    launched.map_err(|e| failed(&shape, e))?;
    Ok(true)
}

fn failed(shape: &Shape, error: CublasError) -> Error {
    Error::Msg(format!("cublasLt, product of {:?} in {:?}: {error}", shape.sizes, shape.dtype))
}

impl Blas {
    fn new(device: &CudaDevice) -> Result<Self> {
        let handle = result::create_handle().map_err(Error::wrap)?;
        // SAFETY: memory for cublasLt to write and read.
        let workspace = unsafe { device.alloc::<u8>(WORKSPACE)? };
        Ok(Self { handle, workspace, plans: HashMap::new() })
    }

    fn plan(&mut self, shape: Shape) -> Result<Option<&Plan>> {
        if self.plans.len() >= MOST_PLANS && !self.plans.contains_key(&shape) {
            self.plans.clear();
        }
        let handle = self.handle;
        match self.plans.entry(shape) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut().as_ref()),
            std::collections::hash_map::Entry::Vacant(entry) => Ok(entry.insert(Plan::new(handle, &shape)?).as_ref()),
        }
    }
}

fn type_of(dtype: DType) -> Result<sys::cudaDataType_t> {
    Ok(match dtype {
        DType::F32 => sys::cudaDataType_t::CUDA_R_32F,
        DType::BF16 => sys::cudaDataType_t::CUDA_R_16BF,
        DType::F16 => sys::cudaDataType_t::CUDA_R_16F,
        other => bail!("products are in f32, bf16 or f16, not {other:?}"),
    })
}

impl Plan {
    /// None where cublasLt has no algorithm.
    fn new(handle: sys::cublasLtHandle_t, shape: &Shape) -> Result<Option<Self>> {
        use sys::cublasLtMatmulDescAttributes_t as Attribute;
        use sys::cublasLtMatmulPreferenceAttributes_t as Wish;
        let ([m, n, k], [a_turned, b_turned]) = (shape.sizes, shape.turned);
        let (of_factors, of_result) = (type_of(shape.dtype)?, type_of(shape.result)?);
        let stored = |rows: usize, columns: usize, turned: bool| if turned { (columns, rows) } else { (rows, columns) };
        // Row-major [rows, columns] is column-major [columns, rows].
        let layout = |dtype, (rows, columns): (usize, usize)| Layout::new(dtype, columns, rows);
        let matrices = [
            layout(of_factors, stored(k, n, b_turned))?,
            layout(of_factors, stored(m, k, a_turned))?,
            layout(of_result, (m, n))?,
        ];
        let operation = Operation::new(shape.tf32 && shape.dtype == DType::F32)?;
        operation.set(Attribute::CUBLASLT_MATMUL_DESC_TRANSA, &i32::from(b_turned))?;
        operation.set(Attribute::CUBLASLT_MATMUL_DESC_TRANSB, &i32::from(a_turned))?;
        if shape.bias {
            operation
                .set(Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS)?;
        }
        let wishes = Wishes::new()?;
        wishes.set(Wish::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &WORKSPACE)?;
        // Parts of a sum meet in f32 and in a fixed order: the same bits on every run.
        let reduction = sys::cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE as u32;
        wishes.set(Wish::CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction)?;
        let [of_a, of_b, of_c] = shape.alignments;
        wishes.set(Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &of_b)?;
        wishes.set(Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &of_a)?;
        wishes.set(Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &of_c)?;
        wishes.set(Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &of_c)?;
        let [a, b, c] = matrices.each_ref().map(|layout| layout.0);
        // SAFETY: all of them were made above and live until the end of this function.
        let found = unsafe { result::get_matmul_algo_heuristic(handle, operation.0, a, b, c, c, wishes.0) };
        match found {
            Ok(found) => Ok(Some(Self { operation, matrices, algorithm: found.algo })),
            Err(CublasError(sys::cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED)) => Ok(None),
            Err(error) => Err(failed(shape, error)),
        }
    }
}

struct Layout(sys::cublasLtMatrixLayout_t);

impl Layout {
    fn new(dtype: sys::cudaDataType_t, rows: usize, columns: usize) -> Result<Self> {
        result::create_matrix_layout(dtype, rows as u64, columns as u64, rows as i64).map(Self).map_err(Error::wrap)
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        // SAFETY: made by `new` and given back once. An error would mean a handle that was never there.
        let _ = unsafe { result::destroy_matrix_layout(self.0) };
    }
}

struct Operation(sys::cublasLtMatmulDesc_t);

impl Operation {
    fn new(tf32: bool) -> Result<Self> {
        let compute = match tf32 {
            true => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
            false => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
        };
        result::create_matmul_desc(compute, sys::cudaDataType_t::CUDA_R_32F).map(Self).map_err(Error::wrap)
    }

    fn set<V>(&self, attribute: sys::cublasLtMatmulDescAttributes_t, value: &V) -> Result<()> {
        // SAFETY: cublasLt copies the value, whose type is the attribute's.
        let set = unsafe {
            result::set_matmul_desc_attribute(self.0, attribute, std::ptr::from_ref(value).cast(), size_of::<V>())
        };
        set.map_err(Error::wrap)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        // SAFETY: as for `Layout`.
        let _ = unsafe { result::destroy_matmul_desc(self.0) };
    }
}

/// What an algorithm has to be like.
struct Wishes(sys::cublasLtMatmulPreference_t);

impl Wishes {
    fn new() -> Result<Self> {
        result::create_matmul_pref().map(Self).map_err(Error::wrap)
    }

    fn set<V>(&self, attribute: sys::cublasLtMatmulPreferenceAttributes_t, value: &V) -> Result<()> {
        // SAFETY: as for `Operation`.
        let set = unsafe {
            result::set_matmul_pref_attribute(self.0, attribute, std::ptr::from_ref(value).cast(), size_of::<V>())
        };
        set.map_err(Error::wrap)
    }
}

impl Drop for Wishes {
    fn drop(&mut self) {
        // SAFETY: as for `Layout`.
        let _ = unsafe { result::destroy_matmul_pref(self.0) };
    }
}
