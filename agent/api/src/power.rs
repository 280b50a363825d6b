//! Power and heat as the bus tells them (JSON of `Power` and `Thermal` of `org.hearth.Agent1`) and as
//! `/api/v1/power` and `/api/v1/thermal` do.

use machine::{
    BoostSwitch, EngineLimits, EngineSample, Hold, KiloHertz, MilliCelsius, Note, PolicySetpoint,
    PowerProfile, ThermalState, Warning,
};
use serde::{Deserialize, Serialize};

/// Answer to `GET /api/v1/power`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Power {
    /// The profile that people have chosen.
    pub profile: PowerProfile,
    /// The profile in force, after holds and a battery.
    pub effective_profile: PowerProfile,
    /// Empty, or why the profile cannot give all it promises: `high-operating-temperature`.
    pub performance_degraded: String,
    /// Holds in force, oldest first.
    pub holds: Vec<Hold>,
    /// The firmware profile that this machine matched, `<vendor>/<product>`.
    pub firmware_profile: String,
    /// What the engine is doing; `null` while it does not run.
    pub engine: Option<EngineSample>,
    /// How far the engine is held back.
    pub engine_limits: EngineLimits,
    /// Each cpufreq policy: what it can, what it does, what is asked of it.
    pub policies: Vec<PolicyStatus>,
    /// How boost can be forbidden; `null` where it cannot.
    pub boost_switch: Option<BoostSwitch>,
    /// Whether clocks above the nominal one are allowed.
    pub boost: Option<bool>,
    /// The ACPI platform profile in force.
    pub platform_profile: Option<String>,
    /// Whether the machine runs from a battery; `null` if it has no supply that tells.
    pub on_battery: Option<bool>,
    /// Power of the processor package in watts, from its energy counter; `null` where there is none.
    pub package_watts: Option<f64>,
    /// Files that another program writes too; said once in the journal.
    pub foreign_writers: Vec<Warning>,
    /// Median time from a phase record's arrival to the end of the writes that it caused, in microseconds; `null`
    /// before the first.
    pub reaction_median_usec: Option<u64>,
}

/// A cpufreq policy's state beside what is asked of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyStatus {
    /// The number in `policyN`.
    pub id: u32,
    /// `scaling_driver`
    pub scaling_driver: Option<String>,
    /// Lowest clock of the hardware.
    pub cpuinfo_min_freq: Option<KiloHertz>,
    /// Highest clock of the hardware.
    pub cpuinfo_max_freq: Option<KiloHertz>,
    /// The clock now.
    pub scaling_cur_freq: Option<KiloHertz>,
    /// The limit in force.
    pub scaling_max_freq: Option<KiloHertz>,
    /// The firmware's own limit.
    pub bios_limit: Option<KiloHertz>,
    /// The governor in force.
    pub scaling_governor: Option<String>,
    /// The preference in force.
    pub energy_performance_preference: Option<String>,
    /// What is asked of it; `null` if hearthd leaves it alone.
    pub setpoint: Option<PolicySetpoint>,
}

/// Answer to `GET /api/v1/thermal`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Thermal {
    /// Temperatures, the target, and the ladder's rung.
    #[serde(flatten)]
    pub state: ThermalState,
    /// The target that people have set; `null` while the firmware profile's is in force.
    pub target_set: Option<MilliCelsius>,
    /// The firmware profile's target.
    pub target_default: MilliCelsius,
    /// Fans and other cooling devices.
    pub cooling: Vec<Cooling>,
    /// The last steps of the ladder, newest last, with the time in microseconds since boot.
    pub steps: Vec<Step>,
    /// What is not believed, or could not be read, and concerns heat.
    pub warnings: Vec<Warning>,
}

/// A cooling device or a fan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cooling {
    /// `Fan 3`, `thinkpad fan1` …
    pub name: String,
    /// The state of a cooling device; `null` for a bare fan.
    pub cur_state: Option<u64>,
    /// Its strongest state.
    pub max_state: Option<u64>,
    /// Revolutions per minute, where a fan tells them.
    pub rpm: Option<u64>,
}

/// A step, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ThermalStep))]
pub struct Step {
    /// Microseconds since boot.
    pub at_usec: u64,
    /// What, and why.
    #[serde(flatten)]
    pub note: Note,
}

/// Body of `PUT /api/v1/power`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PowerSettings {
    /// The profile to choose.
    pub profile: PowerProfile,
}

/// Body of `PUT /api/v1/thermal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ThermalSettings {
    /// The target in thousandths of a degree Celsius; `null` for the firmware profile's. It must be there: nobody
    /// resets a target by leaving it out.
    #[serde(deserialize_with = "Option::deserialize")]
    pub target: Option<MilliCelsius>,
}

/// Body of `POST /api/v1/power/holds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewHold {
    /// `power-saver` or `performance`.
    pub profile: PowerProfile,
    /// Why, 1 to 200 characters.
    pub reason: String,
    /// How long, in seconds; `null`: until it is released or hearthd restarts.
    pub seconds: Option<u64>,
}
