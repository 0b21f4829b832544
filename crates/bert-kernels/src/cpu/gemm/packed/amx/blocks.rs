//! The inner loop: 32 x 32 sums in four of the processor's eight tiles.

use super::FETCHED;
use std::arch::asm;

/// 32 x 32 sums over some blocks of 32 steps.
pub(super) struct Blocks {
    /// Three parts of two tiles for each block.
    pub left: *const f32,
    pub right: *const f32,
    pub count: usize,
    /// Whether the sums begin at zero; otherwise they go on from what they were.
    pub anew: bool,
    pub sums: *mut f32,
    /// Fetched meanwhile, [`FETCHED`] lines a block.
    pub next: *const f32,
    /// Fetched for writing meanwhile: 32 floats at 8 places a block, `place_stride` floats apart.
    pub place: *const f32,
    pub place_stride: usize,
}

const _: () = assert!(FETCHED == 16, "as many as the lines below");

/// Loads the two tiles of a part, 0 to 2, of an operand.
macro_rules! load {
    (left $part:literal) => {
        concat!(load!(@ "tmm4", "left", "0", $part), "\n", load!(@ "tmm5", "left", "1024", $part))
    };
    (right $part:literal) => {
        concat!(load!(@ "tmm6", "right", "0", $part), "\n", load!(@ "tmm7", "right", "1024", $part))
    };
    (@ $tile:literal, $from:literal, $tile_offset:literal, $part:literal) => {
        concat!("tileloadd ", $tile, ", [{", $from, "} + {line} + 2048*", $part, " + ", $tile_offset, "]")
    };
}

/// Adds the products of the parts that are loaded.
macro_rules! multiply {
    () => {
        "tdpbf16ps tmm0, tmm4, tmm6\ntdpbf16ps tmm1, tmm4, tmm7\ntdpbf16ps tmm2, tmm5, tmm6\ntdpbf16ps tmm3, tmm5, tmm7"
    };
}

/// Fetches a line of what comes next.
macro_rules! next {
    ($($line:literal)*) => { concat!($("prefetcht1 [{next} + 64*", $line, "]\n",)*) };
}

/// Fetches 32 floats, two lines or a little of a third, of the place of the sums.
macro_rules! place {
    () => {
        "prefetchw [{place}]\nprefetchw [{place} + 124]\nlea {place}, [{place} + 4*{place_stride}]"
    };
}

impl Blocks {
    /// # Safety
    /// The tiles are configured; the operands have `count` blocks, at least one, and `sums` 32 x 32 floats.
    #[inline(always)]
    pub(super) unsafe fn multiply(self) {
        // SAFETY: the caller's promise; no tile is used beyond the end, and fetching ahead may point anywhere.
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
                // The six products in an order in which each needs only one new part.
                "2:",
                load!(left 0),
                load!(right 2),
                multiply!(),
                place!(),
                place!(),
                next!(0 1),
                load!(right 1),
                multiply!(),
                place!(),
                next!(2 3 4),
                load!(left 1),
                multiply!(),
                place!(),
                next!(5 6 7),
                load!(right 0),
                multiply!(),
                place!(),
                place!(),
                next!(8 9),
                load!(left 2),
                multiply!(),
                place!(),
                next!(10 11 12),
                load!(left 0),
                multiply!(),
                place!(),
                next!(13 14 15),
                "add {left}, 6144",
                "add {right}, 6144",
                "add {next}, 1024",
                "dec {count}",
                "jnz 2b",
                "tilestored [{sums} + {row}], tmm0",
                "tilestored [{sums} + {row} + 64], tmm1",
                "tilestored [{sums} + {row} + 2048], tmm2",
                "tilestored [{sums} + {row} + 2112], tmm3",
                left = inout(reg) self.left => _,
                right = inout(reg) self.right => _,
                next = inout(reg) self.next => _,
                place = inout(reg) self.place => _,
                place_stride = in(reg) self.place_stride,
                count = inout(reg) self.count => _,
                anew = in(reg) u32::from(self.anew),
                sums = in(reg) self.sums,
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
}
