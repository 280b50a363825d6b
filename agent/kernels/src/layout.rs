//! The packed layout of weights: what is on disk is what the kernels read.
//!
//! Rows are taken in groups of [`ROWS`], a *row tile*; missing rows of the last one are zeros. A row tile is
//! contiguous, begins on 64 bytes, and consists of planes, each holding one part of all its blocks of 32 columns in
//! order of columns (a *block* here is 32 columns of one row; K-quants have eight in each of ggml's blocks of 256):
//!
//! | plane | of | bytes for each block of 32 columns × 16 rows |
//! |---|---|---|
//! | quants | Q4_*, Q5_*, Q6_K | 256: four groups `g` of 64 bytes; byte `4·row + j` has column `4g + j` in its low, `16 + 4g + j` in its high four bits |
//! | quants | Q8_0 | 512: eight groups `h` of 64 bytes; byte `4·row + j` is column `4h + j` |
//! | high | Q5_0, Q5_K | 64: bit `h` of byte `4·row + j` is bit 4 of column `4h + j` |
//! | high | Q6_K | 128: two groups of 64 bytes, of columns 0–15 and 16–31; bits `2i`, `2i+1` of byte `4·row + j` are bits 4, 5 of that group's column `4i + j` |
//! | scales | Q4_0, Q5_0, Q8_0 | 32: `d` of 16 rows, f16 |
//! | scales | Q4_1 | 64: `d` of 16 rows, then `m` of 16 rows, f16 |
//! | scales | Q4_K, Q5_K | 24: for each 256 columns 12 groups of 16 bytes, one byte a row: group `i < 8` has the scale of part `i` in bits 0–5, group `8 + i` the min of part `i < 4`; of min `4 + i` bits 0–1 are bits 6–7 of group `2i`, bits 2–3 those of group `2i + 1`, bits 4–5 those of group `8 + i` |
//! | scales | Q6_K | 32: two groups of 16 bytes, one signed byte a row: the scales of columns 0–15 and 16–31 |
//! | super | Q4_K, Q5_K | 64 for each 256 columns: `d` of 16 rows, then `dmin` of 16 rows, f16 |
//! | super | Q6_K | 32 for each 256 columns: `d` of 16 rows, f16 |
//!
//! Floats have one plane: for each column the elements of 16 rows. After the last plane zeros follow to the next
//! multiple of 64 bytes. A group of 64 bytes is one AVX-512 register, one row of an AMX tile, two AVX2 registers or
//! four of NEON, and in it 4 neighbouring columns of a row lie together as dot-product instructions want them.

mod aligned;
mod ggml;
mod pack;
mod planes;
mod tile;

use crate::kind::Kind;
pub use aligned::AlignedBytes;
pub use pack::{pack, pack_tile, unpack, unpack_tile};
pub use planes::Planes;
pub(crate) use tile::Tile;

/// Rows of a row tile.
pub const ROWS: usize = 16;
/// Columns of a block.
pub const BLOCK: usize = 32;
/// What row tiles are aligned to, in bytes.
pub const ALIGNMENT: usize = 64;

/// Bytes of a row tile of `columns` columns, a multiple of the kind's block; `usize::MAX`, which no memory has, where
/// that is more than can be counted.
pub fn tile_bytes(kind: Kind, columns: usize) -> usize {
    let bytes = kind.row_bytes(columns).saturating_mul(ROWS);
    bytes.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX)
}

/// Bytes of a packed matrix; `usize::MAX`, which no memory has, where that is more than can be counted.
pub fn packed_bytes(kind: Kind, rows: usize, columns: usize) -> usize {
    rows.div_ceil(ROWS).saturating_mul(tile_bytes(kind, columns))
}

#[cfg(test)]
mod tests;
