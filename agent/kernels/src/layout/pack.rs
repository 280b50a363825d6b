//! From ggml's rows to row tiles and back.
//!
//! A block of ggml's is first arranged, its bytes in the order of the planes ([`super::ggml`]); then its elements are
//! dealt out to the groups of 16 rows.

use crate::kind::Kind;
use crate::layout::ggml::{LARGEST_BLOCK, arrange, restore};
use crate::layout::planes::planes;
use crate::layout::{ROWS, packed_bytes, tile_bytes};

/// Packs a matrix: `source` is `rows` rows in ggml's layout, `target` has [`packed_bytes`].
///
/// # Panics
/// If there are no columns, or `source` or `target` are not of that many bytes.
pub fn pack(kind: Kind, rows: usize, columns: usize, source: &[u8], target: &mut [u8]) {
    check(kind, rows, columns, source, target);
    let tiles = target.chunks_exact_mut(tile_bytes(kind, columns));
    for (rows, tile) in source.chunks(kind.row_bytes(columns) * ROWS).zip(tiles) {
        pack_tile(kind, columns, rows, tile);
    }
}

/// The inverse of [`pack`], to the bit: `source` has [`packed_bytes`], `target` takes `rows` rows in ggml's layout.
///
/// # Panics
/// If there are no columns, or `source` or `target` are not of that many bytes.
pub fn unpack(kind: Kind, rows: usize, columns: usize, source: &[u8], target: &mut [u8]) {
    check(kind, rows, columns, target, source);
    let tiles = source.chunks_exact(tile_bytes(kind, columns));
    for (rows, tile) in target.chunks_mut(kind.row_bytes(columns) * ROWS).zip(tiles) {
        unpack_tile(kind, columns, tile, rows);
    }
}

fn check(kind: Kind, rows: usize, columns: usize, ggml: &[u8], packed: &[u8]) {
    assert_eq!(
        ggml.len(),
        rows.saturating_mul(kind.row_bytes(columns)),
        "bytes of ggml's rows"
    );
    assert_eq!(
        packed.len(),
        packed_bytes(kind, rows, columns),
        "bytes of a packed matrix"
    );
}

/// Packs one row tile: `rows` is up to 16 rows in ggml's layout, `tile` has [`tile_bytes`].
///
/// # Panics
/// If `tile` is not of that many bytes.
pub fn pack_tile(kind: Kind, columns: usize, rows: &[u8], tile: &mut [u8]) {
    assert_eq!(tile.len(), tile_bytes(kind, columns), "bytes of a row tile");
    tile.fill(0);
    let mut arranged = [0; LARGEST_BLOCK];
    let arranged = &mut arranged[..kind.block_bytes()];
    for (row, blocks) in rows.chunks_exact(kind.row_bytes(columns)).enumerate() {
        for (index, block) in blocks.chunks_exact(kind.block_bytes()).enumerate() {
            arrange(kind, block, arranged);
            for place in places(kind, columns, index, row) {
                place.deal(arranged, tile);
            }
        }
    }
}

/// The inverse of [`pack_tile`], to the bit: as many rows as `rows` has room for.
///
/// # Panics
/// If `tile` has not [`tile_bytes`].
pub fn unpack_tile(kind: Kind, columns: usize, tile: &[u8], rows: &mut [u8]) {
    assert_eq!(tile.len(), tile_bytes(kind, columns), "bytes of a row tile");
    let mut arranged = [0; LARGEST_BLOCK];
    let arranged = &mut arranged[..kind.block_bytes()];
    for (row, blocks) in rows.chunks_exact_mut(kind.row_bytes(columns)).enumerate() {
        for (index, block) in blocks.chunks_exact_mut(kind.block_bytes()).enumerate() {
            for place in places(kind, columns, index, row) {
                place.gather(tile, arranged);
            }
            restore(kind, arranged, block);
        }
    }
}

/// Where one plane's part of one arranged block lies.
struct Place {
    /// Bytes of an element.
    element: usize,
    /// First byte in the arranged block.
    first: usize,
    /// Bytes in the arranged block.
    bytes: usize,
    /// The first element's first byte in the tile; further ones follow 16 elements apart.
    tile: usize,
}

/// The places of block `index` of a row, one for each plane that the kind has.
fn places(kind: Kind, columns: usize, index: usize, row: usize) -> impl Iterator<Item = Place> {
    let blocks = columns / kind.block_columns();
    let mut first = 0;
    let planes = planes(kind).into_iter().filter(|plane| plane.row > 0);
    planes.map(move |plane| {
        let place = Place {
            element: plane.element,
            first,
            bytes: plane.row,
            tile: (first * blocks + plane.row * index) * ROWS + plane.element * row,
        };
        first += plane.row;
        place
    })
}

impl Place {
    fn deal(&self, arranged: &[u8], tile: &mut [u8]) {
        let from = &arranged[self.first..][..self.bytes];
        match self.element {
            4 => deal::<4>(from, &mut tile[self.tile..]),
            2 => deal::<2>(from, &mut tile[self.tile..]),
            _ => deal::<1>(from, &mut tile[self.tile..]),
        }
    }

    fn gather(&self, tile: &[u8], arranged: &mut [u8]) {
        let to = &mut arranged[self.first..][..self.bytes];
        match self.element {
            4 => gather::<4>(&tile[self.tile..], to),
            2 => gather::<2>(&tile[self.tile..], to),
            _ => gather::<1>(&tile[self.tile..], to),
        }
    }
}

/// Writes elements of `N` bytes 16 elements apart.
fn deal<const N: usize>(from: &[u8], to: &mut [u8]) {
    for (element, group) in from.as_chunks::<N>().0.iter().zip(to.chunks_mut(N * ROWS)) {
        group[..N].copy_from_slice(element);
    }
}

/// Reads elements of `N` bytes that are 16 elements apart.
fn gather<const N: usize>(from: &[u8], to: &mut [u8]) {
    for (element, group) in to.as_chunks_mut::<N>().0.iter_mut().zip(from.chunks(N * ROWS)) {
        element.copy_from_slice(&group[..N]);
    }
}
