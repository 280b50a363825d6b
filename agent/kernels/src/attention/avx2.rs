//! Sixteen floats in two registers of AVX2.
#![allow(unsafe_code, reason = "intrinsics; `Avx2::new` is for those who may run them")]

use std::arch::x86_64::*;

use super::simd::Simd;
use crate::kv::Half;

/// AVX2 with FMA and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// For code that is compiled for these instructions.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn new() -> Self {
        Self(())
    }
}

impl Simd for Avx2 {
    type Lanes = [__m256; 2];

    const ACCUMULATORS: usize = 6;

    #[inline(always)]
    fn splat(self, value: f32) -> [__m256; 2] {
        // SAFETY: `self` is proof of AVX2.
        let lanes = unsafe { _mm256_set1_ps(value) };
        [lanes; 2]
    }

    #[inline(always)]
    fn load(self, values: &[f32; 16]) -> [__m256; 2] {
        let first = values.as_ptr();
        // SAFETY: `self` is proof of AVX2; 16 floats are there.
        unsafe { [_mm256_loadu_ps(first), _mm256_loadu_ps(first.add(8))] }
    }

    #[inline(always)]
    fn load_f16(self, values: &[Half; 16]) -> [__m256; 2] {
        let first = values.as_ptr().cast::<__m128i>();
        // SAFETY: `self` is proof of AVX2 and F16C; 32 bytes are there.
        unsafe {
            [
                _mm256_cvtph_ps(_mm_loadu_si128(first)),
                _mm256_cvtph_ps(_mm_loadu_si128(first.add(1))),
            ]
        }
    }

    #[inline(always)]
    fn load_q8(self, values: &[u8; 16]) -> [__m256; 2] {
        let first = values.as_ptr();
        // SAFETY: `self` is proof of AVX2; 16 bytes are there.
        unsafe {
            let low = _mm256_cvtepi8_epi32(_mm_loadl_epi64(first.cast()));
            let high = _mm256_cvtepi8_epi32(_mm_loadl_epi64(first.add(8).cast()));
            [_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)]
        }
    }

    #[inline(always)]
    fn store(self, lanes: [__m256; 2], values: &mut [f32; 16]) {
        let first = values.as_mut_ptr();
        // SAFETY: `self` is proof of AVX2; there is room for 16 floats.
        unsafe {
            _mm256_storeu_ps(first, lanes[0]);
            _mm256_storeu_ps(first.add(8), lanes[1]);
        }
    }

    #[inline(always)]
    fn multiply(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `self` is proof of AVX2.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn fma(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `self` is proof of FMA.
        unsafe {
            [
                _mm256_fmadd_ps(a[0], b[0], c[0]),
                _mm256_fmadd_ps(a[1], b[1], c[1]),
            ]
        }
    }

    #[inline(always)]
    fn prefetch(self, from: *const u8) {
        // SAFETY: `self` is proof of AVX2; nothing is read.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
    }

    #[inline(always)]
    fn dot(self, keys: &[[u8; 64]; 8], query: &[u8; 32], _sum: i32) -> [__m256; 2] {
        // SAFETY: `self` is proof of AVX2; of `keys` 64 bytes are read for each four of `query`.
        unsafe {
            let mut sums = [_mm256_setzero_si256(); 2];
            for (keys, query) in keys.iter().zip(query.as_chunks::<4>().0) {
                let query = _mm256_set1_epi32(i32::from_le_bytes(*query));
                let magnitudes = _mm256_abs_epi8(query);
                let keys = keys.as_ptr().cast::<__m256i>();
                for (half, sum) in sums.iter_mut().enumerate() {
                    let signed = _mm256_sign_epi8(_mm256_loadu_si256(keys.add(half)), query);
                    // Pairs stay below 2 · 127², which 16 bits hold.
                    let pairs = _mm256_maddubs_epi16(magnitudes, signed);
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
                }
            }
            sums.map(|sum| _mm256_cvtepi32_ps(sum))
        }
    }
}
