//! Sixteen floats at a time, with the instructions of each path.

use crate::kv::{Half, float16, quant};

/// Instructions for 16 floats. Whoever holds a value of such a type may run them.
///
/// Methods compute lane by lane what [`Plain`] does, to the bit.
pub(super) trait Simd: Copy {
    /// Sixteen floats.
    type Lanes: Copy;

    /// How many `Lanes` may be kept in registers beside those that are loaded. Where that is 1, queries are computed one
    /// by one.
    const ACCUMULATORS: usize;

    fn splat(self, value: f32) -> Self::Lanes;
    fn load(self, values: &[f32; 16]) -> Self::Lanes;
    fn load_f16(self, values: &[Half; 16]) -> Self::Lanes;
    fn load_q8(self, values: &[u8; 16]) -> Self::Lanes;
    fn store(self, lanes: Self::Lanes, values: &mut [f32; 16]);
    fn multiply(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `a · b + c`, rounded once.
    fn fma(self, a: Self::Lanes, b: Self::Lanes, c: Self::Lanes) -> Self::Lanes;
    /// The dot products of 32 dimensions of 16 positions with `query`, exactly: `keys` is `[8, 16, 4]`. All are bytes
    /// from −127 to 127; `sum` is that of `query`.
    fn dot(self, keys: &[[u8; 64]; 8], query: &[u8; 32], sum: i32) -> Self::Lanes;

    /// Asks for the cache line at `from`, which need not be memory.
    fn prefetch(self, from: *const u8);
}

/// Plain code.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Simd for Plain {
    type Lanes = [f32; 16];

    const ACCUMULATORS: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 16] {
        [value; 16]
    }

    #[inline(always)]
    fn load(self, values: &[f32; 16]) -> [f32; 16] {
        *values
    }

    #[inline(always)]
    fn load_f16(self, values: &[Half; 16]) -> [f32; 16] {
        values.map(float16::to_f32)
    }

    #[inline(always)]
    fn load_q8(self, values: &[u8; 16]) -> [f32; 16] {
        values.map(quant)
    }

    #[inline(always)]
    fn store(self, lanes: [f32; 16], values: &mut [f32; 16]) {
        *values = lanes;
    }

    #[inline(always)]
    fn multiply(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn fma(self, a: [f32; 16], b: [f32; 16], mut c: [f32; 16]) -> [f32; 16] {
        for ((&a, &b), c) in a.iter().zip(&b).zip(&mut c) {
            *c = a.mul_add(b, *c);
        }
        c
    }

    #[inline(always)]
    fn dot(self, keys: &[[u8; 64]; 8], query: &[u8; 32], _sum: i32) -> [f32; 16] {
        std::array::from_fn(|position| {
            let mut sum = 0;
            for (keys, query) in keys.iter().zip(query.as_chunks::<4>().0) {
                for (key, query) in keys[4 * position..][..4].iter().zip(query) {
                    sum += i32::from(key.cast_signed()) * i32::from(query.cast_signed());
                }
            }
            sum as f32
        })
    }

    #[inline(always)]
    fn prefetch(self, _from: *const u8) {}
}

/// Defines a function that runs `body` with the [`Simd`] of a path as its first argument, compiled for that path.
macro_rules! on_each_simd {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) = $body:path) => {
        $(#[$meta])*
        $visibility fn $name(path: $crate::path::Path, $($argument: $type),*) {
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2($($argument: $type),*) {
                $body($crate::attention::avx2::Avx2::new(), $($argument),*)
            }
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
            fn avx512($($argument: $type),*) {
                $body($crate::attention::avx512::Avx512::new(), $($argument),*)
            }
            use $crate::path::Instructions;
            match path.instructions() {
                Instructions::Scalar => $body($crate::attention::simd::Plain, $($argument),*),
                #[allow(unsafe_code, reason = "the processor was asked")]
                // SAFETY: there is such a `Path` only where the processor has these instructions.
                Instructions::Avx2 | Instructions::AvxVnni => unsafe { avx2($($argument),*) },
                #[allow(unsafe_code, reason = "the processor was asked")]
                // SAFETY: there is such a `Path` only where the processor has these instructions.
                Instructions::Avx512 | Instructions::Amx => unsafe { avx512($($argument),*) },
            }
        }
    };
}
pub(super) use on_each_simd;
