//! How much memory there is for models and conversations.

use anyhow::{Context, Result};
use linux::{OwnMemory, Tree};
use machine::Bytes;

/// What the machine has to give, bytes. Looked at once, before any model is mapped. The unit's sandbox hides it and
/// leaves its own limit, which is a share of it; both are told.
pub(crate) fn available() -> Result<Option<u64>> {
    let OwnMemory { available, limit, .. } = read()?;
    let bytes = |Bytes(bytes)| bytes;
    let (available, limit) = (available.map(bytes), limit.map(bytes));
    match available.or(limit) {
        Some(_) => tracing::info!(available, limit, "bytes of memory that there are"),
        None => tracing::warn!("nobody says how much memory there is: conversations may take more"),
    }
    Ok(available)
}

/// What this process may not go above, bytes. An administrator may have set another limit since it was last read.
pub(crate) fn limit() -> Option<u64> {
    let own = read().inspect_err(|error| tracing::warn!("{error:#}"));
    own.ok()?.limit.map(|Bytes(bytes)| bytes)
}

fn read() -> Result<OwnMemory> {
    let tree = Tree::open("/").context("cannot tell how much memory there is")?;
    let own = OwnMemory::read(&tree);
    for warning in &own.warnings {
        tracing::warn!("{} {}", warning.path, warning.problem);
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_says_how_much_there_is() {
        let available = available().unwrap();
        assert!(available.is_some_and(|bytes| bytes > 0), "{available:?}");
    }
}
