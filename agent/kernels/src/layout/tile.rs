//! A row tile read element by element: the layout in code, where nothing is fast but everything plain to see.

use half::{bf16, f16};

use crate::kind::Kind;
use crate::layout::{BLOCK, Planes, ROWS};

/// Columns that share a super scale in a K-quant.
const SUPER: usize = 256;

/// A row tile whose elements are asked for by row, `0..16`, and column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile<'a> {
    kind: Kind,
    planes: Planes<'a>,
}

impl<'a> Tile<'a> {
    /// Looks at the bytes of a row tile of `columns` columns.
    pub(crate) fn new(kind: Kind, columns: usize, bytes: &'a [u8]) -> Self {
        Self {
            kind,
            planes: Planes::of(kind, columns, bytes),
        }
    }

    /// The element of a float kind.
    pub(crate) fn float(&self, row: usize, column: usize) -> f32 {
        let (plane, index) = (self.planes.quants, ROWS * column + row);
        match self.kind {
            Kind::F16 => half(plane, index),
            Kind::BF16 => bf16::from_le_bytes([plane[2 * index], plane[2 * index + 1]]).to_f32(),
            _ => f32::from_le_bytes(std::array::from_fn(|byte| plane[4 * index + byte])),
        }
    }

    /// The quant of a quantised kind, what stands for zero taken off: from −128 to 127.
    pub(crate) fn quant(&self, row: usize, column: usize) -> i32 {
        let bits = self.low(row, column) | self.high(row, column) << 4;
        match self.kind {
            Kind::Q4_0 => i32::from(bits) - 8,
            Kind::Q5_0 => i32::from(bits) - 16,
            Kind::Q6K => i32::from(bits) - 32,
            Kind::Q8_0 => i32::from(bits.cast_signed()),
            _ => i32::from(bits),
        }
    }

    fn low(&self, row: usize, column: usize) -> u8 {
        let (block, i) = (column / BLOCK, column % BLOCK);
        if self.kind == Kind::Q8_0 {
            return self.planes.quants[512 * block + 64 * (i / 4) + 4 * row + i % 4];
        }
        let byte = self.planes.quants[256 * block + 64 * (i % 16 / 4) + 4 * row + i % 4];
        if i < 16 { byte & 15 } else { byte >> 4 }
    }

    fn high(&self, row: usize, column: usize) -> u8 {
        let (block, i) = (column / BLOCK, column % BLOCK);
        match self.kind {
            Kind::Q5_0 | Kind::Q5K => (self.planes.high[64 * block + 4 * row + i % 4] >> (i / 4)) & 1,
            Kind::Q6K => {
                let byte = self.planes.high[128 * block + 64 * (i / 16) + 4 * row + i % 4];
                (byte >> (2 * (i % 16 / 4))) & 3
            }
            _ => 0,
        }
    }

    /// The scale `d` of a column's block of ggml's.
    pub(crate) fn d(&self, row: usize, column: usize) -> f32 {
        match self.kind {
            Kind::Q4_1 => half(self.planes.scales, 2 * ROWS * (column / BLOCK) + row),
            Kind::Q4K | Kind::Q5K => half(self.planes.supers, 2 * ROWS * (column / SUPER) + row),
            Kind::Q6K => half(self.planes.supers, ROWS * (column / SUPER) + row),
            _ => half(self.planes.scales, ROWS * (column / BLOCK) + row),
        }
    }

    /// What is added to (`m` of Q4_1) or subtracted from (`dmin` of Q4_K and Q5_K) a column's product.
    pub(crate) fn m(&self, row: usize, column: usize) -> f32 {
        match self.kind {
            Kind::Q4_1 => half(self.planes.scales, 2 * ROWS * (column / BLOCK) + ROWS + row),
            _ => half(self.planes.supers, 2 * ROWS * (column / SUPER) + ROWS + row),
        }
    }

    /// The integer scale of a K-quant's part.
    pub(crate) fn scale(&self, row: usize, column: usize) -> i32 {
        match self.kind {
            Kind::Q6K => i32::from(self.planes.scales[ROWS * (column / 16) + row].cast_signed()),
            _ => i32::from(self.group(row, column, column % SUPER / BLOCK) & 63),
        }
    }

    /// The integer min of a part of Q4_K or Q5_K.
    pub(crate) fn min(&self, row: usize, column: usize) -> i32 {
        let part = column % SUPER / BLOCK;
        let min = match part.checked_sub(4) {
            None => self.group(row, column, 8 + part) & 63,
            Some(i) => {
                let upper = |group: usize| self.group(row, column, group) >> 6;
                upper(2 * i) | upper(2 * i + 1) << 2 | upper(8 + i) << 4
            }
        };
        i32::from(min)
    }

    fn group(&self, row: usize, column: usize, group: usize) -> u8 {
        self.planes.scales[ROWS * (12 * (column / SUPER) + group) + row]
    }

    /// The weight as ggml dequantises it, to the bit.
    pub(crate) fn value(&self, row: usize, column: usize) -> f32 {
        let quant = || self.quant(row, column) as f32;
        let d = || self.d(row, column);
        let scale = || self.scale(row, column) as f32;
        match self.kind {
            Kind::F32 | Kind::F16 | Kind::BF16 => self.float(row, column),
            Kind::Q4_0 | Kind::Q5_0 | Kind::Q8_0 => quant() * d(),
            Kind::Q4_1 => quant() * d() + self.m(row, column),
            Kind::Q4K | Kind::Q5K => {
                d() * scale() * quant() - self.m(row, column) * self.min(row, column) as f32
            }
            Kind::Q6K => d() * scale() * quant(),
        }
    }

    /// The weight exactly, as a product and what is added to it.
    pub(crate) fn exactly(&self, row: usize, column: usize) -> (f64, f64) {
        let quant = || f64::from(self.quant(row, column));
        let d = || f64::from(self.d(row, column));
        let m = || f64::from(self.m(row, column));
        let scale = || f64::from(self.scale(row, column));
        match self.kind {
            Kind::F32 | Kind::F16 | Kind::BF16 => (f64::from(self.float(row, column)), 0.0),
            Kind::Q4_0 | Kind::Q5_0 | Kind::Q8_0 => (d() * quant(), 0.0),
            Kind::Q4_1 => (d() * quant(), m()),
            Kind::Q4K | Kind::Q5K => (d() * scale() * quant(), -m() * f64::from(self.min(row, column))),
            Kind::Q6K => (d() * scale() * quant(), 0.0),
        }
    }
}

/// The 16-bit float of that index.
fn half(plane: &[u8], index: usize) -> f32 {
    f16::from_le_bytes([plane[2 * index], plane[2 * index + 1]]).to_f32()
}
