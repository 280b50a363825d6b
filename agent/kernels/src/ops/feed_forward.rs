//! What stands between the products of the feed-forward part.

use super::exp::exp;
use crate::activations::{RowMut, quantise};
use crate::path::{Path, on_each_path};

on_each_path! {
    /// `output = silu(gate) · up` with `silu(x) = x / (1 + e⁻ˣ)`; all slices `[columns]`
    /// (SwiGLU: Shazeer, <https://arxiv.org/abs/2002.05202>).
    pub fn silu_multiply(gate: &[f32], up: &[f32], output: &mut [f32]) = silu_multiply_body
}

#[inline(always)]
fn silu_multiply_body(gate: &[f32], up: &[f32], output: &mut [f32]) {
    assert_eq!((gate.len(), gate.len()), (up.len(), output.len()), "columns");
    for ((output, &gate), &up) in output.iter_mut().zip(gate).zip(up) {
        *output = gate / (1.0 + exp(-gate)) * up;
    }
}

/// [`silu_multiply`] into a row that products take.
pub fn silu_multiply_quantise(path: Path, gate: &[f32], up: &[f32], row: &mut RowMut<'_>) {
    silu_multiply(path, gate, up, row.values);
    quantise(path, row);
}

on_each_path! {
    /// `values += others`, both `[columns]`: a residual connection, or a bias.
    pub fn add(values: &mut [f32], others: &[f32]) = add_body
}

#[inline(always)]
fn add_body(values: &mut [f32], others: &[f32]) {
    assert_eq!(values.len(), others.len(), "columns");
    for (value, &other) in values.iter_mut().zip(others) {
        *value += other;
    }
}
