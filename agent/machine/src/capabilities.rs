//! What the machine has: found once, at start, and again when the kernel says that something came or went.

use crate::{Bytes, KiloHertz, MicroJoules, MicroWatts, MilliCelsius, Warning};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Everything the agent found that it can read or could drive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Capabilities {
    /// The maker's names for the machine.
    pub dmi: Dmi,
    /// Processor packages, cores and threads.
    pub topology: CpuTopology,
    /// The processor's name and instruction sets.
    pub features: CpuFeatures,
    /// cpufreq policies, by number.
    pub policies: Vec<Policy>,
    /// The mode of `intel_pstate`, its `status`: `active`, `passive` or `off`.
    pub intel_pstate: Option<String>,
    /// The mode of `amd-pstate`, its `status`: `active`, `passive`, `guided` or `disable`.
    pub amd_pstate: Option<String>,
    /// How clocks above the nominal one can be forbidden; `null` where they cannot.
    pub boost: Option<BoostSwitch>,
    /// ACPI platform profiles that can be chosen; empty where the firmware has none.
    pub platform_profile_choices: Vec<String>,
    /// Thermal zones, by number.
    pub zones: Vec<Zone>,
    /// hwmon temperature and fan channels, by chip and channel.
    pub hwmon: Vec<HwmonChannel>,
    /// Thermal cooling devices, by number.
    pub cooling_devices: Vec<CoolingDevice>,
    /// powercap (RAPL) domains.
    pub powercap: Vec<PowerDomain>,
    /// Mains adapters and batteries.
    pub supplies: Vec<Supply>,
    /// Physical memory the kernel manages, `MemTotal`.
    pub mem_total: Option<Bytes>,
    /// Whether the kernel tells pressure stall information.
    pub psi: bool,
    /// Whether the unified (v2) cgroup hierarchy with a memory controller is there.
    pub cgroup_memory: bool,
    /// What could not be read, and why.
    pub warnings: Vec<Warning>,
}

/// Names from the firmware's DMI table, `/sys/class/dmi/id`. Often filler such as "Default string". A board without DMI
/// has its devicetree's: `model` as the product's name, `compatible` as the maker's and the board's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Dmi {
    /// `sys_vendor`
    pub sys_vendor: Option<String>,
    /// `product_name`
    pub product_name: Option<String>,
    /// `board_vendor`
    pub board_vendor: Option<String>,
    /// `board_name`
    pub board_name: Option<String>,
    /// `bios_version`
    pub bios_version: Option<String>,
    /// `bios_date`, as the firmware writes it
    pub bios_date: Option<String>,
}

/// Packages, cores and threads that are online.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CpuTopology {
    /// Distinct `physical_package_id`s.
    pub packages: Option<u32>,
    /// Distinct cores over all packages.
    pub cores: Option<u32>,
    /// Online logical processors.
    pub threads: Option<u32>,
}

/// The processor's name and instruction sets, from `/proc/cpuinfo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CpuFeatures {
    /// `model name`
    pub model_name: Option<String>,
    /// `vendor_id`
    pub vendor_id: Option<String>,
    /// The kernel's names of the instruction sets that decide how inference runs, sorted: `avx2`, `avx_vnni` …
    pub flags: Vec<String>,
}

/// A cpufreq policy: processors that share one clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Policy {
    /// The number in `policyN`.
    pub id: u32,
    /// Processors it governs, `affected_cpus`.
    pub affected_cpus: Vec<u32>,
    /// `scaling_driver`
    pub scaling_driver: Option<String>,
    /// Lowest clock of the hardware.
    pub cpuinfo_min_freq: Option<KiloHertz>,
    /// Highest clock of the hardware, boost included.
    pub cpuinfo_max_freq: Option<KiloHertz>,
    /// The clock that can be held for ever, `base_frequency`; only `intel_pstate` tells it.
    pub base_frequency: Option<KiloHertz>,
    /// The clocks the driver has a table of, ascending; empty where any clock will do.
    pub scaling_available_frequencies: Vec<KiloHertz>,
    /// What kind of core it clocks; `null` where all are of one kind.
    pub core_type: Option<CoreType>,
    /// Governors that can be chosen.
    pub scaling_available_governors: Vec<String>,
    /// Energy-performance preferences that can be chosen; empty where the driver has none.
    pub energy_performance_available_preferences: Vec<String>,
}

/// The two kinds of cores that hybrid processors have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum CoreType {
    /// Fast ones: `cpu_core` of the perf events, or the largest `cpu_capacity`.
    Performance,
    /// Small ones: `cpu_atom`, or any smaller `cpu_capacity`.
    Efficient,
}

/// The file by which clocks above the nominal one are forbidden for the whole machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BoostSwitch {
    /// `/sys/devices/system/cpu/cpufreq/boost`: 1 allows.
    CpufreqBoost,
    /// `/sys/devices/system/cpu/intel_pstate/no_turbo`: 1 forbids.
    IntelNoTurbo,
}

/// A thermal zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Zone {
    /// The number in `thermal_zoneN`.
    pub id: u32,
    /// What the zone measures, `type`.
    pub kind: Option<String>,
    /// Its trip points, by number. Those that the kernel marks as unset (−274 °C) are left out; those at absurd
    /// temperatures too, with a warning.
    pub trip_points: Vec<TripPoint>,
}

/// A temperature at which the kernel acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TripPoint {
    /// The number in `trip_point_N_temp`.
    pub id: u32,
    /// `critical`, `hot`, `passive` or `active`.
    pub kind: String,
    /// Where it lies.
    pub temp: MilliCelsius,
}

/// What a hwmon channel measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum HwmonKind {
    /// `tempN_input`, millidegrees Celsius.
    Temp,
    /// `fanN_input`, revolutions per minute.
    Fan,
}

/// One channel of a hwmon chip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HwmonChannel {
    /// The number in `hwmonN`.
    pub hwmon: u32,
    /// The chip's `name`, for example `coretemp`.
    pub chip: String,
    /// What it measures.
    pub kind: HwmonKind,
    /// The number in `tempN_input` or `fanN_input`.
    pub channel: u32,
    /// The driver's label, for example `Package id 0`.
    pub label: Option<String>,
    /// `tempN_max`: hotter than this is not meant for long. `null` for fans.
    pub temp_max: Option<MilliCelsius>,
    /// `tempN_crit`: the chip protects itself here. `null` for fans.
    pub temp_crit: Option<MilliCelsius>,
}

/// Something that can cool: a fan, or a processor that can be slowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CoolingDevice {
    /// The number in `cooling_deviceN`.
    pub id: u32,
    /// What it is, `type`.
    pub kind: Option<String>,
    /// The strongest state it knows.
    pub max_state: Option<u64>,
}

/// A powercap (RAPL) domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PowerDomain {
    /// The folder's name, for example `intel-rapl:0`.
    pub id: String,
    /// The domain's `name`, for example `package-0`.
    pub name: Option<String>,
    /// Where the counter wraps.
    pub max_energy_range_uj: Option<MicroJoules>,
    /// Its power limits that can be set, by number.
    pub constraints: Vec<PowerConstraint>,
}

/// A power limit of a powercap domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PowerConstraint {
    /// The number in `constraint_N_power_limit_uw`.
    pub id: u32,
    /// `long_term`, `short_term`, `peak_power`.
    pub name: Option<String>,
    /// The highest limit that means anything, `constraint_N_max_power_uw`.
    pub max_power_uw: Option<MicroWatts>,
}

/// A mains adapter or a battery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Supply {
    /// The folder's name, for example `BAT0`.
    pub name: String,
    /// `Mains`, `Battery`, `USB`, `UPS` …
    pub kind: Option<String>,
}
