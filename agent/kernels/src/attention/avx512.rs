//! Sixteen floats in one register of AVX-512.
#![allow(
    unsafe_code,
    reason = "intrinsics; `Avx512::new` is for those who may run them"
)]

use std::arch::x86_64::*;

use super::simd::Simd;
use crate::kv::Half;

/// AVX-512 F, BW, VL and VNNI.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// For code that is compiled for these instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn new() -> Self {
        Self(())
    }
}

impl Simd for Avx512 {
    type Lanes = __m512;

    const ACCUMULATORS: usize = 24;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: `self` is proof of AVX-512.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, values: &[f32; 16]) -> __m512 {
        // SAFETY: `self` is proof of AVX-512; 16 floats are there.
        unsafe { _mm512_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn load_f16(self, values: &[Half; 16]) -> __m512 {
        // SAFETY: `self` is proof of AVX-512; 32 bytes are there.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(values.as_ptr().cast())) }
    }

    #[inline(always)]
    fn load_q8(self, values: &[u8; 16]) -> __m512 {
        // SAFETY: `self` is proof of AVX-512; 16 bytes are there.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(values.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn store(self, lanes: __m512, values: &mut [f32; 16]) {
        // SAFETY: `self` is proof of AVX-512; there is room for 16 floats.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), lanes) }
    }

    #[inline(always)]
    fn multiply(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` is proof of AVX-512.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` is proof of AVX-512.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn prefetch(self, from: *const u8) {
        // SAFETY: `self` is proof of AVX-512; nothing is read.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
    }

    #[inline(always)]
    fn dot(self, keys: &[[u8; 64]; 8], query: &[u8; 32], sum: i32) -> __m512 {
        // SAFETY: `self` is proof of VNNI; of `keys` 64 bytes are read for each four of `query`.
        unsafe {
            // The instruction takes one side without sign: keys are raised by 128, which adds 128 times the query's
            // sum.
            let raise = _mm512_set1_epi8(i8::MIN);
            let mut sums = _mm512_set1_epi32(-128 * sum);
            for (keys, query) in keys.iter().zip(query.as_chunks::<4>().0) {
                let keys = _mm512_xor_si512(_mm512_loadu_si512(keys.as_ptr().cast()), raise);
                sums = _mm512_dpbusd_epi32(sums, keys, _mm512_set1_epi32(i32::from_le_bytes(*query)));
            }
            _mm512_cvtepi32_ps(sums)
        }
    }
}
