//! Disjoint parts of one slice, written by several threads.
//!
//! A [`Grid`] cuts a row-major matrix into blocks and gives each of them away once, so that code which shares work
//! out needs no `unsafe`: a block that is asked for twice is a panic, in every build.
#![allow(unsafe_code, reason = "the one file that lends parts of a slice to threads")]

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most blocks of a grid.
pub const BLOCKS: usize = 1024;

/// A matrix `[rows, columns]` cut into blocks of `[block_rows, block_columns]`; the last ones may be smaller.
#[derive(Debug)]
pub struct Grid<'a, T> {
    elements: *mut T,
    rows: usize,
    columns: usize,
    block_rows: usize,
    block_columns: usize,
    taken: [AtomicU64; BLOCKS / 64],
    borrowed: PhantomData<&'a mut [T]>,
}

// SAFETY: a grid only gives away `&mut [T]`, each element once, which may go to other threads where `T` may.
unsafe impl<T: Send> Send for Grid<'_, T> {}
// SAFETY: as above; which blocks are taken is atomic.
unsafe impl<T: Send> Sync for Grid<'_, T> {}

/// One block of a [`Grid`].
#[derive(Debug)]
pub struct Block<'a, T> {
    elements: *mut T,
    rows: usize,
    columns: usize,
    stride: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

// SAFETY: a block is the only access to its elements, as `&mut [T]` is.
unsafe impl<T: Send> Send for Block<'_, T> {}

impl<'a, T> Grid<'a, T> {
    /// Cuts `elements`, `[rows, columns]`. At most [`BLOCKS`] blocks; no dimension of a block is 0.
    pub fn new(elements: &'a mut [T], columns: usize, block_rows: usize, block_columns: usize) -> Self {
        assert!(block_rows > 0 && block_columns > 0, "blocks have elements");
        let rows = elements.len().checked_div(columns).unwrap_or(0);
        assert_eq!(rows * columns, elements.len(), "whole rows of {columns} columns");
        let blocks = rows.div_ceil(block_rows) * columns.div_ceil(block_columns);
        assert!(blocks <= BLOCKS, "{blocks} blocks, of which {BLOCKS} are allowed");
        Self {
            elements: elements.as_mut_ptr(),
            rows,
            columns,
            block_rows,
            block_columns,
            taken: [const { AtomicU64::new(0) }; BLOCKS / 64],
            borrowed: PhantomData,
        }
    }

    /// Blocks down.
    pub fn down(&self) -> usize {
        self.rows.div_ceil(self.block_rows)
    }

    /// Blocks across.
    pub fn across(&self) -> usize {
        self.columns.div_ceil(self.block_columns)
    }

    /// The block in that place.
    ///
    /// # Panics
    /// Where there is none, or it was taken before.
    pub fn take(&self, down: usize, across: usize) -> Block<'a, T> {
        assert!(
            down < self.down() && across < self.across(),
            "block ({down}, {across}) of {} × {}",
            self.down(),
            self.across()
        );
        let index = down * self.across() + across;
        let bit = 1 << (index % 64);
        // Relaxed: the pool orders what threads do; this only tells the second taker from the first.
        let before = self.taken[index / 64].fetch_or(bit, Ordering::Relaxed);
        assert_eq!(before & bit, 0, "block ({down}, {across}) is taken twice");
        let (row, column) = (down * self.block_rows, across * self.block_columns);
        Block {
            // SAFETY: row < rows and column < columns, so the element is in the slice that `new` borrowed.
            elements: unsafe { self.elements.add(row * self.columns + column) },
            rows: self.block_rows.min(self.rows - row),
            columns: self.block_columns.min(self.columns - column),
            stride: self.columns,
            borrowed: PhantomData,
        }
    }
}

impl<T> Block<'_, T> {
    /// Its rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Its columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One of its rows, `[columns]`.
    pub fn row(&mut self, index: usize) -> &mut [T] {
        self.part(index, 0..self.columns)
    }

    /// Neighbouring columns of one of its rows.
    pub fn part(&mut self, index: usize, columns: Range<usize>) -> &mut [T] {
        assert!(index < self.rows, "row {index} of {}", self.rows);
        assert!(
            columns.start <= columns.end && columns.end <= self.columns,
            "columns {columns:?} of {}",
            self.columns
        );
        // SAFETY: the elements are inside the block, which the grid gave away only once, and the borrow of `self`
        // keeps a second slice from being made while this one lives.
        unsafe {
            let first = self.elements.add(index * self.stride + columns.start);
            std::slice::from_raw_parts_mut(first, columns.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_element_once() {
        let mut elements = vec![0_u8; 5 * 7];
        let grid = Grid::new(&mut elements, 7, 2, 3);
        assert_eq!((grid.down(), grid.across()), (3, 3));
        for down in 0..3 {
            for across in 0..3 {
                let mut block = grid.take(down, across);
                for row in 0..block.rows() {
                    block.row(row).iter_mut().for_each(|element| *element += 1);
                }
            }
        }
        assert_eq!(elements, vec![1; 5 * 7]);
    }

    #[test]
    fn threads_write_neighbouring_blocks() {
        let mut elements = vec![0_usize; 4 * 4];
        let grid = Grid::new(&mut elements, 4, 4, 2);
        std::thread::scope(|scope| {
            for across in 0..2 {
                let grid = &grid;
                scope.spawn(move || {
                    let mut block = grid.take(0, across);
                    for row in 0..4 {
                        block.row(row).fill(across + 1);
                    }
                });
            }
        });
        assert_eq!(elements, [1, 1, 2, 2].repeat(4));
    }

    #[test]
    fn a_grid_of_nothing_has_no_blocks() {
        let grid = Grid::<f32>::new(&mut [], 8, 1, 1);
        assert_eq!((grid.down(), grid.across()), (0, 8));
    }

    #[test]
    #[should_panic(expected = "taken twice")]
    fn a_block_is_given_once() {
        let mut elements = [0; 4];
        let grid = Grid::new(&mut elements, 4, 1, 2);
        let _first = grid.take(0, 1);
        let _second = grid.take(0, 1);
    }

    #[test]
    #[should_panic(expected = "block (1, 0) of 1 × 2")]
    fn there_is_nothing_past_the_last_block() {
        let mut elements = [0; 4];
        let _block = Grid::new(&mut elements, 4, 1, 2).take(1, 0);
    }
}
