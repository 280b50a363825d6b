//! How much of a product is one chunk: enough that claiming it costs nothing beside it, little enough that threads end
//! together and that nobody waits long for one that lost its core.

use std::ops::Range;

use crate::layout::tile_bytes;
use crate::matrix::Matrix;
use crate::shared::BLOCKS;

/// Shortest chunk, nanoseconds: a claim takes 100, and 400 where threads of distant cores come together, so that two
/// threads with chunks of 1000 were no faster than one.
const SHORTEST: usize = 4_000;
/// Longest chunk, nanoseconds, where a row tile is not longer.
const LONGEST: usize = 50_000;
/// Chunks for each thread, so that the last ones end within a small part of the region.
const EACH: usize = 4;

/// Row tiles of a matrix, shared out in chunks of a fixed number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    tiles: usize,
    step: usize,
}

impl Chunks {
    /// Chunks of about `length` nanoseconds of the product of these matrices, of equally many rows, with `rows` rows
    /// of activations; each a multiple of `multiple` tiles.
    pub(super) fn new(matrices: &[&Matrix<'_>], rows: usize, length: usize, multiple: usize) -> Self {
        let tiles = match rows {
            0 => 0,
            _ => matrices.first().map_or(0, |matrix| matrix.tiles()),
        };
        let cost: usize = matrices.iter().map(|matrix| tile_cost(matrix, rows)).sum();
        let step = (length / cost.max(1)).max(tiles.div_ceil(BLOCKS)).max(1);
        Self {
            tiles,
            step: step.next_multiple_of(multiple),
        }
    }

    /// Chunks of `tiles` tiles each, whatever they take.
    pub(super) fn each(matrix: &Matrix<'_>, tiles: usize) -> Self {
        Self {
            tiles: matrix.tiles(),
            step: tiles,
        }
    }

    /// How many.
    pub(super) fn count(self) -> usize {
        self.tiles.div_ceil(self.step)
    }

    /// Tiles of a chunk, but the last.
    pub(super) fn step(self) -> usize {
        self.step
    }

    /// The tiles of one.
    pub(super) fn tiles(self, chunk: usize) -> Range<usize> {
        let first = chunk * self.step;
        first..(first + self.step).min(self.tiles)
    }
}

/// How long, in nanoseconds, the chunks of a region are in which `matrices` are multiplied with `rows` rows.
pub(super) fn length<'a>(
    matrices: impl IntoIterator<Item = &'a Matrix<'a>>,
    rows: usize,
    threads: usize,
) -> usize {
    let cost = |matrix: &Matrix<'_>| matrix.tiles() * tile_cost(matrix, rows);
    let total: usize = matrices.into_iter().map(cost).sum();
    (total / (threads * EACH)).clamp(SHORTEST, LONGEST)
}

/// About how many nanoseconds one row tile takes: weights at 10 GB/s, multiplications at 48 to the nanosecond. Where
/// a processor is faster or slower, chunks are by as much shorter or longer.
fn tile_cost(matrix: &Matrix<'_>, rows: usize) -> usize {
    tile_bytes(matrix.kind(), matrix.columns()) / 10 + rows * matrix.columns() / 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;
    use crate::layout::{AlignedBytes, packed_bytes};

    fn chunks(rows: usize, columns: usize, batch: usize, threads: usize, multiple: usize) -> Chunks {
        let bytes = AlignedBytes::zeros(packed_bytes(Kind::Q4_0, rows, columns));
        let matrix = Matrix::new(Kind::Q4_0, rows, columns, &bytes).unwrap();
        Chunks::new(&[&matrix], batch, length([&matrix], batch, threads), multiple)
    }

    #[test]
    fn chunks_cover_all_tiles_once() {
        for (rows, columns, batch, threads, multiple) in [
            (576, 576, 1, 4, 1),
            (1536, 576, 128, 2, 2),
            (16, 32, 1, 8, 2),
            (40, 8960, 512, 3, 1),
        ] {
            let chunks = chunks(rows, columns, batch, threads, multiple);
            let tiles: Vec<_> = (0..chunks.count())
                .flat_map(|chunk| chunks.tiles(chunk))
                .collect();
            assert_eq!(tiles, (0..rows.div_ceil(16)).collect::<Vec<_>>());
            assert!(chunks.step().is_multiple_of(multiple));
        }
    }

    #[test]
    fn a_large_matrix_has_no_more_chunks_than_a_grid_has_blocks() {
        assert!(chunks(1 << 20, 32, 512, 64, 2).count() <= BLOCKS);
    }

    #[test]
    fn every_thread_has_something_to_do_where_a_chunk_is_worth_a_claim() {
        assert!(chunks(576, 576, 1, 4, 1).count() >= 4);
        assert_eq!(chunks(16, 32, 1, 4, 1).count(), 1);
    }
}
