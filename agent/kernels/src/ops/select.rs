//! What turns logits into a choice.

use super::exp::exp;
use super::sum::{LANES, sum};
use crate::path::on_each_path;

on_each_path! {
    /// `values = e^(values − max) · (1 / Σ e^(values − max))`, `[columns]`. Nothing where there is nothing.
    pub fn softmax(values: &mut [f32]) = softmax_body
}

#[inline(always)]
fn softmax_body(values: &mut [f32]) {
    let largest = largest(values);
    for value in values.iter_mut() {
        *value = exp(*value - largest);
    }
    let inverse = 1.0 / sum(values);
    for value in values.iter_mut() {
        *value *= inverse;
    }
}

/// The largest value that is not NaN; −∞ where there is none.
#[inline(always)]
pub(crate) fn largest(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = larger(*lane, value);
    }
    // Which of several equal ones is taken does not matter, so neither does the order.
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = larger(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}
