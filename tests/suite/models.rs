//! The models of the tests.

use std::path::PathBuf;

use anyhow::{Context, Result};
use image::{Paths, ensure_model};
use tempfile::TempDir;
use tests::host::{HostStack, Options, store_with, with_stack};
use tests::report;

/// The made-up model's id.
pub(crate) const TINY: &str = "tiny";
/// The real one's.
pub(crate) const SMOLLM2: &str = "smollm2-135m-instruct";

/// Runs a test with the made-up model, which looks back on `context` tokens, and `slots` answers at a time.
///
/// One thread computes it: the tests run side by side, and threads that wait for one another would mostly wait.
pub(crate) fn with_tiny<T>(
    context: u32,
    slots: usize,
    test: impl FnOnce(&mut HostStack) -> Result<T>,
) -> Result<T> {
    let store = tiny_store(context)?;
    let options = Options::models(store.path())
        .inferd("--threads", 1)
        .inferd("--slots", slots);
    with_stack(&options.inferd("--context", context), test)
}

/// A store with the made-up model.
pub(crate) fn tiny_store(context: u32) -> Result<TempDir> {
    let file = tempfile::NamedTempFile::with_suffix(".gguf")?;
    engine::tiny::write(file.path(), context)?;
    store_with(TINY, file.path())
}

/// The real model's file, fetched on the first call.
pub(crate) fn smollm2() -> Result<PathBuf> {
    report::with_progress(|progress| ensure_model(&Paths::discover(), progress)).context("no model")
}

/// A store with the real model.
pub(crate) fn smollm2_store() -> Result<TempDir> {
    store_with(SMOLLM2, &smollm2()?)
}

/// Runs a test with the real model.
pub(crate) fn with_smollm2<T>(test: impl FnOnce(&mut HostStack) -> Result<T>) -> Result<T> {
    let store = smollm2_store()?;
    with_stack(&Options::models(store.path()).inferd("--threads", 2), test)
}
