//! The checks in the guest, by what they are about. Each returns the figure or fact that it saw.

pub(crate) mod access;
pub(crate) mod answers;
pub(crate) mod bus;
pub(crate) mod disk;
pub(crate) mod engine;
pub(crate) mod life;
pub(crate) mod management;
pub(crate) mod memory;
pub(crate) mod models;
pub(crate) mod recovery;
pub(crate) mod sandbox;
pub(crate) mod settled;
pub(crate) mod setup;
pub(crate) mod tls;
