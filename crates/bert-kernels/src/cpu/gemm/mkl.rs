//! Matrix multiplication by Intel's Math Kernel Library (feature `mkl`).

use super::{Matrix, Start};
use std::ffi::c_int;

const ROW_MAJOR: c_int = 101;
const AS_IT_IS: c_int = 111;
const TRANSPOSED: c_int = 112;

unsafe extern "C" {
    fn cblas_sgemm(
        layout: c_int,
        transpose_a: c_int,
        transpose_b: c_int,
        m: c_int,
        n: c_int,
        k: c_int,
        alpha: f32,
        a: *const f32,
        lda: c_int,
        b: *const f32,
        ldb: c_int,
        beta: f32,
        c: *mut f32,
        ldc: c_int,
    );
    /// Threads of the products that this thread calls.
    #[link_name = "MKL_Set_Num_Threads_Local"]
    fn set_threads(count: c_int) -> c_int;
}

/// `out = start + scale * a b` with `threads` of the library's threads.
///
/// # Safety
/// The a.rows x b.columns elements at `out`, rows `row_stride` apart, belong to the caller.
pub(super) unsafe fn multiply(
    out: *mut f32,
    row_stride: usize,
    start: Start,
    scale: f32,
    a: Matrix,
    b: Matrix,
    threads: usize,
) {
    if let Start::Row(row) = start {
        // SAFETY: the caller's promise.
        unsafe { super::fill_rows(out, row_stride, a.rows, row) }
    }
    let beta = if matches!(start, Start::Zero) { 0.0 } else { 1.0 };
    let (transpose_a, lda) = layout(&a);
    let (transpose_b, ldb) = layout(&b);
    let [m, n, k, threads, ldc] = [a.rows, b.columns, a.columns, threads, row_stride].map(|n| n as c_int);
    // SAFETY: the views were checked when they were made, the output by the caller.
    unsafe {
        set_threads(threads);
        let (x, y) = (a.data.as_ptr(), b.data.as_ptr());
        cblas_sgemm(ROW_MAJOR, transpose_a, transpose_b, m, n, k, scale, x, lda, y, ldb, beta, out, ldc);
    }
}

/// Every view is a row-major matrix or the transpose of one: which of them, and how far its rows lie apart.
fn layout(matrix: &Matrix) -> (c_int, c_int) {
    if matrix.column_stride == 1 && (matrix.row_stride != 1 || matrix.columns == 1) {
        (AS_IT_IS, matrix.row_stride.max(matrix.columns).max(1) as c_int)
    } else {
        (TRANSPOSED, matrix.column_stride.max(matrix.rows).max(1) as c_int)
    }
}
