//! What the system and the processor want before tiles can be used.

use super::LINES;
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};

/// Gives this thread tiles of 16 rows of 64 bytes.
///
/// # Safety
/// The processor has the instructions, and the system permits them.
#[inline(always)]
pub(super) unsafe fn configure() {
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
pub(super) fn processor_has_tiles() -> bool {
    let vectors = std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512bf16");
    // Leaf 7: bit 22 is AMX-BF16, bit 24 AMX-TILE.
    vectors && __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & (1 << 22 | 1 << 24) == (1 << 22 | 1 << 24)
}

/// Asks the system for the tiles: a process has them only when it asks, since they make its threads' contexts larger.
#[cfg(target_os = "linux")]
pub(super) fn system_permits_tiles() -> bool {
    const REQUEST: libc::c_int = 0x1023; // ARCH_REQ_XCOMP_PERM of asm/prctl.h
    const TILE_DATA: libc::c_ulong = 18;
    // SAFETY: a request that reads and writes no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn system_permits_tiles() -> bool {
    false
}
