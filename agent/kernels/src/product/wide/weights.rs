//! What a block of quants is scaled by, and in which order what comes of it is added up: see [`super::super::twin`].

use super::quants::{Quants, SixBits};
use super::vectors::{Quad, Vectors};
use crate::layout::Planes;
use crate::product::sse2::{Parts, parts};

/// A row tile of quantised weights. Blocks come in groups of `PARTS`, each of which has scales of its own, and are
/// multiplied in `DOTS` parts, each of which has one.
pub(super) trait Weights<'a, V: Vectors, const PARTS: usize, const DOTS: usize>: Copy {
    /// Bytes of a block, with its share of the scales.
    const BYTES: usize;
    /// The scales of a group's blocks.
    type Group: Copy;
    /// The quants of a block, unpacked.
    type Quants: Copy;
    /// The scales of a block.
    type Scales: Copy;
    /// What has been added up for one row of activations.
    type Sums: Copy;

    /// A tile taken apart.
    fn of(planes: &Planes<'a>) -> Self;
    /// Sums of nothing.
    fn nothing(v: V) -> Self::Sums;
    /// The scales of a group.
    fn group(&self, group: usize) -> Self::Group;
    /// Unpacks a block.
    fn quants(&self, v: V, block: usize, at: usize) -> Self::Quants;
    /// The scales of a block, which is `part` of its group.
    fn scales(&self, v: V, group: &Self::Group, part: usize, block: usize, at: usize) -> Self::Scales;
    /// `Σ (quant − what stands for zero) · activation` of each part of a block.
    fn dots(v: V, quants: &Self::Quants, input: &Block<'_>) -> [V::Ints; DOTS];
    /// Adds a block times activations: what [`Self::dots`] gave, scaled.
    fn add(v: V, scales: &Self::Scales, dots: [V::Ints; DOTS], input: &Block<'_>, sums: &mut Self::Sums);
    /// Adds what a group came to.
    fn close(&self, v: V, group: usize, at: usize, sums: &mut Self::Sums);
    /// All that was added.
    fn total(sums: &Self::Sums) -> V::Floats;
}

/// A block of one row of activations.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) quants: &'a [Quad; 8],
    pub(super) scale: f32,
    pub(super) sums: [i16; 2],
    pub(super) scaled_sum: f32,
}

/// Q4_0, Q5_0 and Q8_0: quants and a scale.
#[derive(Clone, Copy)]
pub(super) struct Scaled<'a, Q> {
    quants: Q,
    scales: &'a [[u8; 32]],
}

impl<'a, V: Vectors, Q: Quants<'a, V>> Weights<'a, V, 1, 1> for Scaled<'a, Q> {
    const BYTES: usize = Q::BYTES + 32;
    type Group = ();
    type Quants = Q::Block;
    type Scales = V::Floats;
    type Sums = V::Floats;

    #[inline(always)]
    fn of(planes: &Planes<'a>) -> Self {
        Self {
            quants: Q::of(planes),
            scales: planes.scales.as_chunks().0,
        }
    }

    #[inline(always)]
    fn nothing(v: V) -> V::Floats {
        v.zero()
    }

    #[inline(always)]
    fn group(&self, _group: usize) {}

    #[inline(always)]
    fn quants(&self, v: V, block: usize, at: usize) -> Q::Block {
        self.quants.block(v, block, at)
    }

    #[inline(always)]
    fn scales(&self, v: V, _group: &(), _part: usize, block: usize, at: usize) -> V::Floats {
        v.f16(&self.scales[block], at)
    }

    #[inline(always)]
    fn dots(v: V, quants: &Q::Block, input: &Block<'_>) -> [V::Ints; 1] {
        [Q::dot(v, quants, input.quants, input.sums)]
    }

    #[inline(always)]
    fn add(v: V, d: &V::Floats, [dot]: [V::Ints; 1], input: &Block<'_>, sums: &mut V::Floats) {
        *sums = v.fma(v.floats(dot), v.mul(*d, v.splat(input.scale)), *sums);
    }

    #[inline(always)]
    fn close(&self, _v: V, _group: usize, _at: usize, _sums: &mut V::Floats) {}

    #[inline(always)]
    fn total(sums: &V::Floats) -> V::Floats {
        *sums
    }
}

/// Q4_1: quants, a scale and what is added.
#[derive(Clone, Copy)]
pub(super) struct Shifted<'a, Q> {
    quants: Q,
    scales: &'a [[[u8; 32]; 2]],
}

impl<'a, V: Vectors, Q: Quants<'a, V>> Weights<'a, V, 1, 1> for Shifted<'a, Q> {
    const BYTES: usize = Q::BYTES + 64;
    type Group = ();
    type Quants = Q::Block;
    type Scales = [V::Floats; 2];
    type Sums = V::Floats;

    #[inline(always)]
    fn of(planes: &Planes<'a>) -> Self {
        Self {
            quants: Q::of(planes),
            scales: planes.scales.as_chunks().0.as_chunks().0,
        }
    }

    #[inline(always)]
    fn nothing(v: V) -> V::Floats {
        v.zero()
    }

    #[inline(always)]
    fn group(&self, _group: usize) {}

    #[inline(always)]
    fn quants(&self, v: V, block: usize, at: usize) -> Q::Block {
        self.quants.block(v, block, at)
    }

    #[inline(always)]
    fn scales(&self, v: V, _group: &(), _part: usize, block: usize, at: usize) -> [V::Floats; 2] {
        let [d, m] = &self.scales[block];
        [v.f16(d, at), v.f16(m, at)]
    }

    #[inline(always)]
    fn dots(v: V, quants: &Q::Block, input: &Block<'_>) -> [V::Ints; 1] {
        [Q::dot(v, quants, input.quants, input.sums)]
    }

    #[inline(always)]
    fn add(v: V, [d, m]: &[V::Floats; 2], [dot]: [V::Ints; 1], input: &Block<'_>, sums: &mut V::Floats) {
        *sums = v.fma(v.floats(dot), v.mul(*d, v.splat(input.scale)), *sums);
        *sums = v.fma(*m, v.splat(input.scaled_sum), *sums);
    }

    #[inline(always)]
    fn close(&self, _v: V, _group: usize, _at: usize, _sums: &mut V::Floats) {}

    #[inline(always)]
    fn total(sums: &V::Floats) -> V::Floats {
        *sums
    }
}

/// Q4_K and Q5_K: quants with integer scales and mins, which have scales of their own.
#[derive(Clone, Copy)]
pub(super) struct Nested<'a, Q> {
    quants: Q,
    scales: &'a [[[u8; 16]; 12]],
    supers: &'a [[[u8; 32]; 2]],
}

/// The scales of a block of [`Nested`].
#[derive(Clone, Copy)]
pub(super) struct NestedScales<F> {
    scale: F,
    min: F,
}

/// Sums of [`Nested`]: of its group, and of the groups before.
#[derive(Clone, Copy)]
pub(super) struct NestedSums<F> {
    scaled: F,
    mins: F,
    total: F,
}

impl<'a, V: Vectors, Q: Quants<'a, V>> Weights<'a, V, 8, 1> for Nested<'a, Q> {
    const BYTES: usize = Q::BYTES + 32;
    type Group = Parts;
    type Quants = Q::Block;
    type Scales = NestedScales<V::Floats>;
    type Sums = NestedSums<V::Floats>;

    #[inline(always)]
    fn of(planes: &Planes<'a>) -> Self {
        Self {
            quants: Q::of(planes),
            scales: planes.scales.as_chunks().0.as_chunks().0,
            supers: planes.supers.as_chunks().0.as_chunks().0,
        }
    }

    #[inline(always)]
    fn nothing(v: V) -> Self::Sums {
        NestedSums {
            scaled: v.zero(),
            mins: v.zero(),
            total: v.zero(),
        }
    }

    #[inline(always)]
    fn group(&self, group: usize) -> Parts {
        parts(&self.scales[group])
    }

    #[inline(always)]
    fn quants(&self, v: V, block: usize, at: usize) -> Q::Block {
        self.quants.block(v, block, at)
    }

    #[inline(always)]
    fn scales(&self, v: V, group: &Parts, part: usize, _block: usize, at: usize) -> Self::Scales {
        NestedScales {
            scale: v.u8(&group.scales[part], at),
            min: v.u8(&group.mins[part], at),
        }
    }

    #[inline(always)]
    fn dots(v: V, quants: &Q::Block, input: &Block<'_>) -> [V::Ints; 1] {
        [Q::dot(v, quants, input.quants, input.sums)]
    }

    /// A scale times a sum is below 2²⁴ (63 · 32 · 31 · 127), so that the product of floats is exact.
    #[inline(always)]
    fn add(v: V, scales: &Self::Scales, [dot]: [V::Ints; 1], input: &Block<'_>, sums: &mut Self::Sums) {
        let scaled = v.mul(v.floats(dot), scales.scale);
        sums.scaled = v.fma(scaled, v.splat(input.scale), sums.scaled);
        sums.mins = v.fma(scales.min, v.splat(input.scaled_sum), sums.mins);
    }

    #[inline(always)]
    fn close(&self, v: V, group: usize, at: usize, sums: &mut Self::Sums) {
        let [d, dmin] = &self.supers[group];
        let total = v.fma(v.f16(d, at), sums.scaled, sums.total);
        *sums = NestedSums {
            total: v.fnma(v.f16(dmin, at), sums.mins, total),
            ..<Self as Weights<'a, V, 8, 1>>::nothing(v)
        };
    }

    #[inline(always)]
    fn total(sums: &Self::Sums) -> V::Floats {
        sums.total
    }
}

/// Q6_K: quants, integer scales of 16 columns, and a scale for those.
#[derive(Clone, Copy)]
pub(super) struct Halved<'a> {
    quants: SixBits<'a>,
    scales: &'a [[[u8; 16]; 2]],
    supers: &'a [[u8; 32]],
}

/// Sums of [`Halved`]: of its group, and of the groups before.
#[derive(Clone, Copy)]
pub(super) struct HalvedSums<F> {
    scaled: F,
    total: F,
}

impl<'a, V: Vectors> Weights<'a, V, 8, 2> for Halved<'a> {
    const BYTES: usize = 256 + 128 + 36;
    type Group = ();
    type Quants = [[V::Bytes; 4]; 2];
    type Scales = [V::Floats; 2];
    type Sums = HalvedSums<V::Floats>;

    #[inline(always)]
    fn of(planes: &Planes<'a>) -> Self {
        Self {
            quants: SixBits::of(planes),
            scales: planes.scales.as_chunks().0.as_chunks().0,
            supers: planes.supers.as_chunks().0,
        }
    }

    #[inline(always)]
    fn nothing(v: V) -> Self::Sums {
        HalvedSums {
            scaled: v.zero(),
            total: v.zero(),
        }
    }

    #[inline(always)]
    fn group(&self, _group: usize) {}

    #[inline(always)]
    fn quants(&self, v: V, block: usize, at: usize) -> Self::Quants {
        self.quants.block(v, block, at)
    }

    #[inline(always)]
    fn scales(&self, v: V, _group: &(), _part: usize, block: usize, at: usize) -> [V::Floats; 2] {
        let [first, second] = &self.scales[block];
        [v.i8(first, at), v.i8(second, at)]
    }

    #[inline(always)]
    fn dots(v: V, quants: &Self::Quants, input: &Block<'_>) -> [V::Ints; 2] {
        let [a, b, c, d, e, f, g, h] = *input.quants;
        [
            v.dot::<63, 4>(v.weighted(input.sums, [-32, 0]), &quants[0], &[a, b, c, d]),
            v.dot::<63, 4>(v.weighted(input.sums, [0, -32]), &quants[1], &[e, f, g, h]),
        ]
    }

    /// Scales times sums are integers below 2²⁴ (128 · 32 · 32 · 127), both together too, so that floats hold them
    /// exactly.
    #[inline(always)]
    fn add(v: V, scales: &[V::Floats; 2], dots: [V::Ints; 2], input: &Block<'_>, sums: &mut Self::Sums) {
        let [first, second] = dots;
        let first = v.mul(v.floats(first), scales[0]);
        let both = v.fma(v.floats(second), scales[1], first);
        sums.scaled = v.fma(both, v.splat(input.scale), sums.scaled);
    }

    #[inline(always)]
    fn close(&self, v: V, group: usize, at: usize, sums: &mut Self::Sums) {
        *sums = HalvedSums {
            total: v.fma(v.f16(&self.supers[group], at), sums.scaled, sums.total),
            scaled: v.zero(),
        };
    }

    #[inline(always)]
    fn total(sums: &Self::Sums) -> V::Floats {
        sums.total
    }
}
