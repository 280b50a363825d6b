//! The product in double precision, to measure the rounding of the others by.

use crate::activations::Activations;
use crate::layout::BLOCK;
use crate::matrix::Matrix;

/// A product in double precision and how large its terms are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exact {
    /// `Σ weight · activation`.
    pub value: f64,
    /// `Σ |weight · activation|`: what rounding errors are in proportion to.
    pub magnitude: f64,
}

/// The product of one row of weights, as ggml dequantises them, with one row of activations: as they are for float
/// weights, else as they are after rounding to 8 bits.
pub fn element(matrix: &Matrix<'_>, row: usize, input: &Activations, input_row: usize) -> Exact {
    let mut weights = vec![0.0; matrix.columns()];
    matrix.dequantise(row, &mut weights);
    let input = input.row(input_row);
    let activation = |column: usize| match matrix.kind().is_float() {
        true => f64::from(input.values[column]),
        false => f64::from(input.scales[column / BLOCK]) * f64::from(input.quants[column]),
    };
    let terms = weights
        .iter()
        .enumerate()
        .map(|(column, &weight)| f64::from(weight) * activation(column));
    terms.fold(
        Exact {
            value: 0.0,
            magnitude: 0.0,
        },
        |sum, term| Exact {
            value: sum.value + term,
            magnitude: sum.magnitude + term.abs(),
        },
    )
}
