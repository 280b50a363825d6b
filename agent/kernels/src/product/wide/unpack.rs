//! Quants as signed bytes, in plain Rust: it is inlined where it is compiled for vectors.

use crate::kind::Kind;
use crate::layout::{Planes, ROWS};

/// The quants of a block, less what stands for zero: `[h][4 · row + j]` is column `4h + j`.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct SignedBlock(pub(super) [[i8; 4 * ROWS]; 8]);

impl SignedBlock {
    pub(super) const ZERO: Self = Self([[0; 4 * ROWS]; 8]);
}

/// Unpacks all blocks of a row tile.
#[inline(always)]
pub(super) fn unpack(kind: Kind, planes: &Planes<'_>, blocks: &mut [SignedBlock]) {
    match kind {
        Kind::F32 | Kind::F16 | Kind::BF16 => {}
        Kind::Q4_0 => nibbles::<8>(planes, blocks),
        Kind::Q4_1 | Kind::Q4K => nibbles::<0>(planes, blocks),
        Kind::Q5_0 => five_bits::<16>(planes, blocks),
        Kind::Q5K => five_bits::<0>(planes, blocks),
        Kind::Q6K => six_bits(planes, blocks),
        Kind::Q8_0 => eight_bits(planes, blocks),
    }
}

#[inline(always)]
fn nibbles<const ZERO: i8>(planes: &Planes<'_>, blocks: &mut [SignedBlock]) {
    let (low, _) = planes.quants.as_chunks::<{ 4 * ROWS }>().0.as_chunks::<4>();
    for (low, SignedBlock(block)) in low.iter().zip(blocks) {
        for (group, column) in block.iter_mut().enumerate() {
            for (quant, &byte) in column.iter_mut().zip(&low[group % 4]) {
                *quant = nibble(byte, group).cast_signed() - ZERO;
            }
        }
    }
}

/// Bit `h` of `high` is bit 4 of the columns `4h..4h + 4`.
#[inline(always)]
fn five_bits<const ZERO: i8>(planes: &Planes<'_>, blocks: &mut [SignedBlock]) {
    let (low, _) = planes.quants.as_chunks::<{ 4 * ROWS }>().0.as_chunks::<4>();
    let (high, _) = planes.high.as_chunks::<{ 4 * ROWS }>();
    for ((low, high), SignedBlock(block)) in low.iter().zip(high).zip(blocks) {
        for (group, column) in block.iter_mut().enumerate() {
            for ((quant, &byte), &high) in column.iter_mut().zip(&low[group % 4]).zip(high) {
                let upper = high >> group << 4 & 0x10;
                *quant = (nibble(byte, group) | upper).cast_signed() - ZERO;
            }
        }
    }
}

/// Bits `2i` and `2i + 1` of a half's `high` are bits 4 and 5 of its columns `4i..4i + 4`.
#[inline(always)]
fn six_bits(planes: &Planes<'_>, blocks: &mut [SignedBlock]) {
    let (low, _) = planes.quants.as_chunks::<{ 4 * ROWS }>().0.as_chunks::<4>();
    let (high, _) = planes.high.as_chunks::<{ 4 * ROWS }>().0.as_chunks::<2>();
    for ((low, high), SignedBlock(block)) in low.iter().zip(high).zip(blocks) {
        for (group, column) in block.iter_mut().enumerate() {
            let high = &high[group / 4];
            for ((quant, &byte), &high) in column.iter_mut().zip(&low[group % 4]).zip(high) {
                let upper = high >> (2 * (group % 4)) << 4 & 0x30;
                *quant = (nibble(byte, group) | upper).cast_signed() - 32;
            }
        }
    }
}

#[inline(always)]
fn eight_bits(planes: &Planes<'_>, blocks: &mut [SignedBlock]) {
    let (bytes, _) = planes.quants.as_chunks::<{ 4 * ROWS }>().0.as_chunks::<8>();
    for (bytes, SignedBlock(block)) in bytes.iter().zip(blocks) {
        *block = bytes.map(|column| column.map(u8::cast_signed));
    }
}

/// The low four bits for the first 16 columns, the high four for the others.
#[inline(always)]
fn nibble(byte: u8, group: usize) -> u8 {
    if group < 4 { byte & 15 } else { byte >> 4 }
}
