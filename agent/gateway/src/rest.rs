//! The management interface, `/api/v1`. Handlers only translate.

mod health;
mod status;
mod tokens;

pub(crate) use health::{HealthCache, health};
pub(crate) use status::status;
pub(crate) use tokens::{create, list, revoke};

/// The largest body that is read.
pub(crate) const LARGEST_BODY: u64 = 16 << 10;
