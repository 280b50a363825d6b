//! The machine itself, its clock and its journal: `/api/v1/system`, `/api/v1/time`, `/api/v1/logs`.

use serde::{Deserialize, Serialize};

/// Body of what ends the machine: `POST /api/v1/system/reboot`, `POST /api/v1/system/power-off`.
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
    /// Whether it has been.
    pub synchronised: bool,
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
