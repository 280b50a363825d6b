//! The other side of a product: rows of activations, rounded to 8 bits.

use crate::layout::BLOCK;
use crate::path::on_each_path;

/// Columns whose sum is kept: the smallest part of a block that has a scale of its own.
pub const PART: usize = 16;

/// Rows of activations `[rows, columns]`, each block of 32 columns rounded to 8 bits with a scale of its own:
/// `value ≈ scale · quant`, `scale = max |value| / 127`.
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
        let largest = values
            .iter()
            .fold(0.0_f32, |largest, value| largest.max(value.abs()));
        *scale = largest / 127.0;
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        for (quant, value) in quants.iter_mut().zip(values) {
            *quant = (value * inverse).round_ties_even() as i8;
        }
        for (sum, part) in sums.iter_mut().zip(quants.as_chunks::<PART>().0) {
            *sum = part.iter().map(|&quant| i16::from(quant)).sum();
        }
        *scaled_sum = *scale * f32::from(sums[0] + sums[1]);
    }
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

    #[test]
    fn every_path_rounds_alike() {
        let expected = rounded(Path::SCALAR, &wave(320));
        for path in Path::offered() {
            assert_eq!(rounded(path, &wave(320)), expected, "{}", path.instructions());
        }
    }
}
