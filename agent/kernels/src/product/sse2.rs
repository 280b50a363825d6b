//! What takes the integer scales of K-quants apart: SSE2, which every x86-64 has, is as wide as a row tile has rows.
#![allow(unsafe_code, reason = "intrinsics")]

use std::arch::x86_64::*;

use crate::layout::ROWS;

/// The integer scales and mins of a row tile's 256 columns of Q4_K or Q5_K, in eight parts.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    pub(super) scales: [[u8; ROWS]; 8],
    pub(super) mins: [[u8; ROWS]; 8],
}

/// Takes apart what [`crate::layout`] says of the plane of scales.
#[inline(always)]
pub(super) fn parts(groups: &[[u8; ROWS]; 12]) -> Parts {
    let mut parts = Parts {
        scales: [[0; ROWS]; 8],
        mins: [[0; ROWS]; 8],
    };
    for (scales, group) in parts.scales.iter_mut().zip(groups) {
        store(six_bits(load(group)), scales);
    }
    for part in 0..4 {
        let group = load(&groups[8 + part]);
        let upper = upper_bits(load(&groups[2 * part]), load(&groups[2 * part + 1]), group);
        store(six_bits(group), &mut parts.mins[part]);
        store(upper, &mut parts.mins[4 + part]);
    }
    parts
}

/// The low six bits of each byte.
#[inline(always)]
fn six_bits(bytes: __m128i) -> __m128i {
    // SAFETY: every x86-64 has SSE2.
    unsafe { _mm_and_si128(bytes, _mm_set1_epi8(0b11_1111)) }
}

/// The upper two bits of each byte of three make six bits, the first's being the lowest.
#[inline(always)]
fn upper_bits(first: __m128i, second: __m128i, third: __m128i) -> __m128i {
    // SAFETY: every x86-64 has SSE2.
    unsafe {
        let first = _mm_and_si128(_mm_srli_epi16::<6>(first), _mm_set1_epi8(0b00_0011));
        let second = _mm_and_si128(_mm_srli_epi16::<4>(second), _mm_set1_epi8(0b00_1100));
        let third = _mm_and_si128(_mm_srli_epi16::<2>(third), _mm_set1_epi8(0b11_0000));
        _mm_or_si128(_mm_or_si128(first, second), third)
    }
}

#[inline(always)]
fn load(from: &[u8; ROWS]) -> __m128i {
    // SAFETY: every x86-64 has SSE2, and the reference is valid for 16 bytes.
    unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
}

#[inline(always)]
fn store(bytes: __m128i, to: &mut [u8; ROWS]) {
    // SAFETY: every x86-64 has SSE2, and the reference is valid for 16 bytes.
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), bytes) }
}
