//! The only crate that opens `/sys`, `/proc` and the control group hierarchy. It never creates a file
//! there. [`Writer`] writes what is held, [`Reclaimer`] asks for memory back, and nothing else writes.
//!
//! The root is a parameter ([`Tree`]), so that a tree captured from another machine is read by the same code as this
//! one, and no path in it, symbolic links included, leads out of it. [`discover`] tells what the machine has and
//! [`Sampler`] what it shows at one instant. Neither fails: what cannot be read or believed is `None` beside a
//! [`machine::Warning`] that names the file. A class of devices that is missing as a whole is no fault (a virtual
//! machine has no thermal zones); a file that is missing in an entry that should have it is one.
//!
//! Parsers take `&str` and touch no file; [`Tree`] reads and knows no format. `procfs-core`'s parsers are not used:
//! those of version 0.18 panic on a truncated `/proc/pressure` line and on a `/proc/meminfo` field that ends in a
//! letter beyond ASCII, and one missing field costs all others.

mod cgroup;
mod cooling;
mod core_type;
mod cpufreq;
mod cpuinfo;
mod dmi;
mod events;
mod hwmon;
mod links;
mod meminfo;
mod memory;
mod neighbours;
mod own_memory;
mod own_start;
mod parse;
mod platform_profile;
mod power_supply;
mod powercap;
mod pressure;
mod problem;
mod reader;
mod reclaimer;
mod sampler;
mod stat;
mod thermal;
mod topology;
mod tree;
mod writer;
mod zoneinfo;
mod zram;

pub use events::{KernelEvent, KernelEvents};
pub use links::is_unplugged;
pub use neighbours::{Neighbour, neighbours};
pub use own_memory::OwnMemory;
pub use own_start::own_start;
pub use reclaimer::{Reclaimed, Reclaimer};
pub use sampler::{Sampler, discover};
pub use tree::{Error, MAX_FILE_BYTES, MAX_LONG_FILE_BYTES, Tree};
pub use writer::{Applied, Change, Writer};
