//! How the engine fares, as the bus tells it (JSON of `Engine` of `org.hearth.Agent1`) and as `/api/v1/status` does.

use crate::openai::KeepAlive;
use machine::{Bytes, EngineSample, EngineState, Phase};
use serde::{Deserialize, Serialize};

/// The engine's unit, its failures, and the models that are not loaded for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Engine {
    /// The unit as systemd tells it; `null` where there is no systemd, or before it has answered.
    pub unit: Option<Unit>,
    /// Failures of the last ten minutes, newest last.
    pub failures: Vec<Failure>,
    /// Models that are not loaded, longest held first.
    pub quarantined: Vec<Quarantined>,
    /// The model that is loaded instead of a quarantined one: the last that has answered well; `null` if there is none.
    pub fallback: Option<String>,
    /// Since when an administrator holds the engine stopped, RFC 3339; `null`: nobody does.
    pub held_since: Option<String>,
}

/// Answer to `GET /api/v1/engine`: what the engine does, told without waking it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EngineActivity {
    /// Where it is in its life.
    pub state: Life,
    /// What it is busy with.
    pub phase: Phase,
    /// The model that is loaded, being loaded, or parked.
    pub model: Option<String>,
    /// Requests that wait for a slot.
    pub queued: u32,
    /// Requests that are being answered.
    pub active: u32,
    /// Tokens generated per second, all sequences together; `null` outside decode.
    pub tokens_per_second: Option<f32>,
    /// Models that are not loaded, longest held first.
    pub quarantined: Vec<Quarantined>,
}

/// Where the engine is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// It does not run, or holds no model; a request starts it.
    #[default]
    Stopped,
    /// It makes a model ready.
    Loading,
    /// A model can be asked.
    Ready,
    /// A model is chosen, and its memory given back; a request brings it back.
    Parked,
}

impl EngineActivity {
    /// What hearthd has heard of it.
    pub fn new(heard: Option<&EngineSample>, quarantined: Vec<Quarantined>) -> Self {
        let Some(heard) = heard else {
            return Self {
                quarantined,
                ..Self::default()
            };
        };
        Self {
            state: match heard.state {
                EngineState::Empty => Life::Stopped,
                EngineState::Loading => Life::Loading,
                EngineState::Ready => Life::Ready,
                EngineState::Parked => Life::Parked,
            },
            phase: heard.phase,
            model: Some(heard.model_name.clone()).filter(|name| !name.is_empty()),
            queued: heard.queue_depth,
            active: heard.active,
            tokens_per_second: heard.tokens_per_second,
            quarantined,
        }
    }
}

/// Body of `POST /api/v1/engine/load`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LoadModel {
    /// The model's name.
    pub model: String,
    /// How long it is to stay loaded if nobody asks it; five minutes if it is not said.
    #[serde(default)]
    pub keep_alive: Option<KeepAlive>,
}

/// Resource properties of the engine's unit, see `systemd.resource-control(5)`; `null`: none of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UnitLimits {
    /// `MemoryHigh`, in bytes: above, the kernel takes memory back and slows the engine down.
    pub memory_high: Option<Bytes>,
    /// `MemoryMax`, in bytes: above, the kernel ends the engine.
    pub memory_max: Option<Bytes>,
    /// `CPUWeight`, 1 to 10000: its share of the processors where others want them, too; who has none has 100.
    pub cpu_weight: Option<u32>,
    /// `AllowedCPUs`: the processors that it may run on, ascending.
    pub allowed_cpus: Option<Vec<u32>>,
}

/// What the engine's unit may have, `GET /api/v1/engine/limits`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EngineLimits {
    /// What an administrator has chosen; `null`: as the unit has it.
    pub chosen: UnitLimits,
    /// What systemd holds it to.
    pub in_force: UnitLimits,
    /// What the unit has by itself.
    pub own: UnitLimits,
}

/// A choice, `PUT /api/v1/engine/limits`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewLimits {
    /// All of it: what is `null` here is as the unit has it.
    pub chosen: UnitLimits,
    /// Whether `memory_max` may be more than the unit's own, which keeps the rest of the appliance alive.
    #[serde(default)]
    pub beyond_unit: bool,
}

/// A service as systemd tells it. Names are systemd's own, see `org.freedesktop.systemd1(5)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Unit {
    /// `ActiveState`
    pub active_state: ActiveState,
    /// `SubState`: `running`, `dead`, `auto-restart` …
    pub sub_state: String,
    /// `Result`: how the last run ended.
    pub result: ServiceResult,
    /// `ExecMainStatus`: the exit code of the last run, or the signal that ended it.
    pub exec_main_status: i32,
    /// `ExecMainPID`: the main process of the newest run; 0 before the first.
    #[serde(default)]
    pub exec_main_pid: u32,
    /// `NRestarts`: how often systemd has started it again by itself.
    pub n_restarts: u32,
    /// `InvocationID` of the newest run in hexadecimal digits; empty before the first.
    pub invocation_id: String,
}

/// `ActiveState` of a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ActiveState {
    /// It runs.
    Active,
    /// It runs and reads its settings anew.
    Reloading,
    /// It runs and something of it is mounted anew.
    Refreshing,
    /// It does not run, and that is as it should be.
    Inactive,
    /// It does not run because it has failed.
    Failed,
    /// It starts, or waits to be started again.
    Activating,
    /// It ends.
    Deactivating,
    /// Something of it is being cleaned up.
    Maintenance,
    /// A state that this version does not know, or none was told.
    #[default]
    #[serde(other)]
    Unknown,
}

/// `Result` of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ServiceResult {
    /// It ended well, or has not ended.
    #[default]
    Success,
    /// systemd could not provide what it needs.
    Resources,
    /// It did not keep to systemd's protocol.
    Protocol,
    /// It took too long.
    Timeout,
    /// It ended with another exit code than 0.
    ExitCode,
    /// A signal ended it.
    Signal,
    /// A signal ended it, and its memory was written for debuggers.
    CoreDump,
    /// systemd's own watchdog ended it.
    Watchdog,
    /// It was started too often.
    StartLimitHit,
    /// Its condition to run did not hold.
    ExecCondition,
    /// The kernel ended it for want of memory.
    OomKill,
    /// A result that this version does not know.
    #[serde(other)]
    Other,
}

impl ServiceResult {
    /// Whether the run has failed.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Success | Self::ExecCondition)
    }

    /// What happened, in words: "The engine …".
    pub fn said(self) -> &'static str {
        match self {
            Self::Success => "ended well",
            Self::Resources => "could not be given what it needs to run",
            Self::Protocol => "did not tell systemd that it was ready",
            Self::Timeout => "did not start or stop in time",
            Self::ExitCode => "ended with an error",
            Self::Signal => "was ended by a signal",
            Self::CoreDump => "crashed",
            Self::Watchdog => "was ended by systemd's watchdog",
            Self::StartLimitHit => "was started too often",
            Self::ExecCondition => "did not need to run",
            Self::OomKill => "took more memory than there was for it",
            Self::Other => "failed",
        }
    }
}

/// A run of the engine that has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    /// When, RFC 3339.
    pub at: String,
    /// The model that was loaded or being loaded; `null` if it was none.
    pub model: Option<String>,
    /// How the run ended.
    pub result: ServiceResult,
    /// Why hearthd ended it; `null` if it was not hearthd.
    pub stuck: Option<String>,
}

/// A model that is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quarantined {
    /// Its name.
    pub model: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Why, in words.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemds_words_are_understood_and_new_ones_do_no_harm() {
        let state = |word: &str| serde_json::from_str::<ActiveState>(&format!("{word:?}")).unwrap();
        let result = |word: &str| serde_json::from_str::<ServiceResult>(&format!("{word:?}")).unwrap();
        assert_eq!(state("deactivating"), ActiveState::Deactivating);
        assert_eq!(state("dreaming"), ActiveState::Unknown);
        for (word, meant) in [
            ("success", ServiceResult::Success),
            ("exit-code", ServiceResult::ExitCode),
            ("core-dump", ServiceResult::CoreDump),
            ("oom-kill", ServiceResult::OomKill),
            ("start-limit-hit", ServiceResult::StartLimitHit),
            ("struck-by-lightning", ServiceResult::Other),
        ] {
            assert_eq!(result(word), meant);
        }
    }

    #[test]
    fn only_a_run_that_went_wrong_is_a_failure() {
        assert!(!ServiceResult::Success.is_failure() && !ServiceResult::ExecCondition.is_failure());
        assert!(ServiceResult::OomKill.is_failure() && ServiceResult::Other.is_failure());
    }
}
