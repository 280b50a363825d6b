//! Giving memory back while the machine is quiet: what the law is told, and what it decides.

use crate::{BootTime, Bytes, Memory, MicroSeconds, Pages};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// What the law of reclaim is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemorySample {
    /// When it was taken.
    pub at_usec: BootTime,
    /// Since when nobody has wanted anything of the engine; `null` while it works, and while it is not known.
    pub quiet_since_usec: Option<BootTime>,
    /// Used memory, and the room in swap.
    pub memory: Memory,
    /// Time that some task has lost to a lack of memory since boot, `total` of `/proc/pressure/memory`.
    pub stalled_usec: Option<MicroSeconds>,
    /// The control groups that can be reclaimed from.
    pub cgroups: Vec<CgroupLoad>,
}

/// A control group that can be reclaimed from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CgroupLoad {
    /// Path below the hierarchy's root, for example `system.slice`.
    pub path: String,
    /// `memory.current`
    pub current: Option<Bytes>,
    /// What must be left to it: its own `memory.min`, or that of the groups in it.
    pub floor: Option<Bytes>,
    /// What can go to swap: `anon` and `shmem` of `memory.stat`.
    pub swappable: Option<Bytes>,
    /// Pages that were missed after they had been reclaimed: `workingset_refault_anon` and `_file` of `memory.stat`.
    pub refaults: Option<Pages>,
    /// Time that some of its tasks have lost to a lack of memory, `total` of `memory.pressure`.
    pub stalled_usec: Option<MicroSeconds>,
}

/// What the law of reclaim wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reclaim {
    /// What to take now, and of whom.
    pub requests: Vec<ReclaimRequest>,
    /// Why so much, or so little.
    pub state: ReclaimState,
    /// When to look again at the latest.
    pub wake_at: BootTime,
}

/// Memory to take from a control group, by its `memory.reclaim`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReclaimRequest {
    /// Path below the hierarchy's root.
    pub cgroup: String,
    /// How much.
    pub bytes: Bytes,
    /// Of what, from 0 (pages of files only) to 200 (as few of files as may be), where the kernel lets that be said.
    pub swappiness: Option<u8>,
}

/// Why memory is given back, or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReclaimState {
    /// Something that it takes to decide cannot be read.
    #[default]
    Unknown,
    /// The engine works, or has worked a moment ago.
    Waiting,
    /// No more is used than is aimed at.
    AtGoal,
    /// Swap has no room: nothing that counts as used can go anywhere.
    NoSwap,
    /// Memory is being taken.
    Reclaiming,
    /// What is left is in use: taking it was felt, or yielded nothing.
    Spent,
}
