//! Vectors of AVX2 with FMA and F16C: two hold the 16 rows of a tile. How dot products are made is a parameter: AVX2
//! has none for bytes, AVX-VNNI adds them.
#![allow(unsafe_code, reason = "intrinsics")]

use std::arch::x86_64::*;

use super::instructions::instructions;
use super::wide::{Operation, Quad, Vectors, pair, quad};
use crate::layout::ROWS;
use crate::path::{Instructions, Path};

/// How dot products of bytes are made. A value of it is the proof that the processor has AVX2, FMA, F16C and what else
/// that takes.
pub(super) trait DotProducts: Copy {
    /// As [`Vectors::run`].
    fn run<O: Operation<Self>>(self, operation: O) -> O::Output;
    /// As [`Vectors::dot`].
    fn dot<const LARGEST: i32, const N: usize>(
        self,
        sum: __m256i,
        weights: &[__m256i; N],
        quants: &[Quad; N],
    ) -> __m256i;
    /// As [`Vectors::signed`].
    fn signed(self, bytes: __m256i) -> __m256i;
    /// As [`Vectors::signed_dot`].
    fn signed_dot(self, weights: &[__m256i; 8], quants: &[Quad; 8], sums: [i16; 2]) -> __m256i;
}

impl<D: DotProducts> Vectors for D {
    const IN_TILE: usize = 2;
    type Bytes = __m256i;
    type SignedBytes = __m256i;
    type Ints = __m256i;
    type Floats = __m256;

    #[inline(always)]
    fn run<O: Operation<Self>>(self, operation: O) -> O::Output {
        DotProducts::run(self, operation)
    }

    #[inline(always)]
    fn dot<const LARGEST: i32, const N: usize>(
        self,
        sum: __m256i,
        weights: &[__m256i; N],
        quants: &[Quad; N],
    ) -> __m256i {
        DotProducts::dot::<LARGEST, N>(self, sum, weights, quants)
    }

    #[inline(always)]
    fn signed(self, bytes: __m256i) -> __m256i {
        DotProducts::signed(self, bytes)
    }

    #[inline(always)]
    fn signed_dot(self, weights: &[__m256i; 8], quants: &[Quad; 8], sums: [i16; 2]) -> __m256i {
        DotProducts::signed_dot(self, weights, quants, sums)
    }

    instructions! {
        fn bytes(self, from: &[u8; 4 * ROWS], at: usize) -> __m256i =
            _mm256_loadu_si256(from.as_chunks::<32>().0[at].as_ptr().cast());
        fn low_nibbles(self, bytes: __m256i) -> __m256i = _mm256_and_si256(bytes, _mm256_set1_epi8(15));
        fn high_nibbles(self, bytes: __m256i) -> __m256i =
            _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(15));
        fn insert[const LEFT: u32, const RIGHT: u32, const MASK: i8](self, low: __m256i, high: __m256i) -> __m256i = {
            let (left, right) = (_mm_cvtsi32_si128(LEFT as i32), _mm_cvtsi32_si128(RIGHT as i32));
            let high = _mm256_srl_epi16(_mm256_sll_epi16(high, left), right);
            _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi8(MASK)))
        };
        fn none(self) -> __m256i = _mm256_setzero_si256();
        fn weighted(self, sums: [i16; 2], factors: [i16; 2]) -> __m256i =
            _mm256_madd_epi16(_mm256_set1_epi32(pair(factors)), _mm256_set1_epi32(pair(sums)));
        fn zero(self) -> __m256 = _mm256_setzero_ps();
        fn f32(self, from: &[u8; 4 * ROWS], at: usize) -> __m256 =
            _mm256_loadu_ps(from.as_chunks::<32>().0[at].as_ptr().cast());
        fn f16(self, from: &[u8; 2 * ROWS], at: usize) -> __m256 =
            _mm256_cvtph_ps(_mm_loadu_si128(from.as_chunks::<16>().0[at].as_ptr().cast()));
        fn bf16(self, from: &[u8; 2 * ROWS], at: usize) -> __m256 = {
            let upper = _mm_loadu_si128(from.as_chunks::<16>().0[at].as_ptr().cast());
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(upper)))
        };
        fn u8(self, from: &[u8; ROWS], at: usize) -> __m256 = {
            let bytes = _mm_loadl_epi64(from.as_chunks::<8>().0[at].as_ptr().cast());
            _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))
        };
        fn i8(self, from: &[u8; ROWS], at: usize) -> __m256 = {
            let bytes = _mm_loadl_epi64(from.as_chunks::<8>().0[at].as_ptr().cast());
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
        };
        fn ints(self, from: &[i32; ROWS], at: usize) -> __m256i =
            _mm256_loadu_si256(from.as_chunks::<8>().0[at].as_ptr().cast());
        fn floats(self, ints: __m256i) -> __m256 = _mm256_cvtepi32_ps(ints);
        fn splat(self, value: f32) -> __m256 = _mm256_set1_ps(value);
        fn mul(self, a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
        fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        fn fnma(self, a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fnmadd_ps(a, b, c);
        fn store(self, floats: __m256, to: &mut [f32; ROWS], at: usize) -> () =
            _mm256_storeu_ps(to.as_chunks_mut::<8>().0[at].as_mut_ptr(), floats);
        fn prefetch(self, from: *const u8) -> () = _mm_prefetch::<_MM_HINT_T1>(from.cast());
    }
}

/// Dot products of AVX2 alone.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// The proof, if the path has what it takes.
    pub(super) fn of(path: Path) -> Option<Self> {
        (path.instructions() == Instructions::Avx2).then_some(Self(()))
    }
}

impl DotProducts for Avx2 {
    #[inline(always)]
    fn run<O: Operation<Self>>(self, operation: O) -> O::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn enabled<O: Operation<Avx2>>(proof: Avx2, operation: O) -> O::Output {
            operation.run(proof)
        }
        // SAFETY: a value of this type is the proof that the processor has these instructions.
        unsafe { enabled(self, operation) }
    }

    /// Products of two neighbours are added in 16 bits, which hold `2 · LARGEST · 127` several times over.
    #[inline(always)]
    fn dot<const LARGEST: i32, const N: usize>(
        self,
        mut sum: __m256i,
        weights: &[__m256i; N],
        quants: &[Quad; N],
    ) -> __m256i {
        let several = (i16::MAX as i32 / (2 * LARGEST * 127)) as usize;
        for first in (0..N).step_by(several) {
            // SAFETY: a value of this type is the proof that the processor has these instructions.
            unsafe {
                let mut pairs = _mm256_maddubs_epi16(weights[first], _mm256_set1_epi32(quad(quants[first])));
                for i in first + 1..N.min(first + several) {
                    pairs = _mm256_add_epi16(
                        pairs,
                        _mm256_maddubs_epi16(weights[i], _mm256_set1_epi32(quad(quants[i]))),
                    );
                }
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            }
        }
        sum
    }

    #[inline(always)]
    fn signed(self, bytes: __m256i) -> __m256i {
        bytes
    }

    /// `|w| · (sign of w · a)`: two neighbours come to at most `2 · 128 · 127`, which 16 bits just hold.
    #[inline(always)]
    fn signed_dot(self, weights: &[__m256i; 8], quants: &[Quad; 8], _sums: [i16; 2]) -> __m256i {
        // SAFETY: a value of this type is the proof that the processor has these instructions.
        unsafe {
            let mut sum = _mm256_setzero_si256();
            for i in 0..8 {
                let signed = _mm256_sign_epi8(_mm256_set1_epi32(quad(quants[i])), weights[i]);
                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights[i]), signed);
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            }
            sum
        }
    }
}

/// Defines a proof whose dot products are one instruction of VNNI.
macro_rules! vnni {
    ($(#[$meta:meta])* $name:ident, $instructions:pat, $features:literal, $dpbusd:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub(super) struct $name(());

        impl $name {
            /// The proof, if the path has what it takes.
            pub(super) fn of(path: Path) -> Option<Self> {
                matches!(path.instructions(), $instructions).then_some(Self(()))
            }
        }

        impl DotProducts for $name {
            #[inline(always)]
            fn run<O: Operation<Self>>(self, operation: O) -> O::Output {
                #[target_feature(enable = $features)]
                fn enabled<O: Operation<$name>>(proof: $name, operation: O) -> O::Output {
                    operation.run(proof)
                }
                // SAFETY: a value of this type is the proof that the processor has these instructions.
                unsafe { enabled(self, operation) }
            }

            #[inline(always)]
            fn dot<const LARGEST: i32, const N: usize>(self, mut sum: __m256i, weights: &[__m256i; N], quants: &[Quad; N]) -> __m256i {
                for i in 0..N {
                    // SAFETY: a value of this type is the proof that the processor has these instructions.
                    sum = unsafe { $dpbusd(sum, weights[i], _mm256_set1_epi32(quad(quants[i]))) };
                }
                sum
            }

            /// As unsigned bytes: 128 is added to each.
            #[inline(always)]
            fn signed(self, bytes: __m256i) -> __m256i {
                // SAFETY: a value of this type is the proof that the processor has these instructions.
                unsafe { _mm256_xor_si256(bytes, _mm256_set1_epi8(-128)) }
            }

            /// The 128 that was added to each weight is taken off again: `Σ (w + 128) · a − 128 · Σa`.
            #[inline(always)]
            fn signed_dot(self, weights: &[__m256i; 8], quants: &[Quad; 8], sums: [i16; 2]) -> __m256i {
                DotProducts::dot::<255, 8>(self, self.weighted(sums, [-128; 2]), weights, quants)
            }
        }
    };
}

vnni!(
    /// Dot products of AVX-VNNI.
    AvxVnni,
    Instructions::AvxVnni,
    "avx2,fma,f16c,avxvnni",
    _mm256_dpbusd_avx_epi32
);

#[cfg(test)]
vnni!(
    /// The same instruction as AVX-512 encodes it, which more machines that run tests have.
    Avx512Vnni,
    Instructions::Avx512 | Instructions::Amx,
    "avx2,fma,f16c,avx512vl,avx512vnni",
    _mm256_dpbusd_epi32
);
