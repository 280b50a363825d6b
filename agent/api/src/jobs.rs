//! Long work: `/api/v1/jobs`.

use crate::rest::Problem;
use serde::{Deserialize, Serialize};

/// Answer to `GET /api/v1/jobs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobList {
    /// The jobs, oldest first. Those that have ended are forgotten when there are many, and when the gateway ends.
    pub jobs: Vec<Job>,
    /// What `after` is to be for the next page; not there after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Work that takes longer than an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    /// For asking after it.
    pub id: String,
    /// `model.add`, `model.verify`, `engine.load` or `engine.unload`.
    pub kind: String,
    /// What it works on: a model's name.
    pub subject: Option<String>,
    /// How it fares.
    pub state: JobState,
    /// How far it is; `null`: it does not tell.
    pub progress: Option<JobProgress>,
    /// What has come of it; `null` until it is done.
    pub result: Option<serde_json::Value>,
    /// Why it has failed.
    pub problem: Option<Problem>,
    /// When it was begun, RFC 3339.
    pub started: String,
    /// When it ended, RFC 3339.
    pub ended: Option<String>,
}

/// How a job fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It goes on.
    Running,
    /// It has ended well.
    Done,
    /// It has not.
    Failed,
    /// Somebody has ended it.
    Cancelled,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobProgress {
    /// What is done.
    pub done: u64,
    /// All there is to do.
    pub total: u64,
    /// What is counted: `bytes`.
    pub unit: String,
}
