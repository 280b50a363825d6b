//! How quants are stored, and their products with those of activations.

use super::vectors::{Quad, Vectors};
use crate::layout::Planes;

/// The quants of a row tile.
pub(super) trait Quants<'a, V: Vectors>: Copy {
    /// Those of a block, unpacked: four columns in each.
    type Block: Copy;

    /// Bytes of a block.
    const BYTES: usize;

    /// Those of a row tile.
    fn of(planes: &Planes<'a>) -> Self;

    /// Unpacks a block.
    fn block(&self, v: V, block: usize, at: usize) -> Self::Block;

    /// `Σ (quant − what stands for zero) · activation` of a block; `sums` are those of the activations' halves.
    fn dot(v: V, weights: &Self::Block, quants: &[Quad; 8], sums: [i16; 2]) -> V::Ints;
}

/// Four bits each; `ZERO` is subtracted from them.
#[derive(Clone, Copy)]
pub(super) struct FourBits<'a, const ZERO: i16> {
    low: &'a [[[u8; 64]; 4]],
}

impl<'a, V: Vectors, const ZERO: i16> Quants<'a, V> for FourBits<'a, ZERO> {
    type Block = [V::Bytes; 8];
    const BYTES: usize = 256;

    #[inline(always)]
    fn of(planes: &Planes<'a>) -> Self {
        Self {
            low: planes.quants.as_chunks().0.as_chunks().0,
        }
    }

    #[inline(always)]
    fn block(&self, v: V, block: usize, at: usize) -> [V::Bytes; 8] {
        nibbles(v, &self.low[block], at)
    }

    #[inline(always)]
    fn dot(v: V, weights: &[V::Bytes; 8], quants: &[Quad; 8], sums: [i16; 2]) -> V::Ints {
        v.dot::<15, 8>(minus_zero::<V, ZERO>(v, sums), weights, quants)
    }
}

/// Five bits each; `ZERO` is subtracted from them.
#[derive(Clone, Copy)]
pub(super) struct FiveBits<'a, const ZERO: i16> {
    low: &'a [[[u8; 64]; 4]],
    high: &'a [[u8; 64]],
}

impl<'a, V: Vectors, const ZERO: i16> Quants<'a, V> for FiveBits<'a, ZERO> {
    type Block = [V::Bytes; 8];
    const BYTES: usize = 320;

    #[inline(always)]
    fn of(planes: &Planes<'a>) -> Self {
        Self {
            low: planes.quants.as_chunks().0.as_chunks().0,
            high: planes.high.as_chunks().0,
        }
    }

    /// Bit `h` of `high` becomes bit 4 of the columns `4h..4h + 4`.
    #[inline(always)]
    fn block(&self, v: V, block: usize, at: usize) -> [V::Bytes; 8] {
        let [a, b, c, d, e, f, g, h] = nibbles(v, &self.low[block], at);
        let high = v.bytes(&self.high[block], at);
        [
            v.insert::<4, 0, 16>(a, high),
            v.insert::<3, 0, 16>(b, high),
            v.insert::<2, 0, 16>(c, high),
            v.insert::<1, 0, 16>(d, high),
            v.insert::<0, 0, 16>(e, high),
            v.insert::<0, 1, 16>(f, high),
            v.insert::<0, 2, 16>(g, high),
            v.insert::<0, 3, 16>(h, high),
        ]
    }

    #[inline(always)]
    fn dot(v: V, weights: &[V::Bytes; 8], quants: &[Quad; 8], sums: [i16; 2]) -> V::Ints {
        v.dot::<31, 8>(minus_zero::<V, ZERO>(v, sums), weights, quants)
    }
}

/// Eight bits each, signed.
#[derive(Clone, Copy)]
pub(super) struct EightBits<'a> {
    bytes: &'a [[[u8; 64]; 8]],
}

impl<'a, V: Vectors> Quants<'a, V> for EightBits<'a> {
    type Block = [V::SignedBytes; 8];
    const BYTES: usize = 512;

    #[inline(always)]
    fn of(planes: &Planes<'a>) -> Self {
        Self {
            bytes: planes.quants.as_chunks().0.as_chunks().0,
        }
    }

    #[inline(always)]
    fn block(&self, v: V, block: usize, at: usize) -> [V::SignedBytes; 8] {
        let [a, b, c, d, e, f, g, h] = &self.bytes[block];
        let load = |group| v.signed(v.bytes(group, at));
        [
            load(a),
            load(b),
            load(c),
            load(d),
            load(e),
            load(f),
            load(g),
            load(h),
        ]
    }

    #[inline(always)]
    fn dot(v: V, weights: &[V::SignedBytes; 8], quants: &[Quad; 8], sums: [i16; 2]) -> V::Ints {
        v.signed_dot(weights, quants, sums)
    }
}

/// The six bits of Q6_K: two halves of 16 columns.
#[derive(Clone, Copy)]
pub(super) struct SixBits<'a> {
    low: &'a [[[u8; 64]; 4]],
    high: &'a [[[u8; 64]; 2]],
}

impl<'a> SixBits<'a> {
    /// Those of a row tile.
    #[inline(always)]
    pub(super) fn of(planes: &Planes<'a>) -> Self {
        Self {
            low: planes.quants.as_chunks().0.as_chunks().0,
            high: planes.high.as_chunks().0.as_chunks().0,
        }
    }

    /// Unpacks a block. Bits `2i` and `2i + 1` of a half's `high` become bits 4 and 5 of its columns `4i..4i + 4`.
    #[inline(always)]
    pub(super) fn block<V: Vectors>(&self, v: V, block: usize, at: usize) -> [[V::Bytes; 4]; 2] {
        let [a, b, c, d, e, f, g, h] = nibbles(v, &self.low[block], at);
        let [first, second] = &self.high[block];
        let (first, second) = (v.bytes(first, at), v.bytes(second, at));
        [
            [
                v.insert::<4, 0, 48>(a, first),
                v.insert::<2, 0, 48>(b, first),
                v.insert::<0, 0, 48>(c, first),
                v.insert::<0, 2, 48>(d, first),
            ],
            [
                v.insert::<4, 0, 48>(e, second),
                v.insert::<2, 0, 48>(f, second),
                v.insert::<0, 0, 48>(g, second),
                v.insert::<0, 2, 48>(h, second),
            ],
        ]
    }
}

/// The 4-bit quants of a block in order of columns.
#[inline(always)]
fn nibbles<V: Vectors>(v: V, groups: &[[u8; 64]; 4], at: usize) -> [V::Bytes; 8] {
    let [a, b, c, d] = groups;
    let (a, b, c, d) = (v.bytes(a, at), v.bytes(b, at), v.bytes(c, at), v.bytes(d, at));
    [
        v.low_nibbles(a),
        v.low_nibbles(b),
        v.low_nibbles(c),
        v.low_nibbles(d),
        v.high_nibbles(a),
        v.high_nibbles(b),
        v.high_nibbles(c),
        v.high_nibbles(d),
    ]
}

/// `−ZERO · Σ activation`, where a sum of products begins.
#[inline(always)]
fn minus_zero<V: Vectors, const ZERO: i16>(v: V, sums: [i16; 2]) -> V::Ints {
    match ZERO {
        0 => v.none(),
        _ => v.weighted(sums, [-ZERO; 2]),
    }
}
