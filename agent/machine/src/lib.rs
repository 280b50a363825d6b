//! Nouns of the host: what it has ([`Capabilities`]), what it shows at one instant ([`Sample`]), and the units
//! in which both are told. No IO, no clock, no operating system: the same types serve the agent, the laws, the
//! REST interface and the tests.
//!
//! Field names are the kernel's own (`scaling_max_freq`, `usage_usec`), so that a reader of its documentation
//! finds them again. A reading that could not be had is `None`, never zero, and a [`Warning`] says why.
#![no_std]

extern crate alloc;

mod capabilities;
mod sample;
mod units;

pub use capabilities::{
    Capabilities, CoolingDevice, CpuFeatures, CpuTopology, Dmi, HwmonChannel, HwmonKind, Policy, PowerDomain,
    Supply, TripPoint, Zone,
};
pub use sample::{
    CgroupMemory, CoolingSample, HwmonSample, Memory, PolicySample, PowerSample, Pressure, Sample, Stall,
    StallWindow, SupplySample, Warning, ZoneSample,
};
pub use units::{BootTime, Bytes, KiloHertz, MicroJoules, MicroSeconds, MilliCelsius};
