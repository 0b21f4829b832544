//! The most that a GPU's multiplying units can do, from its attributes.

use bert_kernels::chip::Chip;

use crate::config::Precision;

/// Dense FLOP/s of products in this precision with sums in f32; none for a chip whose rate is not known here.
///
/// Multiprocessors x highest clock x FLOP a cycle, the last from NVIDIA's architecture white papers. The driver's clock is the highest
/// that the chip may have; where a data sheet calculates with a lower one (H100 SXM: 1,830 of 1,980 MHz) its number is lower too.
pub(super) fn dense_peak(chip: &Chip, precision: Precision) -> Option<f64> {
    // f32 outside of the tensor cores; bf16 and f16 in them.
    let (plain, tensor) = match chip.capability {
        (8, 0) => (128.0, 2048.0),
        (8, 6 | 9) | (12, 0) => (256.0, 1024.0),
        (9, 0) => (256.0, 4096.0),
        (10, 0) => (256.0, 8192.0),
        _ => return None,
    };
    // GeForce cards of 8.6, 8.9 and 12.0 sum in f32 at half the rate of the same chip on a professional card.
    let tensor = if chip.name.contains("GeForce") { tensor / 2.0 } else { tensor };
    let cycle = match precision {
        Precision::F32 => plain,
        Precision::Tf32 => tensor / 2.0,
        Precision::Bf16 | Precision::F16 => tensor,
    };
    Some(chip.multiprocessors as f64 * chip.clock * cycle)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tera(name: &str, capability: (i32, i32), multiprocessors: usize, mhz: f64, precision: Precision) -> f64 {
        let chip = Chip { name: name.into(), capability, multiprocessors, clock: mhz * 1e6 };
        dense_peak(&chip, precision).unwrap() * 1e-12
    }

    /// NVIDIA's data sheets, with the boost clocks that those give.
    #[test]
    fn the_published_numbers() {
        use Precision::{Bf16, F16, F32, Tf32};
        for (name, capability, multiprocessors, mhz, precision, published) in [
            ("NVIDIA A100-SXM4-80GB", (8, 0), 108, 1410.0, Bf16, 312.0),
            ("NVIDIA A100-SXM4-80GB", (8, 0), 108, 1410.0, F16, 312.0),
            ("NVIDIA A100-SXM4-80GB", (8, 0), 108, 1410.0, Tf32, 156.0),
            ("NVIDIA A100-SXM4-80GB", (8, 0), 108, 1410.0, F32, 19.5),
            ("NVIDIA H100 80GB HBM3", (9, 0), 132, 1830.0, Bf16, 989.4),
            ("NVIDIA H100 80GB HBM3", (9, 0), 132, 1830.0, Tf32, 494.7),
            ("NVIDIA RTX A6000", (8, 6), 84, 1800.0, Bf16, 154.8),
            ("NVIDIA RTX A6000", (8, 6), 84, 1800.0, F32, 38.7),
            ("NVIDIA L40S", (8, 9), 142, 2490.0, Bf16, 362.05),
            ("NVIDIA GeForce RTX 3090", (8, 6), 82, 1695.0, F16, 71.0),
            ("NVIDIA GeForce RTX 4090", (8, 9), 128, 2520.0, Bf16, 165.2),
        ] {
            let ours = tera(name, capability, multiprocessors, mhz, precision);
            assert!((ours / published - 1.0).abs() < 0.005, "{name} {precision:?}: {ours} for {published}");
        }
    }

    #[test]
    fn an_unknown_chip_has_no_peak() {
        let chip = Chip { name: "NVIDIA N1".into(), capability: (13, 0), multiprocessors: 1, clock: 1e9 };
        assert_eq!(dense_peak(&chip, Precision::Bf16), None);
    }
}
