//! The exponential function.

/// Below it the result would leave the normal numbers.
const LOWEST: f32 = -87.3;
/// Above it the result would be infinite; the largest argument whose result is finite.
const HIGHEST: f32 = 88.722_83;

/// Of this size a float has no place for fractions: adding it rounds to an integer, and leaves that in the lowest bits.
const SHIFT: f32 = 12_582_912.0;
/// ln 2 with so few bits that its product with an exponent is exact.
const LN_2_HIGH: f32 = 0.693_145_75;
/// What that lacks.
const LN_2_LOW: f32 = 1.428_606_8e-6;

/// `(eʳ − 1 − r) / r²` for |r| ≤ ln 2 / 2, highest power first: minimax in the relative error of `eʳ`, 3.1e-9.
const COEFFICIENTS: [f32; 5] = [
    1.381_454e-3,
    8.368_745e-3,
    4.166_839e-2,
    0.166_665_2,
    0.499_999_93,
];

/// `e` to the power of `x`: at most 0.95 ulp (units in the last place) from the exact value where that is a normal
/// number; 0 below −87.3, where it is under 1.3e-38, and infinity where it would be larger than the largest number.
/// `exp(0)` is 1.
///
/// With `n` the integer nearest to `x · log₂ e` and `r = x − n · ln 2`, it is `2ⁿ · (1 + (r + r² · p(r)))`, `p` a
/// polynomial of degree 4 by Horner's scheme, all by fused multiply-add.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let shifted = x.mul_add(std::f32::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let [first, rest @ ..] = COEFFICIENTS;
    let p = rest
        .iter()
        .fold(first, |p, &coefficient| p.mul_add(r, coefficient));
    let power = (r * r).mul_add(p, r) + 1.0;
    // The lowest bits of `shifted` are `n`, which is added to the exponent.
    let scaled = f32::from_bits(power.to_bits().wrapping_add(shifted.to_bits() << 23));
    if x < LOWEST {
        0.0
    } else if x > HIGHEST {
        f32::INFINITY
    } else {
        scaled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance from the exact value in units of the last place of the nearest float.
    fn ulps(x: f32) -> f64 {
        let exact = f64::from(x).exp();
        let nearest = exact as f32;
        let unit = f64::from(f32::from_bits(nearest.to_bits() + 1)) - f64::from(nearest);
        (f64::from(exp(x)) - exact).abs() / unit
    }

    #[test]
    fn the_error_is_what_the_documentation_says() {
        // Every 499th float, so that all exponents and many fractions are met.
        let negative = (0..=LOWEST.to_bits() - (1 << 31)).step_by(499);
        let positive = (0..=HIGHEST.to_bits()).step_by(499);
        let arguments = negative
            .map(|bits| -f32::from_bits(bits))
            .chain(positive.map(f32::from_bits));
        let (worst, at) =
            arguments.map(|x| (ulps(x), x)).fold(
                (0.0, 0.0),
                |worst, this| {
                    if this.0 > worst.0 { this } else { worst }
                },
            );
        assert!(worst <= 0.95, "{worst} ulp at {at:e}");
    }

    #[test]
    fn the_ends_are_zero_infinity_and_one() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-87.31), 0.0);
        assert!(exp(LOWEST).is_normal());
        assert!(exp(HIGHEST).is_finite());
        assert_eq!(exp(88.723), f32::INFINITY);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }
}
