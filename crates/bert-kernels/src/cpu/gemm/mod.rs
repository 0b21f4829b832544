//! Matrix multiplication: packed tiles of our own where the processor has AVX-512 or AVX2 and the product is large enough to pay for
//! the packing, otherwise the `gemm` crate that candle uses; with the feature `mkl` Intel's library for everything.

#[cfg(feature = "mkl")]
mod mkl;
#[cfg(target_arch = "x86_64")]
mod packed;

use crate::timing::{Part, count_product, timed};
use std::time::Instant;

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

/// What a product is added to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// Nothing: what is in the output is overwritten, and may be uninitialised.
    Zero,
    /// What is in the output.
    Keep,
    /// This row, in every row of the output.
    Row(&'a [f32]),
}

/// `out = start + scale * a b`, with all threads. `out` is row-major and full: a.rows x b.columns.
pub(crate) fn gemm(out: &mut [f32], start: Start, scale: f32, a: Matrix, b: Matrix) {
    assert_eq!(out.len(), a.rows * b.columns, "output of the product has another size");
    let threads = rayon::current_num_threads();
    timed(Part::Gemm, || {
        // SAFETY: `out` holds a.rows x b.columns elements, row stride b.columns.
        unsafe { multiply(out.as_mut_ptr(), b.columns, start, scale, a, b, threads) }
    })
}

/// As [`gemm`] for use inside a task, writing to rows `row_stride` apart.
///
/// # Safety
/// The a.rows x b.columns elements at `out`, with rows `row_stride` apart, belong to the caller alone.
pub(crate) unsafe fn gemm_on_this_thread(
    out: *mut f32,
    row_stride: usize,
    start: Start,
    scale: f32,
    a: Matrix,
    b: Matrix,
) {
    // SAFETY: the caller's promise.
    unsafe { multiply(out, row_stride, start, scale, a, b, 1) }
}

/// `out = start + scale * a b`: the output, the distance of its rows, the start, the scale, both operands, the threads.
type Multiply = unsafe fn(*mut f32, usize, Start, f32, Matrix, Matrix, usize);

unsafe fn multiply(out: *mut f32, row_stride: usize, start: Start, scale: f32, a: Matrix, b: Matrix, threads: usize) {
    assert_eq!(a.columns, b.rows, "inner dimensions of the product differ");
    if let Start::Row(row) = start {
        assert_eq!(row.len(), b.columns, "the row to start from has another length");
    }
    count_product(a.rows, a.columns, b.columns);
    #[cfg(feature = "mkl")]
    if a.columns > 0 {
        // SAFETY: the output is the caller's promise.
        return unsafe { mkl::multiply(out, row_stride, start, scale, a, b, threads) };
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(packed) = packed::of_this_processor(a.columns.min(b.columns)) {
        // SAFETY: the processor has its vectors; the output is the caller's promise.
        return unsafe { packed(out, row_stride, start, scale, a, b, threads) };
    }
    // SAFETY: the output is the caller's promise.
    unsafe { general(out, row_stride, start, scale, a, b, threads) }
}

/// FLOP/s of one product of two large square matrices with all threads.
pub struct LargeProduct {
    /// By the fastest way there is now.
    pub fastest: f64,
    /// By the fastest way that multiplies and adds in f32, as any library does; AMX does not.
    pub multiply_adds: f64,
}

impl LargeProduct {
    /// Multiplies once each way. These are not among the products that [`timing`](crate::timing) counts.
    pub fn measure() -> Self {
        const SIZE: usize = 1536;
        // As varied as weights: processors clock higher on numbers that are alike.
        let factor: Vec<f32> = (0..SIZE * SIZE).map(|i| (i as u32).wrapping_mul(2_654_435_769) as i32 as f32).collect();
        let mut out = vec![0f32; SIZE * SIZE];
        let matrix = Matrix::new(&factor, SIZE, SIZE);
        let mut rate = |multiply: Multiply| {
            let start = Instant::now();
            // SAFETY: the output is a full matrix that nobody else has.
            unsafe { multiply(out.as_mut_ptr(), SIZE, Start::Zero, 1.0, matrix, matrix, rayon::current_num_threads()) };
            2.0 * (SIZE as f64).powi(3) / start.elapsed().as_secs_f64()
        };
        let mut multiply_adds = rate(general);
        #[cfg(feature = "mkl")]
        {
            multiply_adds = multiply_adds.max(rate(mkl::multiply));
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(tiles) = packed::of_vectors(SIZE) {
            multiply_adds = multiply_adds.max(rate(tiles));
        }
        let mut fastest = multiply_adds;
        #[cfg(target_arch = "x86_64")]
        if let Some(tiles) = packed::of_amx(SIZE) {
            fastest = fastest.max(rate(tiles));
        }
        Self { fastest, multiply_adds }
    }
}

/// The `gemm` crate, for every processor.
unsafe fn general(out: *mut f32, row_stride: usize, start: Start, scale: f32, a: Matrix, b: Matrix, threads: usize) {
    if let Start::Row(row) = start {
        // SAFETY: the output is the callers' promise.
        unsafe { fill_rows(out, row_stride, a.rows, row) }
    }
    let parallelism = if threads > 1 { gemm::Parallelism::Rayon(threads) } else { gemm::Parallelism::None };
    // SAFETY: the views were checked when they were made, the output by the callers.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out,
            1,
            row_stride as isize,
            !matches!(start, Start::Zero),
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

/// Writes the row that a product starts from into every row of the output.
///
/// # Safety
/// `rows` rows of the row's length at `out`, `row_stride` apart, belong to the caller.
unsafe fn fill_rows(out: *mut f32, row_stride: usize, rows: usize, row: &[f32]) {
    for r in 0..rows {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), out.add(r * row_stride), row.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "x86_64")]
    use packed::{Amx, Avx2, Avx512, Fma, Output, Portable, Product, Tall, Tile};

    /// In f64, element by element.
    fn by_hand(before: &[f32], start: Start, scale: f32, a: Matrix, b: Matrix) -> Vec<f64> {
        let at = |m: &Matrix, r: usize, c: usize| f64::from(m.data[r * m.row_stride + c * m.column_stride]);
        let element = |r: usize, c: usize| {
            let product: f64 = (0..a.columns).map(|k| at(&a, r, k) * at(&b, k, c)).sum();
            let start = match start {
                Start::Zero => 0.0,
                Start::Keep => before[r * b.columns + c],
                Start::Row(row) => row[c],
            };
            f64::from(start) + f64::from(scale) * product
        };
        (0..a.rows).flat_map(|r| (0..b.columns).map(move |c| (r, c))).map(|(r, c)| element(r, c)).collect()
    }

    fn values(n: usize, salt: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 37 + salt * 11) % 101) as f32 * 0.02 - 1.0).collect()
    }

    /// Every layout of the operands, at sizes around those of the tiles, blocks, pieces and slabs.
    fn check(multiply: Multiply) {
        let sizes = [
            (1, 1, 1),
            (14, 32, 768),
            (5, 7, 3),
            (15, 33, 17),
            (29, 65, 800),
            (340, 70, 31),
            (3, 700, 5),
            (2, 3, 0),
            (1, 3000, 768),
            (1, 2000, 2000),
        ];
        for (rows, columns, depth) in sizes {
            let (x, y, row) = (values(rows * (depth + 3), 1), values(depth * (columns + 3), 2), values(columns, 3));
            let left = [
                Matrix::new(&x, rows, depth),
                Matrix::new(&x, depth, rows).t(),
                Matrix::strided(&x, rows, depth, depth + 3),
            ];
            let right = [
                Matrix::new(&y, depth, columns),
                Matrix::new(&y, columns, depth).t(),
                Matrix::strided(&y, depth, columns, columns + 3),
            ];
            for (a, b) in left.into_iter().flat_map(|a| right.map(|b| (a, b))) {
                for start in [Start::Zero, Start::Keep, Start::Row(&row)] {
                    let before = values(rows * columns, 4);
                    let expected = by_hand(&before, start, 0.5, a, b);
                    for threads in [1, 2, 5] {
                        let mut out = before.clone();
                        // SAFETY: the output is rows x columns and not shared.
                        unsafe { multiply(out.as_mut_ptr(), columns, start, 0.5, a, b, threads) };
                        for (i, (found, expected)) in out.iter().zip(&expected).enumerate() {
                            let error = (f64::from(*found) - expected).abs();
                            assert!(
                                error < 2e-5 * (1.0 + expected.abs()),
                                "{rows} x {columns} x {depth}, {i}: {found}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_crate_multiplies() {
        check(general);
    }

    #[test]
    #[cfg(feature = "mkl")]
    fn the_library_multiplies() {
        check(|out, row_stride, start, scale, a, b, threads| {
            if a.columns > 0 {
                // SAFETY: the output is the caller's promise.
                unsafe { mkl::multiply(out, row_stride, start, scale, a, b, threads) }
            } else {
                // SAFETY: as above.
                unsafe { general(out, row_stride, start, scale, a, b, threads) }
            }
        });
    }

    #[cfg(target_arch = "x86_64")]
    fn product(out: *mut f32, row_stride: usize, start: Start, scale: f32, threads: usize, swapped: bool) -> Product {
        let output = Output { out: crate::cpu::Shared::from_pointer(out), row_stride, start, scale, swapped };
        Product { output, threads }
    }

    #[cfg(target_arch = "x86_64")]
    fn check_packed<T: Tile>(name: &str) {
        if !T::are_there() {
            return eprintln!("skipped: this processor has no {name}");
        }
        check(|out, row_stride, start, scale, a, b, threads| {
            // SAFETY: the vectors are there, and the output is the caller's promise.
            unsafe { product(out, row_stride, start, scale, threads, false).compute::<T>(a, b) }
        });
        check(|out, row_stride, start, scale, a, b, threads| {
            // SAFETY: as above.
            unsafe { product(out, row_stride, start, scale, threads, true).compute::<T>(b.t(), a.t()) }
        });
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn packed_tiles_multiply() {
        check_packed::<Amx>("AMX");
        check_packed::<Fma<Avx512>>("AVX-512");
        check_packed::<Fma<Avx2>>("AVX2");
        check_packed::<Fma<Portable>>("arrays");
        check_packed::<Tall>("loops");
    }

    /// Six products of bf16 instead of one of f32 lose nothing: factors over eleven orders of magnitude, sums of 1,000 of them.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn amx_is_as_exact_as_f32() {
        if !Amx::are_there() || !Fma::<Avx512>::are_there() {
            return eprintln!("skipped: this processor has no AMX");
        }
        let (rows, columns, depth) = (70, 50, 1000);
        let mut state = 1u64;
        let mut random = |n: usize| -> Vec<f32> {
            let mut next = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            };
            (0..n).map(|_| next() * (4.0 * next()).exp()).collect()
        };
        let (x, y) = (random(rows * depth), random(depth * columns));
        let (a, b) = (Matrix::new(&x, rows, depth), Matrix::new(&y, depth, columns));
        let expected = by_hand(&[], Start::Zero, 1.0, a, b);
        let error = |multiply: Multiply| {
            let mut out = vec![0f32; rows * columns];
            // SAFETY: a full matrix that nobody else has.
            unsafe { multiply(out.as_mut_ptr(), columns, Start::Zero, 1.0, a, b, 2) };
            let squares = out.iter().zip(&expected).map(|(f, e)| (f64::from(*f) - e).powi(2));
            (squares.sum::<f64>() / expected.iter().map(|e| e * e).sum::<f64>()).sqrt()
        };
        let (amx, fma) = (error(packed::multiply::<Amx>), error(packed::multiply::<Fma<Avx512>>));
        assert!(amx < 1e-6 && amx <= fma, "relative error {amx:e} with AMX, {fma:e} with multiply-adds");
    }

    /// A float is the sum of its three parts to the last bit, whatever its size: one times it is itself.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn amx_splits_without_loss() {
        if !Amx::are_there() {
            return eprintln!("skipped: this processor has no AMX");
        }
        let bits = |i: u32| (i % 2) << 31 | (24 + i % 230) << 23 | (i.wrapping_mul(2_654_435_769) >> 9);
        let x: Vec<f32> = (0..230 * 64).map(|i| f32::from_bits(bits(i))).collect();
        let identity: Vec<f32> = (0..64 * 64).map(|i| f32::from(i / 64 == i % 64)).collect();
        let mut out = vec![0f32; x.len()];
        // SAFETY: a full matrix that nobody else has.
        unsafe {
            let (x, identity) = (Matrix::new(&x, 230, 64), Matrix::new(&identity, 64, 64));
            packed::multiply::<Amx>(out.as_mut_ptr(), 64, Start::Zero, 1.0, x, identity, 1);
        }
        assert!(out.iter().zip(&x).all(|(out, x)| out.to_bits() == x.to_bits()));
    }

    /// Rows that lie apart: what is between them is not touched, and neither is what follows the last.
    #[test]
    fn gaps_between_rows_stay() {
        let (x, y) = (values(15 * 4, 1), values(4 * 33, 2));
        let (a, b) = (Matrix::new(&x, 15, 4), Matrix::new(&y, 4, 33));
        let mut ways: Vec<Multiply> = vec![general];
        #[cfg(target_arch = "x86_64")]
        {
            ways.extend(Amx::are_there().then_some(packed::multiply::<Amx> as Multiply));
            ways.extend(Fma::<Avx512>::are_there().then_some(packed::multiply::<Fma<Avx512>> as Multiply));
            ways.extend(Fma::<Avx2>::are_there().then_some(packed::multiply::<Fma<Avx2>> as Multiply));
        }
        for multiply in ways {
            let mut out = vec![7.0f32; 15 * 40];
            // SAFETY: rows of 33 elements, 40 apart, in a buffer of 15 times 40.
            unsafe { multiply(out.as_mut_ptr(), 40, Start::Zero, 1.0, a, b, 1) };
            let expected = by_hand(&[], Start::Zero, 1.0, a, b);
            for (row, expected) in out.chunks(40).zip(expected.chunks(33)) {
                assert!(row.iter().zip(expected).all(|(f, e)| (f64::from(*f) - e).abs() < 1e-5));
                assert!(row[33..].iter().all(|&v| v == 7.0));
            }
        }
    }
}
