//! Products of f32 on AMX's tiles of bf16, as exact as f32 itself.
//!
//! A float is split into three bf16 of 8 bits each, x = x1 + x2 + x3 (Henry, Tang & Heinecke, "Leveraging the bfloat16 Artificial
//! Intelligence Datatype For Higher-Precision Computations", 2019). Of the nine products of two such sums the six largest are
//! multiplied, each exactly, and added in f32; those left out are below 2^-24 of the whole. AMX multiplies bf16 at 16 times the rate of
//! AVX-512 in f32, so six products still run at 2.7 times.
//!
//! What differs from f32: numbers below 2^-126 count as zero, and an infinite factor makes NaN of a sum that f32 would call infinite.

use super::pack::Lines;
use super::tile::{Left, Right, Sums, Tile};
use super::{Ahead, Avx512, LINE, Matrix};
use std::arch::asm;
use std::arch::x86_64::*;
use std::ops::Range;
use std::sync::OnceLock;

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
    // 0.9 of the 2 MiB of second-level cache that a core with AMX has.
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
            asm!("tilerelease", options(nostack, nomem));
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
                let next = right.next.wrapping_add(fetched);
                fetched += blocks * FETCHED * LINE;
                let (left, data) =
                    (left.data[Self::packed(row, steps) + start..].as_ptr(), right.data[start..].as_ptr());
                let sums = sums.0[row * Self::COLUMNS..].as_mut_ptr();
                // SAFETY: the operands are as long as was asserted, and the sums have room for all rows.
                unsafe { multiply(left, data, blocks, k == 0, sums, next) }
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

/// All 32 x 32 sums over `blocks` blocks of 32 steps, from zero (`anew`) or from what they were.
///
/// # Safety
/// The tiles are configured; both operands are `blocks` blocks of three parts of two tiles; `sums` has 32 x 32 floats.
#[inline(always)]
unsafe fn multiply(left: *const f32, right: *const f32, blocks: usize, anew: bool, sums: *mut f32, next: *const f32) {
    // Of the parts 1, 2, 3 of left and right: 1 x 3, 1 x 2, 2 x 2, 2 x 1, 3 x 1, 1 x 1, so that only one operand changes each time.
    // SAFETY: the caller's promise; no tile is used beyond the end.
    unsafe {
        asm!(
            "test {anew:e}, {anew:e}",
            "jz 3f",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "jmp 2f",
            "3:",
            "tileloadd tmm0, [{sums} + {row}]",
            "tileloadd tmm1, [{sums} + {row} + 64]",
            "tileloadd tmm2, [{sums} + {row} + 2048]",
            "tileloadd tmm3, [{sums} + {row} + 2112]",
            "2:",
            "tileloadd tmm4, [{left} + {line}]",
            "tileloadd tmm5, [{left} + {line} + 1024]",
            "tileloadd tmm6, [{right} + {line} + 4096]",
            "tileloadd tmm7, [{right} + {line} + 5120]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "prefetcht1 [{next} + 0]",
            "prefetcht1 [{next} + 64]",
            "tileloadd tmm6, [{right} + {line} + 2048]",
            "tileloadd tmm7, [{right} + {line} + 3072]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "prefetcht1 [{next} + 128]",
            "prefetcht1 [{next} + 192]",
            "prefetcht1 [{next} + 256]",
            "tileloadd tmm4, [{left} + {line} + 2048]",
            "tileloadd tmm5, [{left} + {line} + 3072]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "prefetcht1 [{next} + 320]",
            "prefetcht1 [{next} + 384]",
            "prefetcht1 [{next} + 448]",
            "tileloadd tmm6, [{right} + {line}]",
            "tileloadd tmm7, [{right} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "prefetcht1 [{next} + 512]",
            "prefetcht1 [{next} + 576]",
            "tileloadd tmm4, [{left} + {line} + 4096]",
            "tileloadd tmm5, [{left} + {line} + 5120]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "prefetcht1 [{next} + 640]",
            "prefetcht1 [{next} + 704]",
            "prefetcht1 [{next} + 768]",
            "tileloadd tmm4, [{left} + {line}]",
            "tileloadd tmm5, [{left} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "prefetcht1 [{next} + 832]",
            "prefetcht1 [{next} + 896]",
            "prefetcht1 [{next} + 960]",
            "add {left}, 6144",
            "add {right}, 6144",
            "add {next}, 1024",
            "dec {blocks}",
            "jnz 2b",
            "tilestored [{sums} + {row}], tmm0",
            "tilestored [{sums} + {row} + 64], tmm1",
            "tilestored [{sums} + {row} + 2048], tmm2",
            "tilestored [{sums} + {row} + 2112], tmm3",
            left = inout(reg) left => _,
            right = inout(reg) right => _,
            next = inout(reg) next => _,
            blocks = inout(reg) blocks => _,
            anew = in(reg) u32::from(anew),
            sums = in(reg) sums,
            line = in(reg) 64usize,
            row = in(reg) 128usize,
            out("tmm0") _,
            out("tmm1") _,
            out("tmm2") _,
            out("tmm3") _,
            out("tmm4") _,
            out("tmm5") _,
            out("tmm6") _,
            out("tmm7") _,
            options(nostack),
        )
    }
}

/// Gives this thread tiles of 16 rows of 64 bytes.
///
/// # Safety
/// The processor has the instructions, and the system permits them.
#[inline(always)]
unsafe fn configure() {
    /// As the processor reads it.
    #[repr(C, align(64))]
    struct Configuration {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        bytes_of_a_row: [u16; 16],
        rows: [u8; 16],
    }
    static CONFIGURATION: Configuration = {
        let (mut bytes_of_a_row, mut rows) = ([0; 16], [0; 16]);
        let mut tile = 0;
        while tile < 8 {
            bytes_of_a_row[tile] = 64;
            rows[tile] = LINES as u8;
            tile += 1;
        }
        Configuration { palette: 1, start_row: 0, reserved: [0; 14], bytes_of_a_row, rows }
    };
    // SAFETY: the caller's promise.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &CONFIGURATION, options(nostack, readonly)) }
}

/// Whether the processor has AMX for bf16, and the conversions that packing needs.
fn processor_has_tiles() -> bool {
    let vectors = std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512bf16");
    // Leaf 7: bit 22 is AMX-BF16, bit 24 AMX-TILE.
    vectors && __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & (1 << 22 | 1 << 24) == (1 << 22 | 1 << 24)
}

/// Asks the system for the tiles: a process has them only when it asks, since they make its threads' contexts larger.
#[cfg(target_os = "linux")]
fn system_permits_tiles() -> bool {
    const REQUEST: libc::c_int = 0x1023; // ARCH_REQ_XCOMP_PERM of asm/prctl.h
    const TILE_DATA: libc::c_ulong = 18;
    // SAFETY: a request that reads and writes no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn system_permits_tiles() -> bool {
    false
}
