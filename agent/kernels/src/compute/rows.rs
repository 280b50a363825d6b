//! Rows of floats between operators.

use std::ops::Range;

use crate::layout::ALIGNMENT;

/// Floats in a cache line.
const LINE: usize = ALIGNMENT / size_of::<f32>();

/// Floats `[rows, columns]`, the first of them on a multiple of 64 bytes: with columns that are a multiple of 16 no
/// two row tiles share a cache line, so threads that write neighbouring ones do not disturb each other.
#[derive(Debug, Default)]
pub struct Rows {
    rows: usize,
    columns: usize,
    /// With as much in front as alignment needs.
    floats: Vec<f32>,
    front: usize,
}

impl Rows {
    /// Zeros.
    pub fn new(rows: usize, columns: usize) -> Self {
        let mut new = Self::default();
        new.reset(rows, columns);
        new
    }

    /// Gives it that shape. What was there is lost, its memory is used again; elements have any value.
    pub fn reset(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns) = (rows, columns);
        let needed = rows * columns + LINE;
        if self.floats.len() < needed {
            self.floats = vec![0.0; needed];
            let behind = self.floats.as_ptr().addr() % ALIGNMENT;
            self.front = (ALIGNMENT - behind) % ALIGNMENT / size_of::<f32>();
        }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One row, `[columns]`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.as_slice()[index * self.columns..][..self.columns]
    }

    /// One row to write, `[columns]`.
    pub fn row_mut(&mut self, index: usize) -> &mut [f32] {
        let columns = self.columns;
        &mut self.as_mut_slice()[index * columns..][..columns]
    }

    /// All elements, row after row.
    pub fn as_slice(&self) -> &[f32] {
        &self.floats[self.extent()]
    }

    /// All elements to write, row after row.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        let extent = self.extent();
        &mut self.floats[extent]
    }

    fn extent(&self) -> Range<usize> {
        self.front..self.front + self.rows * self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_begin_on_cache_lines_whatever_their_number() {
        let mut rows = Rows::new(1, 16);
        for count in [1, 3, 100, 7, 1000, 0] {
            rows.reset(count, 48);
            assert_eq!(rows.as_slice().as_ptr().addr() % ALIGNMENT, 0, "{count} rows");
            assert_eq!(rows.as_slice().len(), count * 48);
        }
    }

    #[test]
    fn a_row_is_where_it_was_written() {
        let mut rows = Rows::new(3, 4);
        rows.row_mut(1).fill(2.0);
        assert_eq!(rows.row(0), [0.0; 4]);
        assert_eq!(rows.row(1), [2.0; 4]);
        assert_eq!(rows.as_slice()[4..8], [2.0; 4]);
    }
}
