//! What the multi-threaded CPU forms share: vector dispatch, sums in a fixed order, matrix multiplication.

mod gemm;
pub(crate) mod math;

pub use gemm::LargeProduct;
pub(crate) use gemm::{Matrix, Start, gemm, gemm_on_this_thread};

/// Elements that one task of an element-wise loop handles. Fixed, so that no result depends on the threads.
pub(crate) const CHUNK: usize = 1 << 14;

/// Rows that one task of a row-wise loop handles.
pub(crate) const ROWS: usize = 16;

/// Runs `f` compiled for the widest vectors this processor has (AVX-512, AVX2, or the baseline).
///
/// `f` and what it calls must be `#[inline(always)]`, otherwise they stay compiled for the baseline.
#[inline(always)]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    struct Call<F>(F);
    impl<R, F: FnOnce() -> R> pulp::WithSimd for Call<F> {
        type Output = R;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> R {
            (self.0)()
        }
    }
    pulp::Arch::new().dispatch(Call(f))
}

/// A pointer that tasks write disjoint parts of one buffer through.
#[derive(Clone, Copy)]
pub(crate) struct Shared(*mut f32);

// SAFETY: each task that holds a copy writes elements that no other task reads or writes; every use says why.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) fn new(buffer: &mut [f32]) -> Self {
        Self::from_pointer(buffer.as_mut_ptr())
    }

    pub(crate) fn from_pointer(buffer: *mut f32) -> Self {
        Self(buffer)
    }

    /// # Safety
    /// `offset` lies in the buffer.
    pub(crate) unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}
