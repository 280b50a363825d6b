//! Sums in the order that [`super`] defines.

/// Lanes of a sum.
pub(crate) const LANES: usize = 16;

/// Adds 16 lanes in a tree.
#[inline(always)]
pub(crate) fn tree(lanes: [f32; LANES]) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|i| lanes[i] + lanes[i + 8]);
    let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
    let two = [four[0] + four[2], four[1] + four[3]];
    two[0] + two[1]
}

/// The sum of values.
#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    lanes(values, |lane, value| lane + value)
}

/// The sum of squares, each added by fused multiply-add.
#[inline(always)]
pub(crate) fn sum_of_squares(values: &[f32]) -> f32 {
    lanes(values, |lane, value| value.mul_add(value, lane))
}

#[inline(always)]
fn lanes(values: &[f32], add: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = add(*lane, value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = add(*lane, value);
    }
    tree(lanes)
}
