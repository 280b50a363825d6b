//! Sets up a machine for building, builds Hearth's disk image and flashes it.
//!
//! The binary `image` is a thin face on this library, and the tests in a virtual machine call it too. Nothing here
//! prints: what happens goes to a [`Progress`]. Everything that is made lies in a cache outside the checkout
//! ([`Paths`]) that may be deleted at any time. Root is used, by sudo where needed, for three things only: apt-get,
//! the tools tree and mkosi; and to write to a device.

use std::path::PathBuf;

mod build;
mod command;
mod error;
pub mod flash;
mod hash;
mod host;
mod mirror;
mod mkosi;
mod model;
mod paths;
mod progress;
mod python;
mod setup;
mod stage;
mod tools_tree;
mod tree;

pub use build::{Built, Options, build};
pub use command::{authorise, is_root};
pub use error::{Error, Result};
pub use model::{DEFAULT as DEFAULT_MODEL, Model, Part};
pub use paths::Paths;
pub use progress::{Event, Progress};
pub use python::ensure_venv;
pub use setup::{browser, ensure_browser, ensure_packages};
pub use tree::{Tree, Variant};

/// Installs the host's packages, makes the tools tree and fetches the model: all that a build or test downloads,
/// but for crates and the image's own packages.
pub fn ensure_setup(paths: &Paths, progress: Progress<'_>) -> Result<()> {
    ensure_packages(paths, progress)?;
    let _lock = paths.lock()?;
    model::DEFAULT.ensure(paths, progress)?;
    tools_tree::ensure(paths, progress)?;
    Ok(())
}

/// The disk image of this checkout, built if it is not up to date.
pub fn ensure_image(paths: &Paths, progress: Progress<'_>) -> Result<PathBuf> {
    Ok(build(&Options::default(), paths, progress)?.raw)
}

/// The default model's verified file, fetched if it is not there.
pub fn ensure_model(paths: &Paths, progress: Progress<'_>) -> Result<PathBuf> {
    let _lock = paths.lock()?;
    model::DEFAULT.ensure(paths, progress)
}
