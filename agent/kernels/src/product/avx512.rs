//! Vectors of AVX-512 with the dot products of its VNNI: one holds the 16 rows of a tile.
#![allow(unsafe_code, reason = "intrinsics")]

use std::arch::x86_64::*;

use super::instructions::instructions;
use super::wide::{Operation, Quad, Vectors, pair, quad};
use crate::layout::ROWS;
use crate::path::{Instructions, Path};

/// The proof that the processor has AVX-512 F, BW, VL and VNNI.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// The proof, if the path has them.
    pub(super) fn of(path: Path) -> Option<Self> {
        matches!(path.instructions(), Instructions::Avx512 | Instructions::Amx).then_some(Self(()))
    }
}

impl Vectors for Avx512 {
    const IN_TILE: usize = 1;
    type Bytes = __m512i;
    type SignedBytes = __m512i;
    type Ints = __m512i;
    type Floats = __m512;

    #[inline(always)]
    fn run<O: Operation<Self>>(self, operation: O) -> O::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
        fn enabled<O: Operation<Avx512>>(vectors: Avx512, operation: O) -> O::Output {
            operation.run(vectors)
        }
        // SAFETY: a value of this type is the proof that the processor has these instructions.
        unsafe { enabled(self, operation) }
    }

    instructions! {
        fn bytes(self, from: &[u8; 4 * ROWS], _at: usize) -> __m512i = _mm512_loadu_si512(from.as_ptr().cast());
        /// As unsigned bytes: 128 is added to each.
        fn signed(self, bytes: __m512i) -> __m512i = _mm512_xor_si512(bytes, _mm512_set1_epi8(-128));
        fn low_nibbles(self, bytes: __m512i) -> __m512i = _mm512_and_si512(bytes, _mm512_set1_epi8(15));
        fn high_nibbles(self, bytes: __m512i) -> __m512i =
            _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), _mm512_set1_epi8(15));
        fn insert[const LEFT: u32, const RIGHT: u32, const MASK: i8](self, low: __m512i, high: __m512i) -> __m512i = {
            let high = _mm512_srli_epi16::<RIGHT>(_mm512_slli_epi16::<LEFT>(high));
            _mm512_ternarylogic_epi32::<0b1111_1000>(low, high, _mm512_set1_epi8(MASK))
        };
        fn none(self) -> __m512i = _mm512_setzero_si512();
        fn weighted(self, sums: [i16; 2], factors: [i16; 2]) -> __m512i =
            _mm512_dpwssd_epi32(_mm512_setzero_si512(), _mm512_set1_epi32(pair(factors)), _mm512_set1_epi32(pair(sums)));
        fn zero(self) -> __m512 = _mm512_setzero_ps();
        fn f32(self, from: &[u8; 4 * ROWS], _at: usize) -> __m512 = _mm512_loadu_ps(from.as_ptr().cast());
        fn f16(self, from: &[u8; 2 * ROWS], _at: usize) -> __m512 =
            _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast()));
        fn bf16(self, from: &[u8; 2 * ROWS], _at: usize) -> __m512 = {
            let upper = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(upper))
        };
        fn u8(self, from: &[u8; ROWS], _at: usize) -> __m512 =
            _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.as_ptr().cast())));
        fn i8(self, from: &[u8; ROWS], _at: usize) -> __m512 =
            _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast())));
        fn ints(self, from: &[i32; ROWS], _at: usize) -> __m512i = _mm512_loadu_si512(from.as_ptr().cast());
        fn floats(self, ints: __m512i) -> __m512 = _mm512_cvtepi32_ps(ints);
        fn splat(self, value: f32) -> __m512 = _mm512_set1_ps(value);
        fn mul(self, a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
        fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        fn fnma(self, a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fnmadd_ps(a, b, c);
        fn store(self, floats: __m512, to: &mut [f32; ROWS], _at: usize) -> () =
            _mm512_storeu_ps(to.as_mut_ptr(), floats);
        fn prefetch(self, from: *const u8) -> () = _mm_prefetch::<_MM_HINT_T1>(from.cast());
    }

    #[inline(always)]
    fn dot<const LARGEST: i32, const N: usize>(
        self,
        mut sum: __m512i,
        weights: &[__m512i; N],
        quants: &[Quad; N],
    ) -> __m512i {
        for i in 0..N {
            // SAFETY: a value of this type is the proof that the processor has these instructions.
            sum = unsafe { _mm512_dpbusd_epi32(sum, weights[i], _mm512_set1_epi32(quad(quants[i]))) };
        }
        sum
    }

    /// The 128 that was added to each weight is taken off again: `Σ (w + 128) · a − 128 · Σa`.
    #[inline(always)]
    fn signed_dot(self, weights: &[__m512i; 8], quants: &[Quad; 8], sums: [i16; 2]) -> __m512i {
        self.dot::<255, 8>(self.weighted(sums, [-128; 2]), weights, quants)
    }
}
