//! The vectors that packed products are computed with: AVX-512 and AVX2, behind one set of operations.
//!
//! Every method is `#[inline(always)]`: it becomes part of a function that was compiled for the instruction set ([`Lanes::run`]).

use std::arch::x86_64::*;

/// A vector of floats, and the sizes that suit the processors that have it.
///
/// # Safety
/// All methods but [`Lanes::are_there`] need a processor that has the instructions.
pub(in super::super) trait Lanes: Copy + 'static {
    /// Floats in a vector.
    const COUNT: usize;
    /// Rows of the register tile.
    const ROWS: usize;
    /// Vectors in a row of the register tile.
    const VECTORS: usize;
    /// Columns of the register tile.
    const COLUMNS: usize = Self::VECTORS * Self::COUNT;
    /// Longest packed piece along k: the output is read and written again for each piece.
    const DEPTH: usize;
    /// Rows of the left operand that a task packs at once: with [`Lanes::DEPTH`] a share of the second-level cache.
    const BLOCK: usize;
    /// Whether rows of the left operand that run along memory are read where they lie: with few rows to a tile, packing costs more.
    const DIRECT: bool;
    /// Inner and outer sizes of products below which packing costs more than it gains (measured, `docs/performance.md`).
    const WORTH_PACKING: usize;
    /// A row of the register tile.
    type Row: Copy + AsRef<[Self]> + AsMut<[Self]>;
    /// The register tile.
    type Sums: Copy + AsRef<[Self::Row]> + AsMut<[Self::Row]>;
    /// As many vectors as a vector has floats.
    type Square: Copy + AsRef<[Self]> + AsMut<[Self]>;

    /// Whether this processor has the instructions.
    fn are_there() -> bool;
    /// Runs `f`, which has to be `#[inline(always)]` with all that it calls, compiled for the instruction set.
    unsafe fn run<R>(f: impl FnOnce() -> R) -> R;
    unsafe fn zero() -> Self;
    unsafe fn zero_sums() -> Self::Sums;
    unsafe fn zero_square() -> Self::Square;
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn load_row(from: *const f32) -> Self::Row;
    /// The first `count` floats, zeros behind them; nothing beyond is touched.
    unsafe fn load_first(from: *const f32, count: usize) -> Self;
    /// Writes the first `count` floats and nothing beyond.
    unsafe fn store_first(self, to: *mut f32, count: usize);
    /// `self * by + onto`, rounded once.
    unsafe fn multiply_add(self, by: Self, onto: Self) -> Self;
    unsafe fn transpose(rows: Self::Square) -> Self::Square;
}

/// 16 floats.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(in super::super) struct Avx512(pub(super) __m512);

/// 8 floats.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(in super::super) struct Avx2(__m256);

/// The first `count` of 16 lanes.
fn mask16(count: usize) -> u16 {
    if count >= 16 { u16::MAX } else { (1 << count) - 1 }
}

// SAFETY of all methods: the caller's promise that the processor has the instructions; pointers are good for `count` floats.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Avx512 {
    const COUNT: usize = 16;
    // 28 of the 32 vector registers are sums.
    const ROWS: usize = 14;
    const VECTORS: usize = 2;
    // With the block a quarter of a second-level cache of 1 MiB; as much again is what comes next (`Ahead`).
    const DEPTH: usize = 768;
    const BLOCK: usize = 6 * Self::ROWS;
    const DIRECT: bool = false;
    const WORTH_PACKING: usize = 192;
    type Row = [Self; Self::VECTORS];
    type Sums = [Self::Row; Self::ROWS];
    type Square = [Self; Self::COUNT];

    fn are_there() -> bool {
        std::is_x86_feature_detected!("avx512f")
    }
    #[inline(always)]
    unsafe fn run<R>(f: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx512f")]
        #[inline(never)]
        fn compiled<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        unsafe { compiled(f) }
    }
    #[inline(always)]
    unsafe fn zero() -> Self {
        Self(unsafe { _mm512_setzero_ps() })
    }
    #[inline(always)]
    unsafe fn zero_sums() -> Self::Sums {
        [[unsafe { Self::zero() }; Self::VECTORS]; Self::ROWS]
    }
    #[inline(always)]
    unsafe fn zero_square() -> Self::Square {
        [unsafe { Self::zero() }; Self::COUNT]
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn load_row(from: *const f32) -> Self::Row {
        unsafe { [Self::load(from), Self::load(from.add(Self::COUNT))] }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        Self(unsafe { _mm512_maskz_loadu_ps(mask16(count), from) })
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        unsafe { _mm512_mask_storeu_ps(to, mask16(count), self.0) }
    }
    #[inline(always)]
    unsafe fn multiply_add(self, by: Self, onto: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, by.0, onto.0) })
    }
    /// Pairs, then fours, inside the quarters of the vectors, then the quarters.
    #[inline(always)]
    unsafe fn transpose(rows: Self::Square) -> Self::Square {
        unsafe {
            let mut pairs: [__m512; 16] = std::mem::transmute(rows); // `map` would be a call
            for i in (0..16).step_by(2) {
                pairs[i] = _mm512_unpacklo_ps(rows[i].0, rows[i + 1].0);
                pairs[i + 1] = _mm512_unpackhi_ps(rows[i].0, rows[i + 1].0);
            }
            // fours[4 g + c]: column c of each quarter, of the rows 4 g .. 4 g + 4.
            let mut fours = pairs;
            for g in (0..16).step_by(4) {
                let double = |i: usize| _mm512_castps_pd(pairs[g + i]);
                let single = |v: __m512d| _mm512_castpd_ps(v);
                fours[g] = single(_mm512_unpacklo_pd(double(0), double(2)));
                fours[g + 1] = single(_mm512_unpackhi_pd(double(0), double(2)));
                fours[g + 2] = single(_mm512_unpacklo_pd(double(1), double(3)));
                fours[g + 3] = single(_mm512_unpackhi_pd(double(1), double(3)));
            }
            // Columns c, 4 + c, 8 + c and 12 + c are quarters 0 to 3 of fours c, 4 + c, 8 + c and 12 + c.
            let mut columns = fours;
            for c in 0..4 {
                let (f0, f1, f2, f3) = (fours[c], fours[4 + c], fours[8 + c], fours[12 + c]);
                let even_low = _mm512_shuffle_f32x4::<0b10_00_10_00>(f0, f1);
                let odd_low = _mm512_shuffle_f32x4::<0b11_01_11_01>(f0, f1);
                let even_high = _mm512_shuffle_f32x4::<0b10_00_10_00>(f2, f3);
                let odd_high = _mm512_shuffle_f32x4::<0b11_01_11_01>(f2, f3);
                columns[c] = _mm512_shuffle_f32x4::<0b10_00_10_00>(even_low, even_high);
                columns[8 + c] = _mm512_shuffle_f32x4::<0b11_01_11_01>(even_low, even_high);
                columns[4 + c] = _mm512_shuffle_f32x4::<0b10_00_10_00>(odd_low, odd_high);
                columns[12 + c] = _mm512_shuffle_f32x4::<0b11_01_11_01>(odd_low, odd_high);
            }
            std::mem::transmute(columns)
        }
    }
}

/// A mask of the first `count` of 8 lanes.
///
/// # Safety
/// The processor has AVX2; `count` is at most 8.
#[inline(always)]
unsafe fn first_lanes(count: usize) -> __m256i {
    static ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: eight of the sixteen from 8 - count on.
    unsafe { _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(8 - count).cast()) }
}

#[allow(clippy::undocumented_unsafe_blocks)] // as for AVX-512
impl Lanes for Avx2 {
    const COUNT: usize = 8;
    // 12 of the 16 vector registers are sums.
    const ROWS: usize = 4;
    const VECTORS: usize = 3;
    const DEPTH: usize = 768;
    const BLOCK: usize = 12 * Self::ROWS;
    const DIRECT: bool = true;
    const WORTH_PACKING: usize = 192;
    type Row = [Self; Self::VECTORS];
    type Sums = [Self::Row; Self::ROWS];
    type Square = [Self; Self::COUNT];

    fn are_there() -> bool {
        std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma")
    }
    #[inline(always)]
    unsafe fn run<R>(f: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2,fma")]
        #[inline(never)]
        fn compiled<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        unsafe { compiled(f) }
    }
    #[inline(always)]
    unsafe fn zero() -> Self {
        Self(unsafe { _mm256_setzero_ps() })
    }
    #[inline(always)]
    unsafe fn zero_sums() -> Self::Sums {
        [[unsafe { Self::zero() }; Self::VECTORS]; Self::ROWS]
    }
    #[inline(always)]
    unsafe fn zero_square() -> Self::Square {
        [unsafe { Self::zero() }; Self::COUNT]
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { _mm256_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm256_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn load_row(from: *const f32) -> Self::Row {
        unsafe { [Self::load(from), Self::load(from.add(Self::COUNT)), Self::load(from.add(2 * Self::COUNT))] }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        unsafe {
            match count {
                8.. => Self::load(from),
                4 => Self(_mm256_zextps128_ps256(_mm_loadu_ps(from))),
                _ => Self(_mm256_maskload_ps(from, first_lanes(count))),
            }
        }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // A masked store takes dozens of instructions inside AMD's processors; four are the rows of a tile.
        unsafe {
            match count {
                8.. => _mm256_storeu_ps(to, self.0),
                4 => _mm_storeu_ps(to, _mm256_castps256_ps128(self.0)),
                _ => _mm256_maskstore_ps(to, first_lanes(count), self.0),
            }
        }
    }
    #[inline(always)]
    unsafe fn multiply_add(self, by: Self, onto: Self) -> Self {
        Self(unsafe { _mm256_fmadd_ps(self.0, by.0, onto.0) })
    }
    /// Pairs, then fours, inside the halves of the vectors, then the halves.
    #[inline(always)]
    unsafe fn transpose(rows: Self::Square) -> Self::Square {
        unsafe {
            let mut pairs: [__m256; 8] = std::mem::transmute(rows);
            for i in (0..8).step_by(2) {
                pairs[i] = _mm256_unpacklo_ps(rows[i].0, rows[i + 1].0);
                pairs[i + 1] = _mm256_unpackhi_ps(rows[i].0, rows[i + 1].0);
            }
            // fours[4 g + c]: column c of each half, of the rows 4 g .. 4 g + 4.
            let mut fours = pairs;
            for g in (0..8).step_by(4) {
                let double = |i: usize| _mm256_castps_pd(pairs[g + i]);
                let single = |v: __m256d| _mm256_castpd_ps(v);
                fours[g] = single(_mm256_unpacklo_pd(double(0), double(2)));
                fours[g + 1] = single(_mm256_unpackhi_pd(double(0), double(2)));
                fours[g + 2] = single(_mm256_unpacklo_pd(double(1), double(3)));
                fours[g + 3] = single(_mm256_unpackhi_pd(double(1), double(3)));
            }
            let mut columns = fours;
            for c in 0..4 {
                columns[c] = _mm256_permute2f128_ps::<0x20>(fours[c], fours[4 + c]);
                columns[4 + c] = _mm256_permute2f128_ps::<0x31>(fours[c], fours[4 + c]);
            }
            std::mem::transmute(columns)
        }
    }
}
