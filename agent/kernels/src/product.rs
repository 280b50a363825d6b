//! Products of a weight matrix with rows of activations.
//!
//! What the product of one row of weights with one row of activations is, to the bit, [`twin`] says; every path
//! computes that.

pub mod reference;
mod scalar;
pub mod twin;

use std::ops::Range;

use crate::activations::Activations;
use crate::layout::ROWS;
use crate::matrix::Matrix;
use crate::path::{Instructions, Path};

/// Multiplies row tiles of a matrix with all rows of `input`, on this thread.
///
/// `output` is `[input.rows(), 16 · tiles.len()]`, row by row; beyond the matrix's last row there are zeros, as long
/// as the activations are finite.
///
/// # Panics
/// If `input` has other columns than the matrix, `output` another length, or `tiles` goes beyond the matrix.
pub fn multiply(
    path: Path,
    matrix: &Matrix<'_>,
    tiles: Range<usize>,
    input: &Activations,
    output: &mut [f32],
) {
    assert_eq!(
        matrix.columns(),
        input.columns(),
        "columns of weights and activations"
    );
    assert_eq!(
        output.len(),
        input.rows() * tiles.len() * ROWS,
        "room for the product"
    );
    assert!(
        tiles.end <= matrix.tiles(),
        "row tiles {tiles:?} of {}",
        matrix.tiles()
    );
    match path.instructions() {
        Instructions::Scalar
        | Instructions::Avx2
        | Instructions::AvxVnni
        | Instructions::Avx512
        | Instructions::Amx => scalar::multiply(matrix, tiles, input, output),
    }
}

#[cfg(test)]
mod tests;
