//! The product that both halves of attention are: a few rows of floats times a matrix, each element of the result
//! having one accumulator to which products are added in order of depth.

use super::simd::Simd;
use crate::kv::Half;

/// Bytes of a cache line.
const LINE: usize = 64;

/// What a matrix of keys or values has for elements.
pub(super) trait Element: Copy {
    /// Whether it comes from memory, so that what follows is to be asked for.
    const STREAMED: bool;

    fn load<S: Simd>(simd: S, group: &[Self; 16]) -> S::Lanes;
}

impl Element for f32 {
    const STREAMED: bool = false;

    #[inline(always)]
    fn load<S: Simd>(simd: S, group: &[Self; 16]) -> S::Lanes {
        simd.load(group)
    }
}

impl Element for Half {
    const STREAMED: bool = true;

    #[inline(always)]
    fn load<S: Simd>(simd: S, group: &[Self; 16]) -> S::Lanes {
        simd.load_f16(group)
    }
}

/// Of q8, without its scale.
impl Element for u8 {
    const STREAMED: bool = false;

    #[inline(always)]
    fn load<S: Simd>(simd: S, group: &[Self; 16]) -> S::Lanes {
        simd.load_q8(group)
    }
}

/// A matrix `[depth, 16 · tiles]`, in groups of 16 neighbouring columns.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a, E> {
    pub(super) groups: &'a [[E; 16]],
    /// Groups from one row to the next.
    pub(super) row: usize,
    /// Groups from one tile to the next.
    pub(super) tile: usize,
    /// Bytes from a group to the like one that is needed next, wrapping; 0 where there is none.
    pub(super) ahead: usize,
}

impl<E> Panel<'_, E> {
    /// Without the rows before `row`.
    #[inline(always)]
    pub(super) fn below(self, row: usize) -> Self {
        let groups = &self.groups[row * self.row..];
        Self { groups, ..self }
    }
}

/// What a product is added to: zeros, or what is in the output, times a correction for each row.
#[derive(Clone, Copy)]
pub(super) enum Onto<const Q: usize> {
    Zeros,
    Corrected([f32; Q]),
}

/// The product of `Q` rows, `[depth]` each, with a matrix `[depth, 16 · tiles]`.
pub(super) struct Product<'a, S, E, const Q: usize> {
    pub(super) simd: S,
    pub(super) rows: [&'a [f32]; Q],
    pub(super) panel: Panel<'a, E>,
    pub(super) onto: Onto<Q>,
    /// `Q` rows of at least `16 · tiles`, which begin `stride` apart.
    pub(super) output: &'a mut [f32],
    pub(super) stride: usize,
}

impl<S: Simd, E: Element, const Q: usize> Product<'_, S, E, Q> {
    /// Computes `tiles` tiles, as many together as accumulators for them stay in registers.
    #[inline(always)]
    pub(super) fn compute(mut self, tiles: usize) {
        let mut tile = 0;
        while tile < tiles {
            tile += match (S::ACCUMULATORS / Q, tiles - tile) {
                (4.., 4..) => self.tiles::<4>(tile),
                // Not from 2 on: AVX2 has registers for 12 accumulators, but compilers keep one of them in memory.
                (3.., 2..) => self.tiles::<2>(tile),
                _ => self.tiles::<1>(tile),
            };
        }
    }

    /// Computes `T` tiles from `first` on, and says how many that were.
    #[inline(always)]
    fn tiles<const T: usize>(&mut self, first: usize) -> usize {
        let (simd, depth) = (self.simd, self.rows[0].len());
        let rows: [&[f32]; Q] = std::array::from_fn(|q| &self.rows[q][..depth]);
        let groups = &self.panel.groups[first * self.panel.tile..];
        let mut sums = self.begin::<T>(first);
        for index in 0..depth {
            let mut columns = [simd.splat(0.0); T];
            for (tile, columns) in columns.iter_mut().enumerate() {
                let group = index * self.panel.row + tile * self.panel.tile;
                *columns = E::load(simd, &groups[group]);
                if E::STREAMED && group.is_multiple_of(LINE / size_of::<[E; 16]>()) {
                    let group = std::ptr::from_ref(&groups[group]).cast::<u8>();
                    simd.prefetch(group.wrapping_add(self.panel.ahead));
                }
            }
            for (sums, row) in sums.iter_mut().zip(rows) {
                let factor = simd.splat(row[index]);
                for (sum, &columns) in sums.iter_mut().zip(&columns) {
                    *sum = simd.fma(factor, columns, *sum);
                }
            }
        }
        for (q, sums) in sums.iter().enumerate() {
            for (&sum, output) in sums.iter().zip(self.output::<T>(q, first)) {
                simd.store(sum, output);
            }
        }
        T
    }

    #[inline(always)]
    fn begin<const T: usize>(&mut self, first: usize) -> [[S::Lanes; T]; Q] {
        let simd = self.simd;
        let mut sums = [[simd.splat(0.0); T]; Q];
        if let Onto::Corrected(corrections) = self.onto {
            for (q, sums) in sums.iter_mut().enumerate() {
                let correction = simd.splat(corrections[q]);
                for (sums, output) in sums.iter_mut().zip(self.output::<T>(q, first)) {
                    *sums = simd.multiply(simd.load(output), correction);
                }
            }
        }
        sums
    }

    /// `T` tiles of row `q` of the output.
    #[inline(always)]
    fn output<const T: usize>(&mut self, q: usize, first: usize) -> &mut [[f32; 16]; T] {
        let (tiles, _) = self.output[q * self.stride..].as_chunks_mut();
        match tiles[first..].first_chunk_mut() {
            Some(tiles) => tiles,
            None => unreachable!("no room for {T} tiles from {first} on"),
        }
    }
}
