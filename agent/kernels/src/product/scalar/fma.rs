//! Fused multiply-add of 16 numbers at a time, with and without the instruction for it.

/// One number for each row of a row tile.
pub(super) type Lane = [f32; 16];

/// `acc = a · b + acc`, rounded once.
pub(super) trait Fma {
    /// For each of 16.
    fn fma(a: &Lane, b: &Lane, acc: &mut Lane);
}

/// By the instruction: only in functions with the target feature `fma`; elsewhere it is a slow call.
pub(super) struct Fused;

impl Fma for Fused {
    #[inline(always)]
    fn fma(a: &Lane, b: &Lane, acc: &mut Lane) {
        for ((&a, &b), acc) in a.iter().zip(b).zip(acc) {
            *acc = a.mul_add(b, *acc);
        }
    }
}

/// In double precision, where the product is exact and the sum rounded once; to round that once more is right unless
/// it lies exactly between two numbers of single precision, or below its normal ones.
pub(super) struct Emulated;

impl Fma for Emulated {
    #[inline(always)]
    fn fma(a: &Lane, b: &Lane, acc: &mut Lane) {
        let mut sums = [0.0; 16];
        let mut doubtful = false;
        for (sum, ((&a, &b), &acc)) in sums.iter_mut().zip(a.iter().zip(b).zip(&*acc)) {
            *sum = f64::from(a) * f64::from(b) + f64::from(acc);
            doubtful |= is_doubtful(*sum);
        }
        if doubtful {
            return one_by_one(a, b, acc);
        }
        for (acc, sum) in acc.iter_mut().zip(sums) {
            *acc = sum as f32;
        }
    }
}

/// Whether a number, once rounded, may not be rounded to single precision again.
#[inline(always)]
fn is_doubtful(sum: f64) -> bool {
    /// The bits that single precision has not.
    const LOST: u64 = (1 << 29) - 1;
    let bits = sum.to_bits();
    let between = bits & LOST == 1 << 28;
    let small = sum.abs() < f64::from(f32::MIN_POSITIVE) && sum != 0.0;
    between | small
}

#[cold]
#[inline(never)]
fn one_by_one(a: &Lane, b: &Lane, acc: &mut Lane) {
    Fused::fma(a, b, acc);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers whose sums are often halfway between two others, or subnormal.
    fn awkward() -> impl Strategy<Value = f32> {
        let few_bits =
            (any::<u32>(), 0..24_u32).prop_map(|(bits, zeros)| f32::from_bits(bits >> zeros << zeros));
        let near_one = (0..1_u32 << 4).prop_map(|bits| f32::from_bits(1.0_f32.to_bits() + bits));
        let tiny = any::<u16>().prop_map(|bits| f32::from_bits(u32::from(bits)));
        prop_oneof![few_bits, near_one, tiny, Just(0.0), Just(-0.0)]
            .prop_filter("finite", |number| number.is_finite())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn emulated_is_rounded_once(a in awkward(), b in awkward(), c in awkward()) {
            let mut acc = [c; 16];
            Emulated::fma(&[a; 16], &[b; 16], &mut acc);
            prop_assert_eq!(acc[5].to_bits(), a.mul_add(b, c).to_bits(), "{:e} · {:e} + {:e}", a, b, c);
        }
    }

    #[test]
    fn a_sum_between_two_numbers_is_not_rounded_twice() {
        // The product lies exactly between two numbers of single precision; what is added is too small to be seen in
        // double precision, but decides.
        let (a, b) = (1.0 + 128.0 * f32::EPSILON, 1.0 + 32768.0 * f32::EPSILON);
        let c = f32::from_bits(1);
        let twice = (f64::from(a) * f64::from(b) + f64::from(c)) as f32;
        let once = a.mul_add(b, c);
        assert_ne!(twice, once);
        let mut acc = [c; 16];
        Emulated::fma(&[a; 16], &[b; 16], &mut acc);
        assert_eq!(acc, [once; 16]);
    }
}
