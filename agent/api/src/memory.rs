//! Memory as the bus tells it (JSON of `Memory` of `org.hearth.Agent1`) and as `/api/v1/memory` does.

use machine::{Bytes, MemoryBreakdown, PressureDecision, ReclaimState, UsedParts};
use serde::{Deserialize, Serialize};

/// Answer to `GET /api/v1/memory`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryUse {
    /// Memory in use, by the one definition that Hearth has: `MemTotal − MemAvailable` of the whole machine. `null` if
    /// either could not be read.
    pub used: Option<Bytes>,
    /// What it is made of; `null` if a part is not known.
    pub parts: Option<UsedParts>,
    /// What is aimed at while the machine is quiet.
    pub goal: Goal,
    /// What is done about it.
    pub reclaim: Reclaiming,
    /// Whether memory is short, and how far the engine gives some up.
    pub pressure: PressureDecision,
    /// Everything that was read for it.
    #[serde(flatten)]
    pub breakdown: MemoryBreakdown,
}

/// How much memory may be used while the machine is quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Goal {
    /// What is aimed at.
    pub aim: Bytes,
    /// What may be used at most.
    pub limit: Bytes,
}

/// Memory that is taken from idle programs, compressed and put into swap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reclaiming {
    /// Why so much, or so little.
    pub state: ReclaimState,
    /// What control groups were asked for since hearthd started.
    pub asked: Bytes,
    /// What they then held less.
    pub yielded: Bytes,
}
