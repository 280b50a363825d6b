//! A lack of memory while there is work: what the law of pressure is told, and what it decides.

use crate::{BootTime, Memory, PressureLevel, Stall};
use serde::{Deserialize, Serialize};

/// What the law of pressure is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PressureSample {
    /// When it was taken.
    pub at_usec: BootTime,
    /// How much memory there is, and is available.
    pub memory: Memory,
    /// Time lost to a lack of memory, `/proc/pressure/memory`; `null` if it could not be read.
    pub stall: Option<Stall>,
    /// Whether there is an engine that could give memory up.
    pub engine_runs: bool,
    /// Tokens that a sequence may have now, as the engine tells; `null` if it has not, and in recordings older than this
    /// field.
    #[serde(default)]
    pub context: Option<u32>,
}

/// What the law of pressure wants of the engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PressureDecision {
    /// How far it gives memory up.
    pub level: PressureLevel,
    /// Tokens that a sequence may have; `null`: as many as it was set up for.
    pub context: Option<u32>,
    /// What that was decided on.
    pub seen: PressureSeen,
    /// When to look again at the latest.
    pub wake_at: BootTime,
}

/// The figures that a level follows; `null` where a reading is missing, or there is none before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PressureSeen {
    /// Per cent of the time since the last look in which some task waited for memory.
    pub some: Option<f32>,
    /// The same in which all waited that had something to do.
    pub full: Option<f32>,
    /// `MemAvailable`, per cent of `MemTotal`.
    pub available: Option<f32>,
}
