//! A virtual machine that boots the image as it is shipped.
//!
//! The disk is the image on a larger disk, copied or flashed. Nothing of the image is changed: keys and tokens come in as
//! an owner brings them in, on `CONFIG` or by SMBIOS (systemd.system-credentials(7)).

pub mod accel;
mod disk;
mod evidence;
mod fat;
mod keys;
mod machine;
mod qemu;
mod qmp;
mod serial;
mod ssh;
pub mod twin;

pub use fat::fat;
pub use keys::Keys;
pub use machine::{DISK, Machine, Setup};
pub use qemu::{Bay, Drive};
pub use serial::token_on;
pub use ssh::{Ssh, quote};
