//! The operators between products: norms, rotary positions, activations of the feed-forward part, softmax.
//!
//! Each is defined by its formula *and* by the order in which it rounds, so that all paths give the same bits:
//!
//! - A sum over columns has 16 lanes: lane `i` adds the columns `i, 16 + i, 32 + i …` in order, beginning with 0; then
//!   lanes are added in a tree, `i` and `i + 8`, `i` and `i + 4`, `i` and `i + 2`, and the last two.
//! - `fma(a, b, c)` is `a · b + c` rounded once. Every other operation is rounded by itself.
//! - `exp` is [`exp::exp`].
//!
//! Operators work on one row; rows are given to threads by the caller. Those that end in `_quantise` leave a row that
//! products take, their result and its rounding to 8 bits.

pub mod exp;
mod feed_forward;
mod norm;
mod rope;
pub(crate) mod select;
pub(crate) mod sum;

pub use feed_forward::{add, silu_multiply, silu_multiply_quantise};
pub use norm::{rms_norm, rms_norm_heads, rms_norm_quantise};
pub use rope::{Convention, Rope, RopeError, RopeScaling, rotate};
pub use select::softmax;

#[cfg(test)]
mod tests;
