//! The writer on small trees: what it changes, refuses, brings back, and survives.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only test functions unwrap, not what they share"
)]

mod foreign;
mod host;
mod limits;
mod properties;
mod returning;
mod writes;
