//! What the laws are told about a kind of machine: the outcome of matching a firmware profile.

use crate::{MicroWatts, MilliCelsius};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// A firmware profile, validated and complete: no law needs a default of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// The firmware profile it comes from, `<vendor>/<product>`.
    pub profile: String,
    /// The temperature to hold.
    pub target: MilliCelsius,
    /// The power that the processor's maker designs cooling for; `null` where nobody has published it.
    #[serde(default)]
    pub tdp: Option<MicroWatts>,
    /// The power that the cooling carries for ever; `null` where nobody has published it.
    pub sustained_power: Option<MicroWatts>,
    /// The power that it carries for a short time; `null` where nobody has published it.
    pub burst_power: Option<MicroWatts>,
    /// Whether there is a fan.
    #[serde(default)]
    pub fan: Fan,
    /// Thermal zone types and hwmon chips whose readings are known to mean nothing on this machine.
    pub ignored_sensors: Vec<String>,
    /// The share of decode speed that may be given up for a lower clock, for example 0.03.
    pub decode_loss: f32,
}

/// Whether a machine has a fan, and whether it tells its speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fan {
    /// Nobody has published it.
    #[default]
    Unknown,
    /// The machine is cooled without one.
    Absent,
    /// There is one, and Linux is not told its speed, as far as is published.
    Present,
    /// There is one, and hwmon tells its speed: 0 under heat means that it failed.
    Tachometer,
}

impl Default for Tuning {
    /// What suits a machine that nobody knows: a target that every processor of a mini PC bears.
    fn default() -> Self {
        Self {
            profile: "generic/unknown".into(),
            target: MilliCelsius(80_000),
            tdp: None,
            sustained_power: None,
            burst_power: None,
            fan: Fan::Unknown,
            ignored_sensors: Vec::new(),
            decode_loss: 0.03,
        }
    }
}
