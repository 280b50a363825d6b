//! A virtual machine that boots the image as it is shipped.
//!
//! The disk is a copy of the image on a larger disk, as flashing makes one. Nothing of the image is changed: the caller's
//! key and other credentials come in by SMBIOS, as systemd documents it (systemd.system-credentials(7)).

pub mod accel;
pub mod disk;
mod evidence;
mod keys;
mod machine;
mod qemu;
mod qmp;
mod serial;
mod ssh;

pub use keys::Keys;
pub use machine::{Machine, Setup};
pub use serial::token_on;
pub use ssh::Ssh;
