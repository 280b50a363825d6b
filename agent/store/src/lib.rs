//! Model files on disk: GGUF in, packed blocks out, verified and mapped into memory.
//!
//! A store is a folder. Its models are lists of blocks of at most 4 MiB that are named by their hash, so that models
//! share what is equal in them and an import that was cut off loses nothing that was written.
//!
//! What is absent: this crate knows no HTTP, no bus and no model's arithmetic.

mod error;
pub mod gguf;
mod memory;
pub mod metadata;
mod pack;
pub mod packed;
pub mod source;
pub mod tensor;
mod workers;

pub use error::Error;
