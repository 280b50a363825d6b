//! What a product asks of a set of vector instructions.

use crate::layout::ROWS;

/// Four neighbouring columns of one row of activations, which a dot-product instruction takes at once.
pub(in crate::product) type Quad = [i8; 4];

/// A set of vector instructions. A value of it is the proof that the processor has them.
///
/// The 16 rows of a row tile fill [`Vectors::IN_TILE`] vectors; `at` says which of them is meant.
/// All functions are `#[inline(always)]`, so that they become instructions inside of [`Vectors::run`].
pub(in crate::product) trait Vectors: Copy {
    /// Vectors that the rows of a tile fill: 1 or 2.
    const IN_TILE: usize;
    /// Four unsigned bytes for each row.
    type Bytes: Copy;
    /// Four signed bytes for each row, in the form that [`Vectors::signed_dot`] takes.
    type SignedBytes: Copy;
    /// An integer of 32 bits for each row.
    type Ints: Copy;
    /// A float of 32 bits for each row.
    type Floats: Copy;

    /// Runs an operation in code that is compiled for these instructions.
    fn run<O: Operation<Self>>(self, operation: O) -> O::Output;

    /// Loads bytes.
    fn bytes(self, from: &[u8; 4 * ROWS], at: usize) -> Self::Bytes;
    /// Makes bytes signed.
    fn signed(self, bytes: Self::Bytes) -> Self::SignedBytes;
    /// The low four bits of each byte.
    fn low_nibbles(self, bytes: Self::Bytes) -> Self::Bytes;
    /// The high four bits of each byte.
    fn high_nibbles(self, bytes: Self::Bytes) -> Self::Bytes;
    /// `low | (high << LEFT >> RIGHT) & MASK`, byte by byte; `MASK` holds no bit that came from a neighbour.
    fn insert<const LEFT: u32, const RIGHT: u32, const MASK: i8>(
        self,
        low: Self::Bytes,
        high: Self::Bytes,
    ) -> Self::Bytes;

    /// `Σ weight · quant` over four columns for each of `N`, added to `sum`, exactly. No weight is above `LARGEST`,
    /// no quant below −127.
    fn dot<const LARGEST: i32, const N: usize>(
        self,
        sum: Self::Ints,
        weights: &[Self::Bytes; N],
        quants: &[Quad; N],
    ) -> Self::Ints;
    /// `Σ weight · quant` of signed weights over a block; `sums` are those of the quants' halves.
    fn signed_dot(self, weights: &[Self::SignedBytes; 8], quants: &[Quad; 8], sums: [i16; 2]) -> Self::Ints;
    /// Zeros.
    fn none(self) -> Self::Ints;
    /// `sums[0] · factors[0] + sums[1] · factors[1]` for each row.
    fn weighted(self, sums: [i16; 2], factors: [i16; 2]) -> Self::Ints;

    /// Zeros.
    fn zero(self) -> Self::Floats;
    /// Loads 32-bit floats.
    fn f32(self, from: &[u8; 4 * ROWS], at: usize) -> Self::Floats;
    /// Loads 16-bit floats of IEEE 754.
    fn f16(self, from: &[u8; 2 * ROWS], at: usize) -> Self::Floats;
    /// Loads the upper halves of 32-bit floats.
    fn bf16(self, from: &[u8; 2 * ROWS], at: usize) -> Self::Floats;
    /// Loads unsigned integers of 8 bits.
    fn u8(self, from: &[u8; ROWS], at: usize) -> Self::Floats;
    /// Loads signed integers of 8 bits.
    fn i8(self, from: &[u8; ROWS], at: usize) -> Self::Floats;
    /// Loads integers of 32 bits.
    fn ints(self, from: &[i32; ROWS], at: usize) -> Self::Ints;
    /// From integers; rounds above 2²⁴.
    fn floats(self, ints: Self::Ints) -> Self::Floats;
    /// The same number for each row.
    fn splat(self, value: f32) -> Self::Floats;
    /// `a · b`.
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a · b + c`, rounded once.
    fn fma(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// `c − a · b`, rounded once.
    fn fnma(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// Stores floats.
    fn store(self, floats: Self::Floats, to: &mut [f32; ROWS], at: usize);

    /// Asks for the cache line at `from`, which need not be memory, to be brought to the second-level cache: many more
    /// lines can be on their way there than to the first.
    fn prefetch(self, from: *const u8);
}

/// What is run with vectors.
pub(in crate::product) trait Operation<V> {
    /// What comes of it.
    type Output;
    /// Runs it; `#[inline(always)]`, and so is all that it calls.
    fn run(self, vectors: V) -> Self::Output;
}

/// Four columns as one integer.
#[inline(always)]
pub(in crate::product) fn quad(quad: Quad) -> i32 {
    i32::from_le_bytes(quad.map(i8::cast_unsigned))
}

/// Two integers of 16 bits as one.
#[inline(always)]
pub(in crate::product) fn pair([low, high]: [i16; 2]) -> i32 {
    (u32::from(low.cast_unsigned()) | u32::from(high.cast_unsigned()) << 16).cast_signed()
}
