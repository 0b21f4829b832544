//! Matrix multiplication: the `gemm` crate that candle uses, with AVX-512 turned on.

use crate::timing::{Part, count_product, timed};

/// A strided view of a matrix: rows x columns, element (r, c) at `r * row_stride + c * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// `columns` columns of a row-major matrix whose rows lie `row_stride` apart.
    pub(crate) fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(rows == 0 || data.len() >= (rows - 1) * row_stride + columns, "matrix view out of bounds");
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// The transpose, without moving anything.
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// `out = keep * out + scale * a b`, with all threads. `out` is row-major and full: a.rows x b.columns.
///
/// `keep` is 0 or 1: whether the product is added to what is there.
pub(crate) fn gemm(out: &mut [f32], keep: bool, scale: f32, a: Matrix, b: Matrix) {
    assert_eq!(out.len(), a.rows * b.columns, "output of the product has another size");
    let threads = rayon::current_num_threads();
    let parallelism = if threads > 1 { gemm::Parallelism::Rayon(threads) } else { gemm::Parallelism::None };
    timed(Part::Gemm, || {
        // SAFETY: `out` holds a.rows x b.columns elements, row stride b.columns.
        unsafe { multiply(out.as_mut_ptr(), b.columns, keep, scale, a, b, parallelism) }
    })
}

/// As [`gemm`] for use inside a task, writing to rows `row_stride` apart.
///
/// # Safety
/// The a.rows x b.columns elements at `out`, with rows `row_stride` apart, belong to the caller alone.
pub(crate) unsafe fn gemm_on_this_thread(
    out: *mut f32,
    row_stride: usize,
    keep: bool,
    scale: f32,
    a: Matrix,
    b: Matrix,
) {
    // SAFETY: the caller's promise.
    unsafe { multiply(out, row_stride, keep, scale, a, b, gemm::Parallelism::None) }
}

unsafe fn multiply(
    out: *mut f32,
    row_stride: usize,
    keep: bool,
    scale: f32,
    a: Matrix,
    b: Matrix,
    parallelism: gemm::Parallelism,
) {
    assert_eq!(a.columns, b.rows, "inner dimensions of the product differ");
    count_product(a.rows, a.columns, b.columns);
    // SAFETY: the views were checked when they were made, the output by the callers.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out,
            1,
            row_stride as isize,
            keep,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1f32,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_hand(a: Matrix, b: Matrix) -> Vec<f32> {
        let at = |m: &Matrix, r: usize, c: usize| m.data[r * m.row_stride + c * m.column_stride];
        (0..a.rows)
            .flat_map(|r| (0..b.columns).map(move |c| (r, c)))
            .map(|(r, c)| (0..a.columns).map(|k| at(&a, r, k) * at(&b, k, c)).sum())
            .collect()
    }

    #[test]
    fn products_of_views_and_transposes() {
        let x: Vec<f32> = (0..35).map(|i| i as f32 * 0.5 - 3.0).collect();
        let w: Vec<f32> = (0..21).map(|i| (i * i % 13) as f32).collect();
        let cases = [
            (Matrix::new(&x, 5, 7), Matrix::new(&w, 3, 7).t()),
            (Matrix::new(&x, 5, 7).t(), Matrix::new(&w, 5, 4)),
            (Matrix::strided(&x[2..], 5, 3, 7), Matrix::new(&w, 3, 7)),
        ];
        for (a, b) in cases {
            let expected = by_hand(a, b);
            let mut out = vec![1.0; expected.len()];
            gemm(&mut out, true, 2.0, a, b);
            assert!(out.iter().zip(&expected).all(|(o, e)| (o - (2.0 * e + 1.0)).abs() < 1e-4), "{out:?} {expected:?}");
        }
    }
}
