//! The models of the tests.

use std::path::PathBuf;

use anyhow::{Context, Result};
use image::{Paths, ensure_model};
use tests::host::Options;
use tests::report;

/// The made-up model's id.
pub(crate) const TINY: &str = "tiny";
/// The real one's.
pub(crate) const SMOLLM2: &str = "smollm2-135m-instruct";

/// A folder with the made-up model, which looks back on `context` tokens. It is removed when dropped.
pub(crate) fn tiny(context: u32) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    engine::tiny::write(&folder.path().join("tiny.gguf"), context)?;
    Ok(folder)
}

/// The real model's file, fetched on the first call.
pub(crate) fn smollm2() -> Result<PathBuf> {
    report::with_progress(|progress| ensure_model(&Paths::discover(), progress)).context("no model")
}

/// A stack with the real model.
pub(crate) fn with_smollm2() -> Result<Options> {
    let model = smollm2()?;
    Ok(Options::models(
        model.parent().context("a model without a folder")?,
    ))
}
