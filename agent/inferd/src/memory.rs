//! How much memory there is for models and conversations.

use anyhow::{Context, Result};
use engine::capacity::Memory;
use linux::{OwnMemory, Tree};
use machine::Bytes;

/// Looks once, before any model is mapped. The unit's sandbox hides what the machine has and leaves its own limit,
/// which is a share of it.
pub(crate) fn read() -> Result<Memory> {
    let tree = Tree::open("/").context("cannot tell how much memory there is")?;
    let OwnMemory {
        available,
        limit,
        warnings,
    } = OwnMemory::read(&tree);
    for warning in warnings {
        tracing::warn!("{} {}", warning.path, warning.problem);
    }
    let bytes = |Bytes(bytes)| bytes;
    let (available, limit) = (available.map(bytes), limit.map(bytes));
    match available.or(limit) {
        Some(_) => tracing::info!(available, limit, "bytes of memory that there are"),
        None => tracing::warn!("nobody says how much memory there is: conversations may take more"),
    }
    Ok(Memory { available, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_says_how_much_there_is() {
        let memory = read().unwrap();
        assert!(memory.available.is_some_and(|bytes| bytes > 0), "{memory:?}");
    }
}
