//! What a control step has decided: a value, that a thin shell carries out.

use crate::{BootTime, KiloHertz, MilliCelsius, PowerProfile, Setpoints, Warning};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// The full wish after one step: repeating it changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What the kernel's files shall hold.
    pub setpoints: Setpoints,
    /// How far the engine is held back beyond the clock.
    pub engine: EngineLimits,
    /// Why the machine must be powered off now; `null` unless it must.
    pub power_off: Option<String>,
    /// How the heat is, for people and interfaces.
    pub thermal: ThermalState,
    /// The profile in force: the user's, a hold's, or the one that fits a battery.
    pub profile: PowerProfile,
    /// Why the profile in force cannot give all it promises, in the words of
    /// `org.freedesktop.UPower.PowerProfiles`: empty, or `high-operating-temperature`.
    pub performance_degraded: String,
    /// Steps taken in this very step, each with its reason: one journal line each.
    pub notes: Vec<Note>,
    /// Sensors and fans that are not believed, now.
    pub warnings: Vec<Warning>,
    /// When to step again at the latest.
    pub wake_at: BootTime,
}

/// How far the engine is held back. The default holds nothing back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = EngineHeldBack))]
pub struct EngineLimits {
    /// Processor time it may use, in per cent of one processor, as systemd's `CPUQuota=` counts; `null`: all.
    pub cpu_quota_percent: Option<u32>,
    /// Sequences it may answer at once; `null`: as many as it was set up for.
    pub slots: Option<u32>,
    /// It must not run at all.
    pub stopped: bool,
}

/// The steps by which heat is fought, mildest first. Each includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Nothing is held back.
    #[default]
    Free,
    /// The clock is capped.
    ClockCap,
    /// The engine's processor time is rationed.
    CpuQuota,
    /// The engine answers fewer at once.
    FewerSlots,
    /// The engine is stopped.
    EngineStopped,
    /// The machine is powered off, before the firmware cuts it.
    PowerOff,
}

/// How the heat is and what is done about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ThermalState {
    /// The temperature that is held.
    pub target: MilliCelsius,
    /// The temperature that the laws act on: the hottest believed one, or a higher one where a sensor is not believed.
    /// `null` on a machine without any sensor.
    pub assumed: Option<MilliCelsius>,
    /// Which sensor says so.
    pub hottest: Option<String>,
    /// How fast it rises, in thousandths of a degree per second.
    pub slope_millicelsius_per_second: i64,
    /// Where the firmware pulls the plug: the lowest believable critical trip point.
    pub critical: Option<MilliCelsius>,
    /// How far the ladder is climbed.
    pub rung: Rung,
    /// The clock that heat leaves, of the hottest policy; `null` while it leaves all.
    pub clock_cap: Option<KiloHertz>,
    /// Every temperature sensor, and whether it is believed.
    pub sensors: Vec<SensorState>,
}

/// What is thought of a temperature sensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SensorState {
    /// `<zone type> <number>` or `<chip> <label>`, unique on the machine.
    pub name: String,
    /// What it reads; `null` where it could not be read or its reading is absurd.
    pub temp: Option<MilliCelsius>,
    /// Why it is not believed; `null` if it is.
    pub distrust: Option<Distrust>,
    /// Whether the laws act on it: a sensor of a radio or a disk is shown, and counts only against its own limits.
    pub counts: bool,
}

/// Why a sensor is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Distrust {
    /// It cannot be read, or is gone.
    Missing,
    /// No thing in a room is that cold or that hot, or nothing changes so fast.
    Absurd,
    /// It has not moved while power did.
    Frozen,
    /// Others that sit on the same silicon say otherwise.
    Contradicted,
}

/// A step that was taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Note {
    /// What was done, for example `clock capped at 1200 MHz`.
    pub step: String,
    /// Why, with the figures it was decided by.
    pub reason: String,
}
