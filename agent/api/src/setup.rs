//! The setup service: what the gateway says to `hearth-setup@.service`, which alone changes how the machine is reached, and
//! what it hears.
//!
//! A connection is one request: a line of JSON, a [`Request`]. One line of JSON comes back, a [`Reply`], and then the
//! service hangs up. A change is in force soon after the answer, not before it: else the answer might not arrive.

use serde::{Deserialize, Serialize};

use crate::network::{Network, NetworkChange};
use crate::system::ClockChange;

/// Where the service is on the appliance.
pub const SOCKET: &str = "/run/hearth/setup.sock";
/// The longest request, in bytes.
pub const LONGEST_REQUEST: u64 = 16 << 10;
/// The longest reply, in bytes.
pub const LONGEST_REPLY: u64 = 16 << 10;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How the machine is reached.
    Network,
    /// Reach it so from now on, on trial.
    SetNetwork(SetNetwork),
    /// What is tried works: keep it.
    Confirm {
        /// The revision that works; none: whichever is tried.
        of: Option<String>,
    },
    /// The time zone, and whether the clock is set over the network.
    Clock,
    /// The clock is to be like this.
    SetClock(ClockChange),
    /// At the next start everything is to go that people have set, added or said; `false`: after all not.
    FactoryReset(bool),
}

/// A change of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetNetwork {
    /// What is wanted.
    pub change: NetworkChange,
    /// The revision that was changed; none: whichever there is.
    pub of: Option<String>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// How the machine is reached.
    Network(NetworkState),
    /// The change comes back after so many seconds, unless it is confirmed.
    OnTrial(u64),
    /// It is as is wanted.
    Done,
    /// What is set of the clock.
    Clock(ClockState),
    /// It is not done.
    Refused(Refused),
}

/// How the machine is reached, now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkState {
    /// What is in force.
    pub network: Network,
    /// Names what is in force: an entity tag without its quotes.
    pub revision: String,
    /// Seconds until it comes back by itself; none: it is kept.
    pub on_trial: Option<u64>,
}

/// What is set of the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockState {
    /// The time zone.
    pub timezone: String,
    /// Whether it is set over the network.
    pub ntp: bool,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The kind.
    pub reason: Reason,
    /// In words, with the way out.
    pub message: String,
}

/// Kinds of refusals, and the status that each becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// What was sent cannot be: 422.
    Invalid,
    /// Somebody else has changed it meanwhile: 412.
    Changed,
    /// Nothing is on trial: 409.
    NoTrial,
    /// It is the service's own fault: 500.
    Failed,
}
