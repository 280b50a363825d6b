//! Nouns of the host: what it has ([`Capabilities`]), what it shows at one instant ([`Sample`]), what people want of
//! it ([`Wishes`]), what its kind bears ([`Tuning`]), what the laws make of all that ([`Decision`]), and the units in
//! which they are told. No IO, no clock, no operating system: the same types serve the agent, the laws, the
//! REST interface and the tests.
//!
//! Field names are the kernel's own (`scaling_max_freq`, `usage_usec`), so that a reader of its documentation
//! finds them again. A reading that could not be had is `None`, never zero, and a [`Warning`] says why.
// The derived shapes need the standard library; nothing else here does.
#![cfg_attr(not(feature = "openapi"), no_std)]

extern crate alloc;

mod capabilities;
mod decision;
mod engine;
mod memory;
mod pressure;
mod reclaim;
mod record;
mod sample;
mod setpoints;
mod tuning;
mod units;
mod wishes;

pub use capabilities::{
    BoostSwitch, Capabilities, CoolingDevice, CoreType, CpuFeatures, CpuTopology, Dmi, HwmonChannel,
    HwmonKind, Policy, PowerConstraint, PowerDomain, Supply, TripPoint, Zone,
};
pub use decision::{Decision, Distrust, EngineLimits, Note, Rung, SensorState, ThermalState};
pub use engine::{EngineSample, EngineState, Phase, PressureLevel};
pub use memory::{CgroupStat, Meminfo, MemoryBreakdown, MemoryZone, UsedParts, Zram};
pub use pressure::{PressureDecision, PressureSample, PressureSeen};
pub use reclaim::{CgroupLoad, MemorySample, Reclaim, ReclaimRequest, ReclaimState};
pub use record::Record;
pub use sample::{
    CgroupMemory, CoolingSample, CpuSample, HwmonSample, Memory, PolicySample, PowerLimit, PowerSample,
    Pressure, Sample, Stall, StallWindow, SupplySample, Warning, ZoneSample,
};
pub use setpoints::{PolicySetpoint, PowerSetpoint, Setpoints};
pub use tuning::{Fan, Tuning};
pub use units::{BootTime, Bytes, KiloHertz, MicroJoules, MicroSeconds, MicroWatts, MilliCelsius, Pages};
pub use wishes::{Hold, PowerProfile, UnknownProfile, Wishes};
