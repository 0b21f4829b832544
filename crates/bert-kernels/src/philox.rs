//! Philox4x32-10: random numbers as a function of a key and a counter (Salmon et al., "Parallel random numbers:
//! as easy as 1, 2, 3", 2011). Nothing is carried from draw to draw, so any part can be computed anywhere, again.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// Counters computed side by side, so that the compiler fills vector registers.
pub(crate) const WIDE: usize = 16;

/// Four random words for each of [`WIDE`] consecutive values of the first counter word.
#[inline(always)]
pub(crate) fn philox_wide(key: [u32; 2], counter: [u32; 4]) -> [[u32; WIDE]; 4] {
    let mut x0: [u32; WIDE] = std::array::from_fn(|lane| counter[0].wrapping_add(lane as u32));
    let mut x1 = [counter[1]; WIDE];
    let mut x2 = [counter[2]; WIDE];
    let mut x3 = [counter[3]; WIDE];
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        for j in 0..WIDE {
            let a = u64::from(x0[j]) * u64::from(MULTIPLIERS[0]);
            let b = u64::from(x2[j]) * u64::from(MULTIPLIERS[1]);
            x0[j] = (b >> 32) as u32 ^ x1[j] ^ k0;
            x1[j] = b as u32;
            x2[j] = (a >> 32) as u32 ^ x3[j] ^ k1;
            x3[j] = a as u32;
        }
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    [x0, x1, x2, x3]
}

pub(crate) fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// `n` values from a normal distribution of the given standard deviation, cut at two of them: BERT's
/// initialisation (`modeling.py`, `truncated_normal_initializer`).
///
/// Which values follows from the seed and the name alone, so a parameter keeps its start when others come or go.
pub fn truncated_normal(n: usize, deviation: f64, seed: u64, name: &str) -> Vec<f32> {
    // FNV-1a, a fixed hash: the standard library's may change from release to release.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let mut values = Vec::with_capacity(n);
    let mut block = 0u32;
    while values.len() < n {
        let words = philox_wide(key(seed), [block, INITIAL_WEIGHTS, hash as u32, (hash >> 32) as u32]);
        block = block.wrapping_add(WIDE as u32);
        let [first, second, third, fourth] = words;
        for lane in 0..WIDE {
            for pair in [[first[lane], second[lane]], [third[lane], fourth[lane]]] {
                // Box-Muller; values beyond two deviations are drawn again, as the original does.
                let radius = (-2.0 * ((f64::from(pair[0]) + 1.0) / 4_294_967_296.0).ln()).sqrt();
                let angle = std::f64::consts::TAU * f64::from(pair[1]) / 4_294_967_296.0;
                let both = [radius * angle.cos(), radius * angle.sin()];
                values.extend(both.iter().filter(|v| v.abs() <= 2.0).map(|v| (v * deviation) as f32));
            }
        }
    }
    values.truncate(n);
    values
}

/// Second counter word of initial weights: apart from the rows that dropout numbers from 0.
const INITIAL_WEIGHTS: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the authors' Random123 distribution (`kat_vectors`, philox4x32 with 10 rounds).
    #[test]
    fn known_answers() {
        let first = |key, counter| philox_wide(key, counter).map(|words| words[0]);
        assert_eq!(first([0, 0], [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(first([u32::MAX; 2], [u32::MAX; 4]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            first([0xa409_3822, 0x299f_31d0], [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn lanes_are_consecutive_counters() {
        let wide = philox_wide([1, 2], [40, 5, 6, 7]);
        for lane in 0..WIDE {
            let single = philox_wide([1, 2], [40 + lane as u32, 5, 6, 7]);
            assert_eq!(wide.map(|words| words[lane]), single.map(|words| words[0]));
        }
    }

    #[test]
    fn truncated_normal_has_the_moments_of_the_cut_distribution() {
        let values = truncated_normal(200_000, 0.02, 7, "w");
        assert!(values.iter().all(|v| v.abs() <= 0.04 + 1e-6));
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 2e5;
        let deviation = (values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / 2e5).sqrt();
        // A normal cut at two deviations keeps 0.8796 of its deviation; the tolerance is five standard errors.
        assert!(mean.abs() < 2e-4 && (deviation / 0.02 - 0.8796).abs() < 0.008, "{mean} {deviation}");
        assert_eq!(values[..100], truncated_normal(100, 0.02, 7, "w")[..]);
        assert_ne!(values[..100], truncated_normal(100, 0.02, 8, "w")[..]);
        assert_ne!(values[..100], truncated_normal(100, 0.02, 7, "v")[..]);
    }
}
