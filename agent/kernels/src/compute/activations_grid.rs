//! [`Activations`] cut into blocks for threads to write.

use crate::activations::{Activations, PART, RowMut};
use crate::layout::BLOCK;
use crate::shared::{Block, Grid};

/// Rows of activations in blocks; each is given away once.
#[derive(Debug)]
pub(super) struct ActivationsGrid<'a> {
    block_rows: usize,
    values: Grid<'a, f32>,
    quants: Grid<'a, i8>,
    scales: Grid<'a, f32>,
    sums: Grid<'a, i16>,
    scaled_sums: Grid<'a, f32>,
}

/// One block of an [`ActivationsGrid`].
#[derive(Debug)]
pub(super) struct ActivationsBlock<'a> {
    values: Block<'a, f32>,
    quants: Block<'a, i8>,
    scales: Block<'a, f32>,
    sums: Block<'a, i16>,
    scaled_sums: Block<'a, f32>,
}

/// Rows of activations that are not cut yet.
#[derive(Debug)]
pub(super) struct Rest<'a> {
    columns: usize,
    rows: RowMut<'a>,
}

impl<'a> Rest<'a> {
    /// All rows.
    pub(super) fn of(activations: &'a mut Activations) -> Self {
        Self {
            columns: activations.columns(),
            rows: activations.all_mut(),
        }
    }

    /// The next `rows` rows, in blocks of at most so many rows and columns, the columns a multiple of 32.
    pub(super) fn take(
        &mut self,
        rows: usize,
        block_rows: usize,
        block_columns: usize,
    ) -> ActivationsGrid<'a> {
        let (all, shape) = (self.columns, (block_rows.max(1), block_columns.min(self.columns)));
        ActivationsGrid {
            block_rows: shape.0,
            values: first(&mut self.rows.values, rows, all, shape, 1),
            quants: first(&mut self.rows.quants, rows, all, shape, 1),
            scales: first(&mut self.rows.scales, rows, all, shape, BLOCK),
            sums: first(&mut self.rows.sums, rows, all, shape, PART),
            scaled_sums: first(&mut self.rows.scaled_sums, rows, all, shape, BLOCK),
        }
    }
}

/// The first rows of a plane, which has an element for each `of` columns.
fn first<'a, T>(
    plane: &mut &'a mut [T],
    rows: usize,
    columns: usize,
    (block_rows, block_columns): (usize, usize),
    of: usize,
) -> Grid<'a, T> {
    let (first, rest) = std::mem::take(plane).split_at_mut(rows * columns / of);
    *plane = rest;
    Grid::new(first, columns / of, block_rows, block_columns / of)
}

impl<'a> ActivationsGrid<'a> {
    /// All rows in blocks of at most so many rows and columns, the columns a multiple of 32.
    pub(super) fn new(activations: &'a mut Activations, block_rows: usize, block_columns: usize) -> Self {
        let rows = activations.rows();
        Rest::of(activations).take(rows, block_rows.min(rows), block_columns)
    }

    /// Blocks down.
    pub(super) fn down(&self) -> usize {
        self.values.down()
    }

    /// Blocks across.
    pub(super) fn across(&self) -> usize {
        self.values.across()
    }

    /// Rows of each block but the last.
    pub(super) fn block_rows(&self) -> usize {
        self.block_rows
    }

    /// The block in that place; panics where it was taken before.
    pub(super) fn take(&self, down: usize, across: usize) -> ActivationsBlock<'a> {
        ActivationsBlock {
            values: self.values.take(down, across),
            quants: self.quants.take(down, across),
            scales: self.scales.take(down, across),
            sums: self.sums.take(down, across),
            scaled_sums: self.scaled_sums.take(down, across),
        }
    }
}

impl ActivationsBlock<'_> {
    /// Its rows.
    pub(super) fn rows(&self) -> usize {
        self.values.rows()
    }

    /// One of them.
    pub(super) fn row(&mut self, index: usize) -> RowMut<'_> {
        RowMut {
            values: self.values.row(index),
            quants: self.quants.row(index),
            scales: self.scales.row(index),
            sums: self.sums.row(index),
            scaled_sums: self.scaled_sums.row(index),
        }
    }
}
