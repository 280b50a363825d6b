//! The product by definition: what every path gives, to the bit. Slow, bounds-checked and plain.
//!
//! Integers are summed exactly inside a block of 32 columns; for each output one `f32` goes through the blocks in
//! order of columns, by fused multiply-add, `fma(a, b, c) = a · b + c` rounded once. `a` is a quant and `da` the
//! scale of the block of activations, `sa = da · Σa`:
//!
//! - Q4_0, Q5_0, Q8_0: `acc = fma(Σ q·a, d·da, acc)`
//! - Q4_1: the same, then `acc = fma(m, sa, acc)`
//! - Q4_K, Q5_K: from `x = y = 0`, in each of eight parts `x = fma(scale · Σ q·a, da, x)` and
//!   `y = fma(min, sa, y)`; after 256 columns `acc = fma(d, x, acc)`, then `acc = fma(−dmin, y, acc)`
//! - Q6_K: from `x = 0`, in each block of 32 columns, whose halves have scales `s` and `t`,
//!   `x = fma(s · Σ q·a + t · Σ q·a, da, x)`; after 256 columns `acc = fma(d, x, acc)`
//! - floats: column by column, `acc = fma(weight, value, acc)`
//!
//! A block of activations whose largest magnitude is `L` has the scale `da = L / 127` and quants
//! `a = value · (127 / L)`, rounded to the nearest integer, halves to even. Where `127 / L` is more than a float holds
//! (`L < 3.73e-37`, zero among them), scale and quants are 0; where a value is infinite or no number, quants are 0 and
//! the scale is no number, and so is all that is computed from the block. Which of the many floats that are no number
//! comes out is not defined.

use std::ops::Range;

use crate::activations::{Activations, PART, Row};
use crate::kind::Kind;
use crate::layout::{BLOCK, ROWS, Tile};
use crate::matrix::Matrix;

/// As [`super::multiply`].
pub fn multiply(matrix: &Matrix<'_>, tiles: Range<usize>, input: &Activations, output: &mut [f32]) {
    for (index, value) in output.iter_mut().enumerate() {
        let (row, output) = (index / (tiles.len() * ROWS), index % (tiles.len() * ROWS));
        let bytes = matrix.tile(tiles.start + output / ROWS);
        let tile = Tile::new(matrix.kind(), matrix.columns(), bytes);
        *value = element(matrix.kind(), &tile, output % ROWS, input.row(row));
    }
}

fn element(kind: Kind, tile: &Tile<'_>, row: usize, input: Row<'_>) -> f32 {
    let columns = input.values.len();
    let parts = |size: usize| (0..columns).step_by(size);
    match kind {
        Kind::F32 | Kind::F16 | Kind::BF16 => parts(1).fold(0.0, |acc, column| {
            tile.float(row, column).mul_add(input.values[column], acc)
        }),
        Kind::Q4_0 | Kind::Q5_0 | Kind::Q8_0 | Kind::Q4_1 => {
            parts(BLOCK).fold(0.0, |acc, column| block(kind, tile, row, input, column, acc))
        }
        Kind::Q4K | Kind::Q5K | Kind::Q6K => parts(256).fold(0.0, |acc, column| {
            super_block(kind, tile, row, input, column, acc)
        }),
    }
}

fn block(kind: Kind, tile: &Tile<'_>, row: usize, input: Row<'_>, first: usize, acc: f32) -> f32 {
    let da = input.scales[first / BLOCK];
    let sum = dot(tile, row, input, first..first + BLOCK) as f32;
    let acc = sum.mul_add(tile.d(row, first) * da, acc);
    match kind {
        Kind::Q4_1 => tile.m(row, first).mul_add(scaled_sum(input, first), acc),
        _ => acc,
    }
}

fn super_block(kind: Kind, tile: &Tile<'_>, row: usize, input: Row<'_>, first: usize, acc: f32) -> f32 {
    let (mut x, mut y) = (0.0_f32, 0.0_f32);
    for first in (first..first + 256).step_by(BLOCK) {
        let da = input.scales[first / BLOCK];
        let half = |first: usize| tile.scale(row, first) * dot(tile, row, input, first..first + PART);
        x = ((half(first) + half(first + PART)) as f32).mul_add(da, x);
        if kind != Kind::Q6K {
            y = (tile.min(row, first) as f32).mul_add(scaled_sum(input, first), y);
        }
    }
    let acc = tile.d(row, first).mul_add(x, acc);
    match kind {
        Kind::Q6K => acc,
        _ => (-tile.m(row, first)).mul_add(y, acc),
    }
}

/// `Σ q·a`, exactly.
fn dot(tile: &Tile<'_>, row: usize, input: Row<'_>, columns: Range<usize>) -> i32 {
    columns
        .map(|column| tile.quant(row, column) * i32::from(input.quants[column]))
        .sum()
}

/// `sa = da · Σa` of a block.
fn scaled_sum(input: Row<'_>, first: usize) -> f32 {
    let sum = input.sums[first / PART] + input.sums[first / PART + 1];
    input.scales[first / BLOCK] * f32::from(sum)
}
