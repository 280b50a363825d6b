//! Products without vectors of integers: for processors that have no AVX2, and for emulators, which run a
//! multiplication of integers at almost full speed but each vector instruction as a call.
//!
//! Integers are multiplied four at a time in one 64-bit multiplication ([`lanes`]). What is left are the roundings;
//! they come 16 rows at a time, so that the compiler may make vectors of them: an emulator then pays one call for eight.

mod fma;
mod lanes;

use std::ops::Range;

use half::f16;

use self::fma::{Emulated, Fma, Fused, Lane};
use self::lanes::{Bits4, Bits5, Bits6, Bits8, Quants, Spread, spread, word};
use crate::activations::{Activations, PART, Row};
use crate::kind::Kind;
use crate::layout::{BLOCK, Planes, ROWS};
use crate::matrix::Matrix;

/// Rows of activations that share the work of taking weights apart.
const TOGETHER: usize = 4;
/// Blocks that share a super scale.
const PARTS: usize = 8;

/// As [`super::multiply`].
pub(super) fn multiply(matrix: &Matrix<'_>, tiles: Range<usize>, input: &Activations, output: &mut [f32]) {
    if is_x86_feature_detected!("fma") {
        #[allow(unsafe_code, reason = "the processor was asked")]
        // SAFETY: the processor has the instructions.
        unsafe {
            fused(matrix, tiles, input, output);
        }
    } else {
        without_fma(matrix, tiles, input, output);
    }
}

/// The same on processors older than FMA.
pub(super) fn without_fma(matrix: &Matrix<'_>, tiles: Range<usize>, input: &Activations, output: &mut [f32]) {
    by_rows::<Emulated>(matrix, tiles, input, output);
}

#[target_feature(enable = "fma")]
fn fused(matrix: &Matrix<'_>, tiles: Range<usize>, input: &Activations, output: &mut [f32]) {
    by_rows::<Fused>(matrix, tiles, input, output);
}

/// Takes rows of activations four at a time, then one by one.
#[inline(always)]
fn by_rows<F: Fma>(matrix: &Matrix<'_>, tiles: Range<usize>, input: &Activations, output: &mut [f32]) {
    let together = input.rows() / TOGETHER * TOGETHER;
    for first in (0..together).step_by(TOGETHER) {
        let rows = std::array::from_fn(|r| input.row(first + r));
        by_tiles::<F, TOGETHER>(matrix, tiles.clone(), first, rows, output);
    }
    for first in together..input.rows() {
        by_tiles::<F, 1>(matrix, tiles.clone(), first, [input.row(first)], output);
    }
}

#[inline(always)]
fn by_tiles<F: Fma, const R: usize>(
    matrix: &Matrix<'_>,
    tiles: Range<usize>,
    first: usize,
    rows: [Row<'_>; R],
    output: &mut [f32],
) {
    let input = Input::new(matrix.kind(), rows);
    let width = tiles.len() * ROWS;
    for (index, tile) in tiles.enumerate() {
        let planes = Planes::of(matrix.kind(), matrix.columns(), matrix.tile(tile));
        let sums = tile_product::<F, R>(matrix.kind(), &planes, &input);
        for (r, sums) in sums.iter().enumerate() {
            output[(first + r) * width + index * ROWS..][..ROWS].copy_from_slice(sums);
        }
    }
}

/// Rows of activations as the tiles want them.
struct Input<'a, const R: usize> {
    rows: [Row<'a>; R],
    /// A block of each row after the other.
    spread: Vec<[Spread; R]>,
}

impl<'a, const R: usize> Input<'a, R> {
    #[inline(always)]
    fn new(kind: Kind, rows: [Row<'a>; R]) -> Self {
        let blocks = if kind.is_float() { 0 } else { rows[0].scales.len() };
        let mut all = vec![[[0; 16]; R]; blocks];
        for (r, row) in rows.iter().enumerate() {
            for (block, spread) in all.iter_mut().zip(spread(*row)) {
                block[r] = spread;
            }
        }
        Self { rows, spread: all }
    }
}

#[inline(always)]
fn tile_product<F: Fma, const R: usize>(kind: Kind, planes: &Planes<'_>, input: &Input<'_, R>) -> [Lane; R] {
    match kind {
        Kind::F32 => floats::<F, R>(input, |column| array(planes.quants, column, f32::from_le_bytes)),
        Kind::F16 => floats::<F, R>(input, |column| halves(planes.quants, column)),
        Kind::BF16 => floats::<F, R>(input, |column| array(planes.quants, column, brain)),
        Kind::Q4_0 => blocks::<F, Bits4<8>, R>(planes, input),
        Kind::Q5_0 => blocks::<F, Bits5<16>, R>(planes, input),
        Kind::Q8_0 => blocks::<F, Bits8, R>(planes, input),
        Kind::Q4_1 => blocks_with_offset::<F, R>(planes, input),
        Kind::Q4K => parts::<F, Bits4<0>, R>(planes, input),
        Kind::Q5K => parts::<F, Bits5<0>, R>(planes, input),
        Kind::Q6K => halved_parts::<F, R>(planes, input),
    }
}

#[inline(always)]
fn floats<F: Fma, const R: usize>(input: &Input<'_, R>, weights: impl Fn(usize) -> Lane) -> [Lane; R] {
    let mut acc = [[0.0; ROWS]; R];
    for column in 0..input.rows[0].values.len() {
        let weights = weights(column);
        for (acc, row) in acc.iter_mut().zip(&input.rows) {
            F::fma(&weights, &[row.values[column]; ROWS], acc);
        }
    }
    acc
}

/// Q4_0, Q5_0, Q8_0.
#[inline(always)]
fn blocks<F: Fma, Q: Quants, const R: usize>(planes: &Planes<'_>, input: &Input<'_, R>) -> [Lane; R] {
    let mut acc = [[0.0; ROWS]; R];
    for (block, spread) in input.spread.iter().enumerate() {
        let d = halves(planes.scales, block);
        let dots = dots::<Q, R>(planes, block, spread);
        for ((acc, row), dots) in acc.iter_mut().zip(&input.rows).zip(dots) {
            let zero = Q::ZERO * sum(row, block);
            let da = row.scales[block];
            F::fma(&dots.map(|dot| (dot - zero) as f32), &d.map(|d| d * da), acc);
        }
    }
    acc
}

/// Q4_1.
#[inline(always)]
fn blocks_with_offset<F: Fma, const R: usize>(planes: &Planes<'_>, input: &Input<'_, R>) -> [Lane; R] {
    let mut acc = [[0.0; ROWS]; R];
    for (block, spread) in input.spread.iter().enumerate() {
        let (d, m) = (
            halves(planes.scales, 2 * block),
            halves(planes.scales, 2 * block + 1),
        );
        let dots = dots::<Bits4<0>, R>(planes, block, spread);
        for ((acc, row), dots) in acc.iter_mut().zip(&input.rows).zip(dots) {
            let da = row.scales[block];
            F::fma(&dots.map(|dot| dot as f32), &d.map(|d| d * da), acc);
            F::fma(&m, &[row.scaled_sums[block]; ROWS], acc);
        }
    }
    acc
}

/// Q4_K, Q5_K.
#[inline(always)]
fn parts<F: Fma, Q: Quants, const R: usize>(planes: &Planes<'_>, input: &Input<'_, R>) -> [Lane; R] {
    let mut acc = [[0.0; ROWS]; R];
    for (index, spread) in input.spread.chunks_exact(PARTS).enumerate() {
        let (mut x, mut y) = ([[0.0; ROWS]; R], [[0.0; ROWS]; R]);
        for (part, spread) in spread.iter().enumerate() {
            let block = PARTS * index + part;
            let (scale, min) = scales_and_mins(&planes.scales[12 * ROWS * index..], part);
            let dots = dots::<Q, R>(planes, block, spread);
            for (r, row) in input.rows.iter().enumerate() {
                let products = std::array::from_fn(|i| (scale[i] * dots[r][i]) as f32);
                F::fma(&products, &[row.scales[block]; ROWS], &mut x[r]);
                F::fma(&min, &[row.scaled_sums[block]; ROWS], &mut y[r]);
            }
        }
        let (d, dmin) = (
            halves(planes.supers, 2 * index),
            halves(planes.supers, 2 * index + 1),
        );
        for (r, acc) in acc.iter_mut().enumerate() {
            F::fma(&d, &x[r], acc);
            F::fma(&dmin.map(|dmin| -dmin), &y[r], acc);
        }
    }
    acc
}

/// Q6_K.
#[inline(always)]
fn halved_parts<F: Fma, const R: usize>(planes: &Planes<'_>, input: &Input<'_, R>) -> [Lane; R] {
    let mut acc = [[0.0; ROWS]; R];
    for (index, spread) in input.spread.chunks_exact(PARTS).enumerate() {
        let mut x = [[0.0; ROWS]; R];
        for (part, spread) in spread.iter().enumerate() {
            let block = PARTS * index + part;
            let dots = half_dots::<Bits6, R>(planes, block, spread);
            let scale = |half: usize| array(planes.scales, 2 * block + half, i8::from_le_bytes);
            let (first, second) = (scale(0), scale(1));
            for (r, row) in input.rows.iter().enumerate() {
                let zero = [0, 1].map(|half| Bits6::ZERO * i32::from(row.sums[2 * block + half]));
                let products = std::array::from_fn(|i| {
                    let [one, other] = [0, 1].map(|half| dots[r][half][i] - zero[half]);
                    (i32::from(first[i]) * one + i32::from(second[i]) * other) as f32
                });
                F::fma(&products, &[row.scales[block]; ROWS], &mut x[r]);
            }
        }
        let d = halves(planes.supers, index);
        for (acc, x) in acc.iter_mut().zip(&x) {
            F::fma(&d, x, acc);
        }
    }
    acc
}

/// `Σ q·a` of a block, what stands for zero not yet taken off the quants.
#[inline(always)]
fn dots<Q: Quants, const R: usize>(
    planes: &Planes<'_>,
    block: usize,
    input: &[Spread; R],
) -> [[i32; ROWS]; R] {
    let halves = half_dots::<Q, R>(planes, block, input);
    halves.map(|[one, other]| std::array::from_fn(|i| one[i] + other[i]))
}

/// The same for both halves of the columns.
#[inline(always)]
fn half_dots<Q: Quants, const R: usize>(
    planes: &Planes<'_>,
    block: usize,
    input: &[Spread; R],
) -> [[[i32; ROWS]; 2]; R] {
    let low = &planes.quants[Q::LOW * block..][..Q::LOW];
    let high = &planes.high[Q::HIGH * block..][..Q::HIGH];
    let mut dots = [[[0; ROWS]; 2]; R];
    for pair in 0..ROWS / 2 {
        for (dots, sums) in dots.iter_mut().zip(Q::halves(low, high, pair, input)) {
            for (dots, sum) in dots.iter_mut().zip(sums) {
                dots[2 * pair] = (sum as u32).cast_signed() - Q::BIAS;
                dots[2 * pair + 1] = ((sum >> 32) as u32).cast_signed() - Q::BIAS;
            }
        }
    }
    dots
}

/// `Σa` of a block.
#[inline(always)]
fn sum(row: &Row<'_>, block: usize) -> i32 {
    let sums = &row.sums[BLOCK / PART * block..][..BLOCK / PART];
    i32::from(sums[0] + sums[1])
}

/// The scales of a part of Q4_K and Q5_K, and its mins. Eight rows are taken out of each word at once.
#[inline(always)]
fn scales_and_mins(groups: &[u8], part: usize) -> ([i32; ROWS], Lane) {
    const SIX_BITS: u64 = 0x3F3F_3F3F_3F3F_3F3F;
    const TWO_BITS: u64 = 0x0303_0303_0303_0303;
    let (mut scales, mut mins) = ([0; ROWS], [0.0; ROWS]);
    for half in 0..2 {
        let group = |index: usize| word(&groups[ROWS * index..], half);
        let upper = |index: usize| (group(index) >> 6) & TWO_BITS;
        let scale = group(part) & SIX_BITS;
        let min = match part.checked_sub(4) {
            None => group(8 + part) & SIX_BITS,
            Some(rest) => upper(2 * rest) | upper(2 * rest + 1) << 2 | upper(8 + rest) << 4,
        };
        for row in 0..8 {
            let byte = |word: u64| (word >> (8 * row)) as u8;
            scales[8 * half + row] = i32::from(byte(scale));
            mins[8 * half + row] = MINS[usize::from(byte(min) & 63)];
        }
    }
    (scales, mins)
}

/// The floats of 6-bit numbers: to look one up is faster than to convert it where conversions are emulated.
const MINS: [f32; 64] = {
    let mut floats = [0.0; 64];
    let mut number = 0;
    while number < floats.len() {
        floats[number] = number as f32;
        number += 1;
    }
    floats
};

/// 16 elements of a plane, the group of that index.
#[inline(always)]
fn array<const N: usize, T>(plane: &[u8], group: usize, element: impl Fn([u8; N]) -> T) -> [T; ROWS] {
    let group = &plane[N * ROWS * group..][..N * ROWS];
    std::array::from_fn(|i| element(std::array::from_fn(|byte| group[N * i + byte])))
}

/// 16 floats of 16 bits.
#[inline(always)]
fn halves(plane: &[u8], group: usize) -> Lane {
    let group = &plane[2 * ROWS * group..][..2 * ROWS];
    let mut lane = [0.0; ROWS];
    for (quarter, floats) in lane.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *floats = four_halves(word(group, quarter));
    }
    lane
}

/// Four floats of 16 bits in a word.
#[inline(always)]
fn four_halves(word: u64) -> [f32; 4] {
    const EXPONENT: u64 = 0x7C00_7C00_7C00_7C00;
    const LEAST: u64 = 0x0400_0400_0400_0400;
    const SIGN: u64 = 0x8000_8000_8000_8000;
    // Zero where the exponent is 0 or 31; the sign bit is set wherever it is not.
    let ordinary = ((word & EXPONENT) + LEAST) & (EXPONENT & !LEAST);
    let element = |index: usize| (word >> (16 * index)) as u16;
    if (ordinary + !SIGN) & SIGN != SIGN {
        return extraordinary(std::array::from_fn(element));
    }
    std::array::from_fn(|index| {
        let bits = u32::from(element(index));
        f32::from_bits((bits & 0x8000) << 16 | (((bits & 0x7FFF) << 13) + ((127 - 15) << 23)))
    })
}

/// Zeros, subnormal numbers and infinities among others.
#[cold]
#[inline(never)]
fn extraordinary(halves: [u16; 4]) -> [f32; 4] {
    halves.map(|bits| f16::from_bits(bits).to_f32())
}

fn brain(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}
