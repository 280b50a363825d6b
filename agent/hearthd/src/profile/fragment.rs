//! The file format: what may be written, before anything is inherited.

use super::criteria::Criteria;
use super::quantity::{Celsius, Kelvin, Percent, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A firmware profile of Hearth: how a kind of machine is recognised, what it bears, and where each number was
/// published. What is left out comes from the profile it extends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fragment {
    /// What people call the machine, the processor or the class.
    pub(crate) name: String,
    /// The profile that what is left out here comes from, `<vendor>/<product>`.
    #[serde(default)]
    pub(crate) extends: Option<String>,
    /// How the machine is recognised: any of these. Without one the profile is only for others to extend.
    #[serde(default, rename = "match")]
    pub(crate) criteria: Vec<Criteria>,
    /// The temperature to hold. A `tjmax` or `margin` in this file or one that extends it makes it `tjmax` less
    /// `margin` instead, unless a target is written here.
    #[serde(default)]
    pub(crate) target: Option<Celsius>,
    /// The junction temperature at which the processor slows itself.
    #[serde(default)]
    pub(crate) tjmax: Option<Celsius>,
    /// How far below `tjmax` the target lies.
    #[serde(default)]
    pub(crate) margin: Option<Kelvin>,
    /// The power that the processor's maker designs cooling for.
    #[serde(default)]
    pub(crate) tdp: Option<Watts>,
    /// The power the machine may draw for ever, PL1 or STAPM limit.
    #[serde(default)]
    pub(crate) sustained: Option<Watts>,
    /// The power the machine may draw for a short time, PL2 or fast PPT limit.
    #[serde(default)]
    pub(crate) burst: Option<Watts>,
    /// The machine's fan.
    #[serde(default)]
    pub(crate) fan: Option<FanFragment>,
    /// Sensors whose readings are known to mean nothing on this machine.
    #[serde(default)]
    pub(crate) ignored_sensors: Vec<IgnoredSensor>,
    /// The share of decode speed that may be given up for a lower clock.
    #[serde(default)]
    pub(crate) decode_loss: Option<Percent>,
    /// Where the numbers were published, by names that are used in this file only.
    #[serde(default)]
    pub(crate) sources: BTreeMap<String, Source>,
}

/// Whether there is a fan, and whether it tells its speed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FanFragment {
    /// Whether the machine has one.
    pub(crate) present: bool,
    /// Whether Linux is told its speed.
    #[serde(default)]
    pub(crate) tachometer: bool,
    /// The entry of `[sources]` that says so.
    #[serde(default)]
    pub(crate) source: Option<String>,
    /// Why this is assumed, where there is no source.
    #[serde(default)]
    pub(crate) why: Option<String>,
}

/// A sensor not to be believed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IgnoredSensor {
    /// The thermal zone's `type` or the hwmon chip's `name`.
    pub(crate) sensor: String,
    /// The entry of `[sources]` that says so.
    #[serde(default)]
    pub(crate) source: Option<String>,
    /// What is wrong with it.
    #[serde(default)]
    pub(crate) why: Option<String>,
}

/// Where something was published.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// What the publication is called.
    pub(crate) title: String,
    /// Its address.
    #[schemars(regex(pattern = r"^https?://"))]
    pub(crate) url: String,
    /// Where in it: a page, a table, a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<String>,
    /// The day it was read, `YYYY-MM-DD`.
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    pub(crate) seen: String,
}
