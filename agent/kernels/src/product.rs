//! Products of a weight matrix with rows of activations.
//!
//! What the product of one row of weights with one row of activations is, to the bit, [`twin`] says; every path
//! computes that.

mod amx;
mod avx2;
mod avx512;
mod instructions;
pub mod reference;
mod scalar;
mod sse2;
pub mod twin;
mod wide;

use std::ops::Range;

use self::amx::Amx;
use self::avx2::{Avx2, AvxVnni};
use self::avx512::Avx512;
use crate::activations::Activations;
use crate::layout::ROWS;
use crate::matrix::Matrix;
use crate::path::Path;

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
    if let Some(avx512) = Avx512::of(path) {
        match Amx::of(path).filter(|_| wide::fit_tiles(matrix.kind(), input.rows())) {
            Some(amx) => wide::multiply_by_tiles(avx512, &amx.set_up(), matrix, tiles, input, output),
            None => wide::multiply(avx512, matrix, tiles, input, output),
        }
    } else if let Some(avx_vnni) = AvxVnni::of(path) {
        wide::multiply(avx_vnni, matrix, tiles, input, output);
    } else if let Some(avx2) = Avx2::of(path) {
        wide::multiply(avx2, matrix, tiles, input, output);
    } else {
        scalar::multiply(matrix, tiles, input, output);
    }
}

#[cfg(test)]
mod tests;
