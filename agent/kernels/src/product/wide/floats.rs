//! Float weights.

use super::vectors::Vectors;
use crate::layout::Planes;

/// The elements of a row tile of float weights.
pub(super) trait Elements<'a, V: Vectors>: Copy {
    /// Bytes of four columns.
    const BYTES: usize;

    /// Those of a row tile.
    fn of(planes: &Planes<'a>) -> Self;

    /// A column of four: column `4 · four + i`.
    fn column(&self, v: V, four: usize, i: usize, at: usize) -> V::Floats;
}

/// Defines elements of one type: their bytes in a column of a row tile, and how such a column is loaded.
macro_rules! elements {
    ($($name:ident: $bytes:literal, $load:ident;)*) => {
        $(
            #[doc = concat!("Elements that [`Vectors::", stringify!($load), "`] loads.")]
            #[derive(Clone, Copy)]
            pub(super) struct $name<'a>(&'a [[[u8; $bytes]; 4]]);

            impl<'a, V: Vectors> Elements<'a, V> for $name<'a> {
                const BYTES: usize = 4 * $bytes;

                #[inline(always)]
                fn of(planes: &Planes<'a>) -> Self {
                    Self(planes.quants.as_chunks().0.as_chunks().0)
                }

                #[inline(always)]
                fn column(&self, v: V, four: usize, i: usize, at: usize) -> V::Floats {
                    v.$load(&self.0[four][i], at)
                }
            }
        )*
    };
}

elements! {
    F32: 64, f32;
    F16: 32, f16;
    BF16: 32, bf16;
}
