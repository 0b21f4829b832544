//! Products of f32 on AMX's tiles of bf16, as exact as f32 itself.
//!
//! A float is split into three bf16 of 8 bits each, x = x1 + x2 + x3 (Henry, Tang & Heinecke, "Leveraging the bfloat16 Artificial
//! Intelligence Datatype For Higher-Precision Computations", 2019). Of the nine products of two such sums the six largest are
//! multiplied, each exactly, and added in f32; those left out are below 2^-24 of the whole. AMX multiplies bf16 at 16 times the rate of
//! AVX-512 in f32, so six products still run at 2.7 times.
//!
//! What differs from f32: numbers below 2^-126 count as zero, and an infinite factor makes NaN of a sum that f32 would call infinite.

use super::pack::Lines;
use super::tile::{Left, Place, Right, Sums, Tile};
use super::{Ahead, Avx512, LINE, Matrix};
use blocks::Blocks;
use std::arch::asm;
use std::arch::x86_64::*;
use std::ops::Range;
use std::sync::OnceLock;
use system::{configure, processor_has_tiles, system_permits_tiles};

mod blocks;
mod system;

/// Lines of one of the processor's tiles.
const LINES: usize = 16;
/// Steps along k in one of the processor's tiles of bf16.
const STEPS: usize = 32;
/// Steps along k whose share of a right panel, 24 KiB, stays in the first-level cache.
const NEAR: usize = 4 * STEPS;
/// Lines of the next right panel that are fetched during 32 steps: all of it while this one meets 6 tiles.
const FETCHED: usize = 16;
/// bf16 to a float.
const PARTS: usize = 3;
/// Bytes of one of the processor's tiles.
const BYTES: usize = 1024;

/// Tiles of 32 x 32, four of the processor's. Packed are, for every 32 steps along k, the three parts of 2 x 16 lines.
pub(in super::super) struct Amx;

impl Tile for Amx {
    const ROWS: usize = 2 * LINES;
    const AT_ONCE: usize = Self::BLOCK;
    const COLUMNS: usize = 2 * LINES;
    const STEP: usize = STEPS;
    const DEPTH: usize = 768;
    // With the block 0.9 MiB packed, of the 2 MiB of second-level cache that a core with AMX has.
    const BLOCK: usize = 6 * Self::ROWS;
    const DIRECT: bool = false;
    const WORTH_PACKING: usize = 128;
    type Lanes = Avx512;

    fn are_there() -> bool {
        static ARE_THERE: OnceLock<bool> = OnceLock::new();
        *ARE_THERE.get_or_init(|| processor_has_tiles() && system_permits_tiles())
    }
    #[inline(always)]
    unsafe fn run<R>(f: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
        fn compiled<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        // SAFETY: the caller's promise.
        unsafe {
            configure();
            let result = compiled(f);
            asm!("tilerelease", options(nostack));
            result
        }
    }
    fn packed(lines: usize, steps: usize) -> usize {
        lines.next_multiple_of(Self::ROWS) * steps.next_multiple_of(STEPS) * PARTS * 2 / size_of::<f32>()
    }
    #[inline(always)]
    unsafe fn pack_columns(b: Matrix, first: usize, k: Range<usize>, target: &mut [f32]) {
        let lines = Lines::of_columns(b, first..(first + Self::COLUMNS).min(b.columns));
        // SAFETY: the caller's promise.
        unsafe { pack::<false>(lines, k, target) }
    }
    #[inline(always)]
    unsafe fn pack_rows(a: Matrix, rows: Range<usize>, k: Range<usize>, target: &mut [f32]) {
        let size = Self::packed(Self::ROWS, k.len()).max(1);
        for (first, target) in rows.clone().step_by(Self::ROWS).zip(target.chunks_mut(size)) {
            let lines = Lines::of_rows(a, first..(first + Self::ROWS).min(rows.end));
            // SAFETY: the caller's promise.
            unsafe { pack::<true>(lines, k.clone(), target) }
        }
    }
    #[inline(always)]
    unsafe fn multiply<const DIRECT: bool>(
        left: Left,
        right: Right,
        rows: usize,
        steps: usize,
        sums: &mut Sums,
        place: Place,
        _: &mut Ahead, // with more fetched there was no gain (`docs/performance.md`)
    ) {
        assert!(
            left.data.len() >= Self::packed(rows, steps)
                && right.data.len() >= Self::packed(Self::COLUMNS, steps)
                && rows <= Self::AT_ONCE
        );
        if steps == 0 {
            return sums.0.fill(0.0);
        }
        let mut fetched = 0;
        // A part of the right panel stays in the first-level cache, and all rows pass by.
        for k in (0..steps).step_by(NEAR) {
            let (blocks, start) = (NEAR.min(steps - k).div_ceil(STEPS), Self::packed(Self::COLUMNS, k));
            for row in (0..rows).step_by(Self::ROWS) {
                let sums = sums.0[row * Self::COLUMNS..].as_mut_ptr();
                // Fetched is the place of the sums while the last of them are made, before that nothing new.
                let (place, place_stride) = match k + NEAR < steps {
                    true => (sums.cast_const(), 0),
                    false => (place.first.wrapping_add(row * place.tile_stride), place.row_stride),
                };
                let tile = Blocks {
                    left: left.data[Self::packed(row, steps) + start..].as_ptr(),
                    right: right.data[start..].as_ptr(),
                    count: blocks,
                    anew: k == 0,
                    sums,
                    next: right.next.wrapping_add(fetched),
                    place,
                    place_stride,
                };
                // SAFETY: the operands are as long as was asserted, and the sums have room for all rows.
                unsafe { tile.multiply() }
                fetched += blocks * FETCHED * LINE;
            }
        }
    }
}

/// Packs up to 32 lines, zeros beyond them and up to a multiple of 32 steps: [32 steps, part, 2, 16, 16 pairs of bf16]. A pair are two
/// steps, 16 apart, of one line. The rows of a tile are either lines (`ROWS`, of the left operand) or pairs.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn pack<const ROWS: bool>(lines: Lines, k: Range<usize>, target: &mut [f32]) {
    const TILE: usize = BYTES / size_of::<f32>();
    assert!(target.len() >= Amx::packed(Amx::ROWS, k.len()));
    if k.is_empty() {
        return;
    }
    lines.assert_inside(k.end);
    for (start, target) in k.clone().step_by(STEPS).zip(target.chunks_exact_mut(PARTS * 2 * TILE)) {
        for half in 0..2 {
            // SAFETY: the lines lie in the data; a target is a row of a tile.
            unsafe {
                let first = lines.square::<Avx512, ROWS>(half * LINES, start..k.end);
                let second = lines.square::<Avx512, ROWS>(half * LINES, (start + LINES).min(k.end)..k.end);
                for row in 0..LINES {
                    for (part, &pairs) in split(first[row], second[row]).iter().enumerate() {
                        let target = target[(2 * part + half) * TILE + row * LINES..][..LINES].as_mut_ptr();
                        _mm512_storeu_si512(target.cast(), pairs);
                    }
                }
            }
        }
    }
}

/// The three bf16 of each float, a float of `first` with one of `second` to a pair.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn split(Avx512(mut first): Avx512, Avx512(mut second): Avx512) -> [__m512i; PARTS] {
    // SAFETY: the caller's promise.
    unsafe {
        let (low, high) = (_mm512_set1_epi32(0x0000_ffff), _mm512_set1_epi32(0xffff_0000_u32 as i32));
        // Word 2 p is word p, word 2 p + 1 is word 16 + p.
        let ordinal = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        let alternate = _mm512_or_si512(
            _mm512_and_si512(ordinal, low),
            _mm512_slli_epi32::<16>(_mm512_add_epi32(ordinal, _mm512_set1_epi32(16))),
        );
        let mut parts = [_mm512_setzero_si512(); PARTS];
        for part in &mut parts {
            let rounded: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(second, first));
            *part = _mm512_permutexvar_epi16(alternate, rounded);
            first = _mm512_sub_ps(first, _mm512_castsi512_ps(_mm512_slli_epi32::<16>(*part)));
            second = _mm512_sub_ps(second, _mm512_castsi512_ps(_mm512_and_si512(*part, high)));
        }
        parts
    }
}
