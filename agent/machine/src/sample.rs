//! What the machine shows at one instant.

use crate::{
    BootTime, Bytes, EngineSample, HwmonKind, KiloHertz, MicroJoules, MicroSeconds, MicroWatts, MilliCelsius,
};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// One reading of everything that changes, taken at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sample {
    /// When it was taken.
    pub at_usec: BootTime,
    /// cpufreq policies, by number.
    pub policies: Vec<PolicySample>,
    /// Busy and idle time of each online processor, by number.
    pub cpus: Vec<CpuSample>,
    /// Whether clocks above the nominal one are allowed.
    pub boost: Option<bool>,
    /// The ACPI platform profile in force.
    pub platform_profile: Option<String>,
    /// Thermal zones, by number.
    pub zones: Vec<ZoneSample>,
    /// hwmon channels.
    pub hwmon: Vec<HwmonSample>,
    /// Cooling devices, by number.
    pub cooling_devices: Vec<CoolingSample>,
    /// powercap energy counters.
    pub powercap: Vec<PowerSample>,
    /// Mains adapters and batteries.
    pub supplies: Vec<SupplySample>,
    /// `/proc/meminfo`.
    pub memory: Memory,
    /// Pressure stall information.
    pub pressure: Pressure,
    /// Memory of the control groups that were asked for.
    pub cgroups: Vec<CgroupMemory>,
    /// What the inference engine says of itself; `null` while it does not run.
    pub engine: Option<EngineSample>,
    /// When the gateway last announced a request; `null` before the first.
    pub announced_at_usec: Option<BootTime>,
    /// What could not be read, and why.
    pub warnings: Vec<Warning>,
}

/// Something that could not be read or believed. The value it concerns is `null` in the sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Warning {
    /// The file, from the root of the tree.
    pub path: String,
    /// What is wrong with it, in words.
    pub problem: String,
}

/// A cpufreq policy's clock and settings. Names are the kernel's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicySample {
    /// The number in `policyN`.
    pub id: u32,
    /// The clock now, as the driver tells it.
    pub scaling_cur_freq: Option<KiloHertz>,
    /// Lowest clock that the governor may choose.
    pub scaling_min_freq: Option<KiloHertz>,
    /// Highest clock that the governor may choose.
    pub scaling_max_freq: Option<KiloHertz>,
    /// The firmware's own limit (`_PPC`), where the driver tells it.
    pub bios_limit: Option<KiloHertz>,
    /// The governor in force.
    pub scaling_governor: Option<String>,
    /// The preference in force, where the driver has one.
    pub energy_performance_preference: Option<String>,
}

/// How long a processor has worked and rested since boot, from `/proc/stat`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CpuSample {
    /// The number in `cpuN`.
    pub id: u32,
    /// Everything but rest: `user`, `nice`, `system`, `irq`, `softirq` and `steal`.
    pub busy_usec: MicroSeconds,
    /// `idle` and `iowait`.
    pub idle_usec: MicroSeconds,
}

/// A thermal zone's temperature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ZoneSample {
    /// The number in `thermal_zoneN`.
    pub id: u32,
    /// What the zone measures, `type`.
    pub kind: Option<String>,
    /// Its temperature; `null` where it could not be read or believed.
    pub temp: Option<MilliCelsius>,
}

/// A hwmon channel's reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HwmonSample {
    /// The number in `hwmonN`.
    pub hwmon: u32,
    /// The number in `tempN_input` or `fanN_input`.
    pub channel: u32,
    /// The chip's `name`.
    pub chip: String,
    /// The driver's label.
    pub label: Option<String>,
    /// What `input` counts: thousandths of a degree Celsius, or revolutions per minute.
    pub kind: HwmonKind,
    /// The reading; `null` where it could not be read or believed.
    pub input: Option<i64>,
}

/// A cooling device's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CoolingSample {
    /// The number in `cooling_deviceN`.
    pub id: u32,
    /// 0 is off; `null` also for an idle `intel_powerclamp`, which has no state (it says −1).
    pub cur_state: Option<u64>,
}

/// A powercap domain's energy counter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PowerSample {
    /// The folder's name, for example `intel-rapl:0`.
    pub id: String,
    /// Energy since some instant; wraps at the domain's `max_energy_range_uj`.
    pub energy_uj: Option<MicroJoules>,
    /// The power limits in force, by number of the constraint.
    pub limits: Vec<PowerLimit>,
}

/// A power limit of a powercap domain: one that is in force, or one that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PowerLimit {
    /// The number in `constraint_N_power_limit_uw`.
    pub constraint: u32,
    /// The limit; `null` where it could not be read.
    pub power_limit_uw: Option<MicroWatts>,
}

/// A mains adapter's or a battery's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SupplySample {
    /// The folder's name.
    pub name: String,
    /// Whether a mains adapter feeds the machine.
    pub online: Option<bool>,
    /// A battery's charge in per cent.
    pub capacity: Option<u8>,
    /// A battery's `status`: `Charging`, `Discharging`, `Full` …
    pub status: Option<String>,
}

/// Whole-machine memory, from `/proc/meminfo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Memory {
    /// `MemTotal`
    pub mem_total: Option<Bytes>,
    /// `MemFree`
    pub mem_free: Option<Bytes>,
    /// `MemAvailable`
    pub mem_available: Option<Bytes>,
    /// `Cached`
    pub cached: Option<Bytes>,
    /// `Slab`
    pub slab: Option<Bytes>,
    /// `SwapTotal`
    pub swap_total: Option<Bytes>,
    /// `SwapFree`
    pub swap_free: Option<Bytes>,
}

impl Memory {
    /// Memory in use by the one definition that Hearth has: `MemTotal − MemAvailable`. Unknown if either is, or if
    /// they contradict each other.
    pub fn used(&self) -> Option<Bytes> {
        self.mem_total?.0.checked_sub(self.mem_available?.0).map(Bytes)
    }
}

/// Pressure stall information, `/proc/pressure`. See the kernel's `accounting/psi.rst`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pressure {
    /// Time lost waiting for a processor.
    pub cpu: Option<Stall>,
    /// Time lost waiting for memory.
    pub memory: Option<Stall>,
    /// Time lost waiting for storage.
    pub io: Option<Stall>,
}

/// How much time was lost to one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stall {
    /// At least one task waited.
    pub some: StallWindow,
    /// All tasks waited; kernels before 5.13 do not tell it for the processor.
    pub full: Option<StallWindow>,
}

/// Shares of time lost over three windows, and the total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StallWindow {
    /// Per cent over the last 10 s.
    pub avg10: f32,
    /// Per cent over the last 60 s.
    pub avg60: f32,
    /// Per cent over the last 300 s.
    pub avg300: f32,
    /// Time lost since boot.
    pub total_usec: MicroSeconds,
}

/// Memory of one control group (v2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CgroupMemory {
    /// Path below the hierarchy's root, for example `system.slice/hearthd.service`.
    pub path: String,
    /// `memory.current`
    pub current: Option<Bytes>,
    /// `memory.peak`
    pub peak: Option<Bytes>,
    /// `memory.swap.current`
    pub swap_current: Option<Bytes>,
    /// `anon` of `memory.stat`
    pub anon: Option<Bytes>,
    /// `file` of `memory.stat`
    pub file: Option<Bytes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_memory_is_unknown_when_a_part_of_it_is() {
        let mut memory = Memory {
            mem_total: Some(Bytes(800)),
            ..Memory::default()
        };
        assert_eq!(memory.used(), None);
        memory.mem_available = Some(Bytes(300));
        assert_eq!(memory.used(), Some(Bytes(500)));
        memory.mem_available = Some(Bytes(801));
        assert_eq!(memory.used(), None, "and not nought");
    }

    #[test]
    fn a_missing_reading_is_null_in_json() {
        let zone = ZoneSample {
            id: 0,
            kind: None,
            temp: None,
        };
        assert_eq!(
            serde_json::to_string(&zone).unwrap(),
            r#"{"id":0,"kind":null,"temp":null}"#
        );
    }
}
