//! Model files made here, read, packed, stored and damaged.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod full;
mod head;
mod kill;
mod model;
mod packed;
mod source;
mod store;
