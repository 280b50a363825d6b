//! Root mean square normalisation (Zhang and Sennrich, <https://arxiv.org/abs/1910.07467>).

use super::sum::sum_of_squares;
use crate::activations::{RowMut, quantise};
use crate::path::{Path, on_each_path};

on_each_path! {
    /// `output = (values · r) · weight` with `r = 1 / √(Σ values² / columns + epsilon)`; all slices `[columns]`.
    pub fn rms_norm(values: &[f32], weight: &[f32], epsilon: f32, output: &mut [f32]) = rms_norm_body
}

#[inline(always)]
fn rms_norm_body(values: &[f32], weight: &[f32], epsilon: f32, output: &mut [f32]) {
    assert_eq!(
        (values.len(), values.len()),
        (weight.len(), output.len()),
        "columns"
    );
    let inverse = inverse_root_mean_square(values, epsilon);
    for ((output, &value), &weight) in output.iter_mut().zip(values).zip(weight) {
        *output = (value * inverse) * weight;
    }
}

/// [`rms_norm`] into a row that products take.
pub fn rms_norm_quantise(path: Path, values: &[f32], weight: &[f32], epsilon: f32, row: &mut RowMut<'_>) {
    rms_norm(path, values, weight, epsilon, row.values);
    quantise(path, row);
}

on_each_path! {
    /// [`rms_norm`] in place of each head of `row`, `[heads, head_dim]`, by one weight, `[head_dim]`.
    pub fn rms_norm_heads(row: &mut [f32], weight: &[f32], epsilon: f32) = rms_norm_heads_body
}

#[inline(always)]
fn rms_norm_heads_body(row: &mut [f32], weight: &[f32], epsilon: f32) {
    assert!(
        row.len().is_multiple_of(weight.len()),
        "{} columns are no heads of {}",
        row.len(),
        weight.len()
    );
    for head in row.chunks_exact_mut(weight.len()) {
        let inverse = inverse_root_mean_square(head, epsilon);
        for (value, &weight) in head.iter_mut().zip(weight) {
            *value = (*value * inverse) * weight;
        }
    }
}

#[inline(always)]
fn inverse_root_mean_square(values: &[f32], epsilon: f32) -> f32 {
    1.0 / (sum_of_squares(values) / values.len() as f32 + epsilon).sqrt()
}
