//! The planes of a row tile.

use crate::kind::Kind;
use crate::layout::ROWS;

/// What a plane is made of: groups of 16 elements, one of each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plane {
    /// Bytes of an element: 1, 2 or 4.
    pub(super) element: usize,
    /// Bytes of one row in each block of ggml's.
    pub(super) row: usize,
}

const fn plane(element: usize, row: usize) -> Plane {
    Plane { element, row }
}

/// The planes of a kind in their order: quants, high, scales, super. One that the kind lacks has no bytes.
pub(super) fn planes(kind: Kind) -> [Plane; 4] {
    let none = plane(1, 0);
    match kind {
        Kind::F32 => [plane(4, 4), none, none, none],
        Kind::F16 | Kind::BF16 => [plane(2, 2), none, none, none],
        Kind::Q4_0 => [plane(4, 16), none, plane(2, 2), none],
        Kind::Q4_1 => [plane(4, 16), none, plane(2, 4), none],
        Kind::Q5_0 => [plane(4, 16), plane(4, 4), plane(2, 2), none],
        Kind::Q8_0 => [plane(4, 32), none, plane(2, 2), none],
        Kind::Q4K => [plane(4, 128), none, plane(1, 12), plane(2, 4)],
        Kind::Q5K => [plane(4, 128), plane(4, 32), plane(1, 12), plane(2, 4)],
        Kind::Q6K => [plane(4, 128), plane(4, 64), plane(1, 16), plane(2, 2)],
    }
}

/// A row tile taken apart; a plane that the kind lacks is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planes<'a> {
    /// The low bits of the quants; of floats all there is.
    pub quants: &'a [u8],
    /// The high bits of the quants.
    pub high: &'a [u8],
    /// The scales of blocks.
    pub scales: &'a [u8],
    /// The scales of 256 columns.
    pub supers: &'a [u8],
}

impl<'a> Planes<'a> {
    /// Takes a row tile of `columns` columns apart.
    pub fn of(kind: Kind, columns: usize, tile: &'a [u8]) -> Self {
        let mut rest = tile;
        let [quants, high, scales, supers] = planes(kind).map(|plane| {
            let (this, after) = rest.split_at(plane.row * ROWS * (columns / kind.block_columns()));
            rest = after;
            this
        });
        Self {
            quants,
            high,
            scales,
            supers,
        }
    }
}
