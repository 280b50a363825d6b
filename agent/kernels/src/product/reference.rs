//! The product in double precision, to measure the rounding of the others by.

use crate::activations::Activations;
use crate::layout::{BLOCK, ROWS, Tile};
use crate::matrix::Matrix;

/// A product in double precision and how large its terms are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exact {
    /// `Σ weight · activation`.
    pub value: f64,
    /// The sum of the terms' absolute values, a weight's offset being a term of its own: what rounding errors are in
    /// proportion to.
    pub magnitude: f64,
}

/// The product of one row of weights with one row of activations: as they are for float weights, else as they are
/// after rounding to 8 bits.
pub fn element(matrix: &Matrix<'_>, row: usize, input: &Activations, input_row: usize) -> Exact {
    let tile = Tile::new(matrix.kind(), matrix.columns(), matrix.tile(row / ROWS));
    let input = input.row(input_row);
    let activation = |column: usize| match matrix.kind().is_float() {
        true => f64::from(input.values[column]),
        false => f64::from(input.scales[column / BLOCK]) * f64::from(input.quants[column]),
    };
    let terms = (0..matrix.columns()).flat_map(|column| {
        let (product, offset) = tile.exactly(row % ROWS, column);
        [product * activation(column), offset * activation(column)]
    });
    terms.fold(Exact::default(), |sum, term| Exact {
        value: sum.value + term,
        magnitude: sum.magnitude + term.abs(),
    })
}
