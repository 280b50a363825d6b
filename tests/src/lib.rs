//! What the end-to-end tests are made of: the daemons on this host, a virtual machine that runs the image, a client, and
//! reports with the time of everything.
//!
//! The tests themselves are in `suite/` (on this host) and in the binary `vm` (in the guest).

pub mod client;
pub mod conformance;
pub mod cycles;
pub mod host;
pub mod kills;
pub mod load;
pub mod oracle;
pub mod process;
pub mod python;
pub mod questions;
pub mod report;
pub mod vm;
pub mod wait;
