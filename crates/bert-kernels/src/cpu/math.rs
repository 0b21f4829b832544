//! Elementary functions that the compiler turns into vector code, and sums in a fixed order.

#![allow(clippy::excessive_precision)] // the coefficients are written as they were derived

/// e^x, relative error below 2e-7 in [-87, 88], clamped outside. Cody-Waite reduction, degree-5 polynomial.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer, which the low bits then hold
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (-n).mul_add(LN2_LOW, (-n).mul_add(LN2_HIGH, x));
    let mut p = 1.987_569_1e-4f32;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p.mul_add(r, coefficient);
    }
    let y = p.mul_add(r * r, r) + 1.0;
    // Not `n as i32`: that cast saturates, and the compiler does it lane by lane.
    f32::from_bits(y.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// The error function, absolute error below 2e-7: a rational minimax approximation on [-4, 4].
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let z = x * x;
    let mut a = -2.726_142_3e-10f32;
    for c in [2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906_3e-4, -2.954_599_8e-3, -1.609_603_3e-2] {
        a = a.mul_add(z, c);
    }
    let mut b = -1.456_607_2e-5f32;
    for c in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
        b = b.mul_add(z, c);
    }
    x * a / b
}

/// tanh x, absolute error below 3e-7, from e^2x.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let e = exp(2.0 * x.clamp(-10.0, 10.0));
    (e - 1.0) / (e + 1.0)
}

const LANES: usize = 32;

/// Sum of `f` over the elements. The order is fixed: 32 partial sums, then those in pairs.
#[inline(always)]
pub(crate) fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    fold(x, 0.0, |sum, v| sum + f(v), |a, b| a + b)
}

/// Dot product, in the order of [`sum`].
#[inline(always)]
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    for (a, b) in x.chunks(LANES).zip(y.chunks(LANES)) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane = a.mul_add(*b, *lane);
        }
    }
    in_pairs(lanes, |a, b| a + b)
}

/// The largest element; the smallest f32 for an empty slice.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    fold(x, f32::MIN, f32::max, f32::max)
}

#[inline(always)]
fn fold(x: &[f32], start: f32, add: impl Fn(f32, f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let mut chunks = x.chunks_exact(LANES);
    for chunk in &mut chunks {
        for j in 0..LANES {
            lanes[j] = add(lanes[j], chunk[j]);
        }
    }
    for (lane, &v) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = add(*lane, v);
    }
    in_pairs(lanes, join)
}

/// Lane j with lane j + 16, then with j + 8 and so on: a chain of five, where one after the other would wait 31 times.
#[inline(always)]
fn in_pairs(mut lanes: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for j in 0..half {
            lanes[j] = join(lanes[j], lanes[j + half]);
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_tanh_against_the_standard_library() {
        for i in -8700..8800 {
            let x = i as f32 * 0.01;
            let exact = (x as f64).exp();
            assert!(((exp(x) as f64 - exact) / exact).abs() < 3e-7, "exp({x})");
            assert!((tanh(x) as f64 - (x as f64).tanh()).abs() < 4e-7, "tanh({x})");
        }
        assert!(exp(-1e30) < 1e-37);
    }

    #[test]
    fn erf_against_its_series() {
        // erf x = 2/sqrt(pi) sum (-1)^n x^(2n+1) / (n! (2n+1))
        for i in -400..=400 {
            let x = i as f64 * 0.01;
            let (mut term, mut total) = (x, x);
            for n in 1..80 {
                term *= -x * x / n as f64;
                total += term / (2 * n + 1) as f64;
            }
            let exact = total * std::f64::consts::FRAC_2_SQRT_PI;
            assert!((erf(x as f32) as f64 - exact).abs() < 3e-7, "erf({x}) = {} not {exact}", erf(x as f32));
        }
    }

    #[test]
    fn sums_of_every_length() {
        for n in 0..100 {
            let x: Vec<f32> = (0..n).map(|i| i as f32 - 20.0).collect();
            let expected: f32 = x.iter().sum();
            assert_eq!(sum(&x, |v| v), expected);
            assert_eq!(dot(&x, &x), x.iter().map(|v| v * v).sum::<f32>());
            assert_eq!(max(&x), x.iter().copied().fold(f32::MIN, f32::max));
        }
    }
}
