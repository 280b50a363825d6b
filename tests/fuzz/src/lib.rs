//! Feeds a parser with inputs that are nearly right, as many as were asked for and the same ones each time.
//!
//! No compiler of nightly's is needed, for nothing is instrumented: what stands for coverage is what the parser says. An
//! input whose outcome was not seen before joins those that later ones are made of, so that the campaign goes on from
//! wherever it has got to. That is enough where each check of a parser has words of its own, as here.

mod campaign;
#[cfg(feature = "corpus")]
pub mod corpus;
pub mod fields;
pub mod json;
pub mod mutate;
mod noise;

pub use campaign::{Campaign, Report};
pub use noise::Noise;
