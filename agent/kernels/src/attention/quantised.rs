//! Queries rounded to 8 bits, for keys in 8 bits.

use super::block::MOST_TOGETHER;
use super::simd::Simd;
use crate::activations;
use crate::kv::{Elements, KvHead, MOST_DIMENSIONS, Quants};
use crate::layout::BLOCK;
use crate::path::{Path, on_each_path};

/// 32 dimensions of a query, rounded as activations are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// From −127 to 127, the bytes of `i8`.
    pub(super) quants: [u8; BLOCK],
    /// What a quant of 1 stands for.
    pub(super) scale: f32,
    /// Of the quants.
    pub(super) sum: i32,
}

impl Part {
    pub(super) const ZERO: Self = Self {
        quants: [0; BLOCK],
        scale: 0.0,
        sum: 0,
    };

    /// Rounds 32 dimensions.
    #[inline(always)]
    fn round(values: &[f32; BLOCK]) -> Self {
        let (quants, scale) = activations::round(values);
        Self {
            quants: quants.map(i8::cast_unsigned),
            scale,
            sum: quants.iter().map(|&quant| i32::from(quant)).sum(),
        }
    }
}

/// The rounded parts of a few queries, one after the other; empty where keys are floats.
pub(super) struct Few {
    parts: [Part; MOST_TOGETHER * MOST_DIMENSIONS / BLOCK],
    count: usize,
}

impl Few {
    pub(super) fn new(path: Path, head: KvHead<'_>, queries: &[f32]) -> Self {
        let parts = [Part::ZERO; MOST_TOGETHER * MOST_DIMENSIONS / BLOCK];
        let count = match head.elements {
            Elements::F16 { .. } => 0,
            Elements::Q8(_) => queries.len() / BLOCK,
        };
        let mut few = Self { parts, count };
        round(path, queries, &mut few.parts[..count]);
        few
    }

    pub(super) fn as_slice(&self) -> &[Part] {
        &self.parts[..self.count]
    }
}

on_each_path! {
    /// Rounds the first queries, as many as there are parts for.
    pub(super) fn round(queries: &[f32], parts: &mut [Part]) = round_body
}

#[inline(always)]
fn round_body(queries: &[f32], parts: &mut [Part]) {
    for (values, part) in queries.as_chunks::<BLOCK>().0.iter().zip(parts) {
        *part = Part::round(values);
    }
}

/// The scores, not yet scaled, of 16 positions for `Q` queries, `[Q, parts]`.
#[inline(always)]
pub(super) fn scores<S: Simd, const Q: usize>(
    simd: S,
    quants: Quants<'_>,
    tile: usize,
    queries: [&[Part]; Q],
) -> [S::Lanes; Q] {
    let parts = queries[0].len();
    let keys = quants.keys[tile * 8 * parts..][..8 * parts].as_chunks::<8>().0;
    let scales = &quants.key_scales[tile * parts..][..parts];
    let mut sums = [simd.splat(0.0); Q];
    for (part, (keys, scales)) in keys.iter().zip(scales).enumerate() {
        let scales = simd.load_f16(scales);
        for q in 0..Q {
            let query = &queries[q][part];
            let dot = simd.dot(keys, &query.quants, query.sum);
            sums[q] = simd.fma(dot, simd.multiply(simd.splat(query.scale), scales), sums[q]);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_rounded_as_activations_are() {
        for largest in [1e-45, 1e-40, 1e-37, 3.8e-37, 0.3, 1e38, f32::INFINITY, f32::NAN] {
            let query: [f32; BLOCK] = std::array::from_fn(|i| largest * (i as f32 * 0.7).sin());
            let (quants, scale) = activations::round(&query);
            for path in Path::offered() {
                let mut part = [Part::ZERO];
                round(path, &query, &mut part);
                let sum = quants.iter().map(|&quant| i32::from(quant)).sum();
                let found = (
                    part[0].quants.map(u8::cast_signed),
                    part[0].scale.to_bits(),
                    part[0].sum,
                );
                assert_eq!(found, (quants, scale.to_bits(), sum), "{largest:e}");
            }
        }
    }
}
