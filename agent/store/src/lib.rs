//! Model files on disk: GGUF in, packed blocks out, verified and mapped into memory.
//!
//! A store is a folder. Its models are lists of blocks of at most 4 MiB that are named by their hash, so that models
//! share what is equal in them and an import that was cut off loses nothing that was written.
//!
//! What is absent: this crate knows no HTTP, no bus and no model's arithmetic.

mod block;
mod codec;
mod error;
mod export;
mod folder;
pub mod gguf;
mod hash;
mod id;
mod import;
mod load;
pub mod manifest;
mod memory;
pub mod metadata;
mod models;
mod opened;
mod pack;
pub mod packed;
pub mod part;
mod progress;
mod pulse;
mod ring;
pub mod source;
mod store;
mod stream;
pub mod tensor;
mod workers;

pub use block::{BlockProblem, Damage};
pub use codec::Codec;
pub use error::Error;
pub use hash::{Hash, NoHash};
pub use id::{ModelId, NoModelId};
pub use memory::{Pages, trim_heap};
pub use opened::Opened;
pub use progress::{OnProgress, Phase, Progress};
pub use pulse::Pulse;
pub use store::{Collected, Store};
