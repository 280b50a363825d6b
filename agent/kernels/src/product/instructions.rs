//! How a function of [`super::wide::Vectors`] is written down that is one intrinsic, or few.

/// Defines functions whose bodies are intrinsics, for a type whose values prove that the processor has them.
macro_rules! instructions {
    ($($(#[$meta:meta])* fn $name:ident $([$($generic:tt)*])? (self $(, $argument:ident: $type:ty)* $(,)?) -> $result:ty = $body:expr;)*) => {
        $($(#[$meta])* #[inline(always)]
        fn $name $(<$($generic)*>)? (self $(, $argument: $type)*) -> $result {
            // SAFETY: a value of this type is the proof that the processor has these instructions; references are
            // valid for the bytes that are loaded or stored.
            unsafe { $body }
        })*
    };
}
pub(super) use instructions;
