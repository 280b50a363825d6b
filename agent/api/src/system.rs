//! The machine itself, its clock and its journal: `/api/v1/system`, `/api/v1/time`, `/api/v1/logs`.

use machine::Bytes;
use serde::{Deserialize, Serialize};

/// Answer to `GET /api/v1/system`: what the machine is. What hearthd would have told is `null` while it does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct System {
    /// The host's name, by which what ends the machine is confirmed.
    pub hostname: String,
    /// Hearth's version.
    pub version: String,
    /// The kernel's release.
    pub kernel: String,
    /// The processor's architecture, as the kernel calls it.
    pub architecture: String,
    /// When it was started, RFC 3339, by the clock as it is now.
    pub started: String,
    /// Who has made it, as its firmware says.
    pub vendor: Option<String>,
    /// What it is sold as, as its firmware says.
    pub product: Option<String>,
    /// The processor's model.
    pub processor: Option<String>,
    /// Physical memory that the kernel can use, in bytes.
    pub memory: Option<Bytes>,
}

/// Body of what ends the machine: `POST /api/v1/system/reboot`, `…/power-off`, `…/factory-reset`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The host's name, as whoever means this machine writes it.
    pub confirm: String,
}

/// Answer to `GET /api/v1/time`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Clock {
    /// What the clock shows, RFC 3339.
    pub time: String,
    /// The time zone, as `Europe/Berlin`.
    pub timezone: String,
    /// Whether the clock is set over the network.
    pub ntp: bool,
    /// Whether it has been since the start; `null` where systemd does not tell.
    pub synchronised: Option<bool>,
}

/// Body of `PUT /api/v1/time`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ClockChange {
    /// The time zone, as `Europe/Berlin`.
    pub timezone: String,
    /// Whether the clock is to be set over the network; left out: as it is.
    #[serde(default)]
    pub ntp: Option<bool>,
}

/// An entry of the journal: a line of `GET /api/v1/logs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogEntry {
    /// When, RFC 3339.
    pub time: String,
    /// The unit that it is of; `null` for the kernel's and others without one.
    pub unit: Option<String>,
    /// syslog's: 0 is the gravest, 7 is for debugging.
    pub priority: u8,
    /// What is said; tokens in it are blackened.
    pub message: String,
}
