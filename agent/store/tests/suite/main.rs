//! Models made here, read, packed, stored and damaged.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod damage;
mod export;
mod full;
mod head;
mod import;
mod kill;
mod manifests;
mod model;
mod packed;
mod place;
mod removal;
mod source;
mod streaming;
