//! What the machine's files shall hold: the full wish, not a change. Written by `linux`, decided by `control`.

use crate::{KiloHertz, PowerLimit};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Everything that is set. `None`, and a policy or domain that is left out, means: as it was first found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setpoints {
    /// cpufreq policies, by number.
    pub policies: Vec<PolicySetpoint>,
    /// Whether clocks above the nominal one are allowed.
    pub boost: Option<bool>,
    /// The ACPI platform profile.
    pub platform_profile: Option<String>,
    /// Power limits of powercap domains, by the folder's name.
    pub powercap: Vec<PowerSetpoint>,
}

/// What a cpufreq policy shall hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicySetpoint {
    /// The number in `policyN`.
    pub id: u32,
    /// The governor.
    pub scaling_governor: Option<String>,
    /// The energy-performance preference.
    pub energy_performance_preference: Option<String>,
    /// Lowest clock that the governor may choose.
    pub scaling_min_freq: Option<KiloHertz>,
    /// Highest clock that the governor may choose.
    pub scaling_max_freq: Option<KiloHertz>,
}

/// The power limits that a powercap domain shall have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerSetpoint {
    /// The folder's name, for example `intel-rapl:0`.
    pub id: String,
    /// Its limits.
    pub limits: Vec<PowerLimit>,
}
