//! The other side of a product: rows of activations, rounded to 8 bits.

use crate::layout::BLOCK;
use crate::path::on_each_path;

/// Columns whose sum is kept: the smallest part of a block that has a scale of its own.
pub const PART: usize = 16;

/// Rows of activations `[rows, columns]`, each block of 32 columns rounded to 8 bits with a scale of its own:
/// `value ≈ scale · quant`, `scale = max |value| / 127`. The product's definition says what else a block may be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activations {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
    quants: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i16>,
    scaled_sums: Vec<f32>,
}

/// One row of [`Activations`] that is written.
#[derive(Debug)]
pub struct RowMut<'a> {
    /// The values themselves, `[columns]`, for weights that are floats.
    pub values: &'a mut [f32],
    /// Rounded to 8 bits, from −127 to 127, `[columns]`.
    pub quants: &'a mut [i8],
    /// What a quant of 1 stands for, `[columns / 32]`.
    pub scales: &'a mut [f32],
    /// Sums of 16 neighbouring quants, `[columns / 16]`.
    pub sums: &'a mut [i16],
    /// The sum of a block's quants times its scale, rounded once: what a weight's offset is multiplied with,
    /// `[columns / 32]`.
    pub scaled_sums: &'a mut [f32],
}

/// One row of [`Activations`] that is read.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// As in [`RowMut`].
    pub values: &'a [f32],
    /// As in [`RowMut`].
    pub quants: &'a [i8],
    /// As in [`RowMut`].
    pub scales: &'a [f32],
    /// As in [`RowMut`].
    pub sums: &'a [i16],
    /// As in [`RowMut`].
    pub scaled_sums: &'a [f32],
}

impl Activations {
    /// Room for `rows` rows of `columns`, a multiple of 32; what was there is lost, its memory is used again.
    pub fn reset(&mut self, rows: usize, columns: usize) {
        assert!(
            columns.is_multiple_of(BLOCK),
            "{columns} columns are no whole blocks"
        );
        (self.rows, self.columns) = (rows, columns);
        self.values.resize(rows * columns, 0.0);
        self.quants.resize(rows * columns, 0);
        self.scales.resize(rows * columns / BLOCK, 0.0);
        self.sums.resize(rows * columns / PART, 0);
        self.scaled_sums.resize(rows * columns / BLOCK, 0.0);
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A row to read.
    pub fn row(&self, index: usize) -> Row<'_> {
        let columns = self.columns;
        Row {
            values: &self.values[index * columns..][..columns],
            quants: &self.quants[index * columns..][..columns],
            scales: &self.scales[index * (columns / BLOCK)..][..columns / BLOCK],
            sums: &self.sums[index * (columns / PART)..][..columns / PART],
            scaled_sums: &self.scaled_sums[index * (columns / BLOCK)..][..columns / BLOCK],
        }
    }

    /// The quants of all rows from `index` on, row by row.
    pub(crate) fn quants_from(&self, index: usize) -> &[i8] {
        &self.quants[index * self.columns..]
    }

    /// All rows to write as if they were one, for whoever cuts them into blocks.
    pub(crate) fn all_mut(&mut self) -> RowMut<'_> {
        RowMut {
            values: &mut self.values,
            quants: &mut self.quants,
            scales: &mut self.scales,
            sums: &mut self.sums,
            scaled_sums: &mut self.scaled_sums,
        }
    }

    /// All rows to write; they may be given to threads.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = RowMut<'_>> {
        let columns = self.columns.max(BLOCK);
        let values = self.values.chunks_exact_mut(columns);
        let quants = self.quants.chunks_exact_mut(columns);
        let scales = self.scales.chunks_exact_mut(columns / BLOCK);
        let sums = self.sums.chunks_exact_mut(columns / PART);
        let scaled_sums = self.scaled_sums.chunks_exact_mut(columns / BLOCK);
        values.zip(quants).zip(scales).zip(sums.zip(scaled_sums)).map(
            |(((values, quants), scales), (sums, scaled_sums))| RowMut {
                values,
                quants,
                scales,
                sums,
                scaled_sums,
            },
        )
    }
}

on_each_path! {
    /// Rounds `row.values` into the rest of the row: halves to even, all by the scale of their block.
    pub fn quantise(row: &mut RowMut<'_>) = quantise_body
}

#[inline(always)]
fn quantise_body(row: &mut RowMut<'_>) {
    let (values, _) = row.values.as_chunks::<BLOCK>();
    let (quants, _) = row.quants.as_chunks_mut::<BLOCK>();
    let (sums, _) = row.sums.as_chunks_mut::<2>();
    let scales = row.scales.iter_mut().zip(row.scaled_sums.iter_mut());
    for (((values, quants), sums), (scale, scaled_sum)) in values.iter().zip(quants).zip(sums).zip(scales) {
        (*quants, *scale) = round(values);
        for (sum, part) in sums.iter_mut().zip(quants.as_chunks::<PART>().0) {
            *sum = part.iter().map(|&quant| i16::from(quant)).sum();
        }
        *scaled_sum = *scale * f32::from(sums[0] + sums[1]);
    }
}

/// A block's quants, from −127 to 127, and their scale, as `product::twin` defines them.
#[inline(always)]
pub(crate) fn round(values: &[f32; BLOCK]) -> ([i8; BLOCK], f32) {
    /// Of this size a float has no place for halves: adding it rounds, and leaves the integer in the lowest bits.
    const SHIFT: f32 = 12_582_912.0;
    // As integers the bits of magnitudes are in the same order, what is no number behind infinity.
    let magnitudes = values.iter().map(|value| value.abs().to_bits().cast_signed());
    let largest = f32::from_bits(magnitudes.fold(0, i32::max).cast_unsigned());
    let inverse = 127.0 / largest;
    if !largest.is_finite() {
        return ([0; BLOCK], f32::NAN);
    }
    if !inverse.is_finite() {
        return ([0; BLOCK], 0.0);
    }
    // Two roundings make at most 127 · (1 + 2⁻²³) of the largest: 127.
    let quants = values.map(|value| (value * inverse + SHIFT).to_bits() as i8);
    (quants, largest / 127.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;

    fn rounded(path: Path, values: &[f32]) -> Activations {
        let mut activations = Activations::default();
        activations.reset(1, values.len());
        for mut row in activations.rows_mut() {
            row.values.copy_from_slice(values);
            quantise(path, &mut row);
        }
        activations
    }

    fn wave(columns: usize) -> Vec<f32> {
        (0..columns)
            .map(|i| (i as f32 * 0.37).sin() * (i % 7) as f32)
            .collect()
    }

    #[test]
    fn a_quant_is_within_half_a_scale_of_its_value() {
        let activations = rounded(Path::SCALAR, &wave(96));
        let row = activations.row(0);
        for (i, (&value, &quant)) in row.values.iter().zip(row.quants).enumerate() {
            let scale = row.scales[i / BLOCK];
            assert!(
                (value - scale * f32::from(quant)).abs() <= scale * 0.501,
                "column {i}"
            );
        }
        let sum: i16 = row.quants[16..32].iter().map(|&quant| i16::from(quant)).sum();
        assert_eq!(row.sums[1], sum);
        let all: i16 = row.quants[..32].iter().map(|&quant| i16::from(quant)).sum();
        assert_eq!(row.scaled_sums[0], row.scales[0] * f32::from(all));
    }

    #[test]
    fn zeros_are_zeros() {
        let activations = rounded(Path::SCALAR, &[0.0; 32]);
        assert_eq!(activations.row(0).scales, [0.0]);
        assert_eq!(activations.row(0).quants, [0; 32]);
    }

    /// Magnitudes around each border there is.
    const MAGNITUDES: [f32; 12] = [
        1e-45,
        1e-40,
        f32::MIN_POSITIVE,
        1e-37,
        3.7e-37,
        3.8e-37,
        1e-36,
        1e-3,
        1e30,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
    ];

    #[test]
    fn whatever_the_values_quants_are_from_minus_127_to_127() {
        for largest in MAGNITUDES {
            let mut values = [0.0; BLOCK];
            (values[3], values[4], values[5]) = (largest, -largest, largest * 0.49 / 127.0);
            for path in Path::offered() {
                let activations = rounded(path, &values);
                let row = activations.row(0);
                let (quants, scale) = match largest {
                    _ if !largest.is_finite() => ([0; 3], f32::NAN),
                    _ if largest < 3.73e-37 => ([0; 3], 0.0),
                    _ => ([127, -127, 0], largest / 127.0),
                };
                let told = format!("{largest:e} on {}", path.instructions());
                assert_eq!(row.quants[3..6], quants, "{told}");
                assert_eq!(row.scales[0].to_bits(), scale.to_bits(), "{told}");
                assert_eq!(row.scaled_sums[0].is_nan(), scale.is_nan(), "{told}");
            }
        }
    }

    #[test]
    fn every_path_rounds_alike() {
        let expected = rounded(Path::SCALAR, &wave(320));
        for path in Path::offered() {
            assert_eq!(rounded(path, &wave(320)), expected, "{}", path.instructions());
        }
    }
}
