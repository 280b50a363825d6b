//! Writing keys and values.

use super::{Half, KvKind, KvShape, POSITIONS, TILE, TILES, float16};
use crate::layout::BLOCK;
use crate::path::{Path, on_each_path};

/// One KV head of one layer in a block, as it is written.
#[derive(Debug)]
pub struct KvHeadMut<'a> {
    shape: KvShape,
    keys: &'a mut [u8],
    values: &'a mut [u8],
}

impl<'a> KvHeadMut<'a> {
    pub(super) fn new(shape: KvShape, bytes: &'a mut [u8]) -> Self {
        let (keys, values) = bytes.split_at_mut(shape.part_bytes());
        Self { shape, keys, values }
    }

    /// Rounds and keeps the key and the value, `[head_dim]` each, of one of the 64 positions.
    pub fn write(&mut self, path: Path, position: usize, key: &[f32], value: &[f32]) {
        assert!(position < POSITIONS, "position {position} of {POSITIONS}");
        let head_dim = self.shape.head_dim;
        assert_eq!(
            (key.len(), value.len()),
            (head_dim, head_dim),
            "dimensions of a head"
        );
        match self.shape.kind {
            KvKind::F16 => write_f16(path, self, position, key, value),
            KvKind::Q8 => write_q8(path, self, position, key, value),
        }
    }
}

on_each_path! {
    fn write_f16(head: &mut KvHeadMut<'_>, position: usize, key: &[f32], value: &[f32]) = write_f16_body
}

#[inline(always)]
fn write_f16_body(head: &mut KvHeadMut<'_>, position: usize, key: &[f32], value: &[f32]) {
    let (tile, lane) = (position / TILE, position % TILE);
    let dims = key.len();
    let columns = as_halves(head.keys)[tile * TILE * dims..][..TILE * dims].chunks_exact_mut(TILE);
    let (parts, _) = key.as_chunks::<BLOCK>();
    for (column, half) in columns.zip(parts.iter().flat_map(|part| part.map(float16::from_f32))) {
        column[lane] = half;
    }
    let row = &mut as_halves(head.values)[position * dims..][..dims];
    for (half, &value) in row.iter_mut().zip(value) {
        *half = float16::from_f32(value);
    }
}

on_each_path! {
    fn write_q8(head: &mut KvHeadMut<'_>, position: usize, key: &[f32], value: &[f32]) = write_q8_body
}

#[inline(always)]
fn write_q8_body(head: &mut KvHeadMut<'_>, position: usize, key: &[f32], value: &[f32]) {
    let (tile, lane) = (position / TILE, position % TILE);
    let (dims, parts) = (key.len(), key.len() / BLOCK);
    let (keys, key_scales) = head.keys.split_at_mut(POSITIONS * dims);
    let keys = &mut keys[tile * TILE * dims..][..TILE * dims];
    for (part, values) in key.as_chunks::<BLOCK>().0.iter().enumerate() {
        let (quants, scale) = round(values);
        let groups = keys[part * TILE * BLOCK..][..TILE * BLOCK].chunks_exact_mut(4 * TILE);
        for (group, quants) in groups.zip(quants.as_chunks::<4>().0) {
            group[4 * lane..][..4].copy_from_slice(quants);
        }
        as_halves(key_scales)[(tile * parts + part) * TILE + lane] = scale;
    }
    let (rows, value_scales) = head.values.split_at_mut(POSITIONS * dims);
    let row = rows[position * dims..][..dims].as_chunks_mut::<BLOCK>().0;
    for (part, (values, kept)) in value.as_chunks::<BLOCK>().0.iter().zip(row).enumerate() {
        let (quants, scale) = round(values);
        *kept = quants;
        as_halves(value_scales)[(part * TILES + tile) * TILE + lane] = scale;
    }
}

/// Rounds 32 dimensions to q8, halves to even. The scale is rounded first, so that quants are right for the scale that
/// is kept. Infinity becomes the largest there is; where one is NaN the scale is, and all 32 read as NaN: what went wrong
/// is to show, as it does in f16, and not to be taken for zeros.
#[inline(always)]
fn round(values: &[f32; BLOCK]) -> ([u8; BLOCK], Half) {
    if values.iter().fold(false, |any, value| any | value.is_nan()) {
        return ([0; BLOCK], float16::from_f32(f32::NAN));
    }
    let largest = values
        .iter()
        .fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let half = float16::from_f32(largest / 127.0);
    let scale = float16::to_f32(half);
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    (values.map(|value| nearest(value * inverse)), half)
}

/// The nearest integer from −127 to 127 as the byte of an `i8`, of two the even one.
#[inline(always)]
fn nearest(value: f32) -> u8 {
    /// Of this size a float has no place for halves: adding it rounds, and leaves the integer in the lowest bits.
    const SHIFT: f32 = 12_582_912.0;
    let clamped = value.clamp(-127.0, 127.0);
    (clamped + SHIFT).to_bits() as u8
}

fn as_halves(bytes: &mut [u8]) -> &mut [Half] {
    bytes.as_chunks_mut().0
}
