//! What the owner sets: read from `hearth.toml`, checked as a whole, answered line by line, and turned into the files that
//! systemd-networkd, iwd, sshd, the gateway and the engine read.
//!
//! All of this is pure: text in, values and texts out. Files, clocks and the machine are the program's.

pub mod change;
pub mod cidata;
pub mod copies;
pub mod disks;
pub mod file;
pub mod kept;
pub mod outcome;
pub mod render;
pub mod settings;
pub mod state;
pub mod trial;

use sha2::{Digest, Sha256};

pub use file::{Problem, parse};
pub use settings::Settings;

/// Names a text: its SHA-256 in hexadecimal digits.
pub fn digest(text: &[u8]) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
