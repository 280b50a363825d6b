//! Firmware profiles: what is known of a kind of machine, kept as data in `<vendor>/<product>.toml`.
//!
//! [`Catalogue::load`] reads the folders in order (a later one's file replaces an earlier one's of the same name) and
//! tells of every file that is wrong; [`Catalogue::matching`] picks the profile that names the machine most closely
//! and resolves it with those it extends into a [`machine::Tuning`]. Nothing is built in: without any file the laws
//! run on `Tuning::default()`. The format in words: `firmware-profiles/README.md`.

mod candidate;
mod catalogue;
mod check;
mod command;
mod criteria;
mod explain;
mod file;
mod filler;
mod fragment;
mod pattern;
mod problem;
mod quantity;
mod screen;
mod settle;
#[cfg(test)]
mod tests;

pub(crate) use catalogue::Catalogue;
pub(crate) use command::{ProfileCommand, run};

/// Where profiles lie on the appliance: those of the image, then the administrator's own.
pub(crate) const FOLDERS: [&str; 2] = [
    "/usr/share/hearth/firmware-profiles",
    "/etc/hearth/firmware-profiles",
];
