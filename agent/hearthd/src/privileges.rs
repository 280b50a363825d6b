//! Giving up what root could do.
//!
//! hearthd stays user 0 because RAPL's counters are readable only for their owner, and needs no capability for it.

use anyhow::Context;
use caps::{CapSet, Capability};

/// Empties every capability set of this thread, and forbids to gain anything by executing a program.
pub(crate) fn drop_all() -> anyhow::Result<()> {
    nix::sys::prctl::set_no_new_privs().context("cannot forbid new privileges")?;
    // Only with this capability can the bounding set be emptied; without it no_new_privs has the same effect.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        caps::clear(None, CapSet::Bounding)?;
    }
    for set in [
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        // The unit's system call filter forbids capset; under it there is nothing left to drop.
        if !caps::read(None, set)?.is_empty() {
            caps::clear(None, set)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_and_dropping_again_is_no_fault() {
        // A thread of its own, for capabilities are a thread's own.
        let left = std::thread::spawn(|| {
            drop_all().unwrap();
            drop_all().unwrap();
            [
                CapSet::Ambient,
                CapSet::Inheritable,
                CapSet::Effective,
                CapSet::Permitted,
            ]
            .map(|set| caps::read(None, set).unwrap().len())
        });
        assert_eq!(left.join().unwrap(), [0; 4]);
    }
}
