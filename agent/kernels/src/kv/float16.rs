//! 16-bit floats by integer operations, which the compiler turns into the vectors of each path: the instructions for
//! it are absent from plain x86-64, and a call for each element would cost more than the element.

/// Exponent of f32 that f16's smallest normal number has, as bits of an f32.
const SMALLEST_NORMAL: u32 = 113 << 23;
/// Infinity of f16 where its exponent lies in an f32.
const EXPONENT: u32 = 0x7C00 << 13;

/// The value of an f16, exactly.
#[inline(always)]
pub(crate) fn to_f32(half: [u8; 2]) -> f32 {
    let bits = u32::from(u16::from_le_bytes(half));
    let sign = (bits & 0x8000) << 16;
    let magnitude = (bits & 0x7FFF) << 13;
    let rebased = magnitude + ((127 - 15) << 23);
    let subnormal = f32::from_bits(rebased + (1 << 23)) - f32::from_bits(SMALLEST_NORMAL);
    let exponent = magnitude & EXPONENT;
    let absolute = if exponent == EXPONENT {
        rebased + ((128 - 16) << 23)
    } else if exponent == 0 {
        subnormal.to_bits()
    } else {
        rebased
    };
    f32::from_bits(absolute | sign)
}

/// The nearest f16, of two the even one; what is larger than 65504, infinity too, becomes 65504.
#[inline(always)]
pub(crate) fn from_f32(value: f32) -> [u8; 2] {
    /// Adding it leaves a subnormal f16 in the lowest bits, rounded by the addition.
    const SHIFT: u32 = (127 - 15 + 23 - 10 + 1) << 23;
    const LARGEST: f32 = 65504.0;
    let sign = (value.to_bits() >> 16) & 0x8000;
    let absolute = value.abs();
    let clamped = if absolute > LARGEST { LARGEST } else { absolute };
    let bits = clamped.to_bits();
    let subnormal = (clamped + f32::from_bits(SHIFT)).to_bits().wrapping_sub(SHIFT);
    let odd = (bits >> 13) & 1;
    let normal = bits.wrapping_sub((127 - 15) << 23).wrapping_add(0xFFF + odd) >> 13;
    let finite = if bits < SMALLEST_NORMAL { subnormal } else { normal };
    let magnitude = if value.is_nan() { 0x7E00 } else { finite };
    ((magnitude | sign) as u16).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;
    use proptest::prelude::*;

    #[test]
    fn every_half_has_its_value_and_comes_back() {
        for bits in 0..=u16::MAX {
            let half = f16::from_bits(bits);
            let value = to_f32(bits.to_le_bytes());
            assert!(
                value == half.to_f32() || value.is_nan() && half.is_nan(),
                "{bits:#06x}"
            );
            if half.is_finite() {
                assert_eq!(from_f32(value), bits.to_le_bytes(), "{bits:#06x}");
            }
        }
    }

    #[test]
    fn what_is_too_large_becomes_the_largest_and_nan_stays() {
        for (value, largest) in [(1e30, f16::MAX), (f32::INFINITY, f16::MAX), (-65519.0, f16::MIN)] {
            assert_eq!(from_f32(value), largest.to_le_bytes(), "{value}");
        }
        assert!(to_f32(from_f32(f32::NAN)).is_nan());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200_000))]
        #[test]
        fn rounding_is_to_the_nearest_even(bits in any::<u32>()) {
            let value = f32::from_bits(bits);
            prop_assume!(!value.is_nan());
            let expected = f16::from_f32(value.clamp(-65504.0, 65504.0));
            prop_assert_eq!(from_f32(value), expected.to_le_bytes());
        }
    }
}
