//! Models in a store, as the appliance has them.

use std::path::{Path, PathBuf};
use std::process::Command;

use ::tests::process::output;
use anyhow::{Context, Result};

use crate::parts::Parts;

/// A model of a store.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The store's folder.
    pub store: PathBuf,
    /// The model's name in it.
    pub name: String,
}

impl Stored {
    /// Imports a file, by our engine's own command. What is there already is not written again.
    pub fn import(parts: &Parts, file: &Path) -> Result<Self> {
        let name = file.file_stem().and_then(|stem| stem.to_str());
        let stored = Self {
            store: parts.folder.join("store"),
            name: name.context("a model without a name")?.to_owned(),
        };
        let mut command = Command::new(parts.program("inferd"));
        command.args(["import", "--name", &stored.name, "--store"]);
        output(command.arg(&stored.store).arg(file))?;
        Ok(stored)
    }
}
