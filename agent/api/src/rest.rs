//! The management REST interface, `/api/v1`.

use crate::engine::Engine;
use machine::{Capabilities, Sample};
use serde::{Deserialize, Serialize};

/// Body of every error under `/api/v1`: RFC 9457, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The kind of problem, as a relative reference, for example `/problems/not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, and the way out.
    pub detail: String,
}

/// Answer to `GET /api/v1/health`: whether the appliance can answer questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// `ok` when every part is.
    pub status: Condition,
    /// Whether the engine's socket is there; the engine may start on the first connection.
    pub engine: Condition,
    /// Whether the agent has its name on the bus.
    pub agent: Condition,
}

/// Whether a part works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It does.
    Ok,
    /// It does not.
    Unavailable,
}

/// Answer to `GET /api/v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// The host's name.
    pub hostname: String,
    /// Hearth's version.
    pub version: String,
    /// Time since the machine was started, in seconds.
    pub uptime_seconds: f64,
    /// SHA-256 of the certificate that clients may pin, as [`crate::tls::Tls::fingerprint`] has it.
    pub fingerprint: String,
    /// What the machine has; `null` while the agent does not answer.
    pub capabilities: Option<Capabilities>,
    /// What it shows now; `null` while the agent does not answer.
    pub sample: Option<Sample>,
    /// How the engine fares: its unit, its failures, quarantined models; `null` while the agent does not answer.
    pub supervision: Option<Engine>,
    /// Why the agent's part is missing.
    pub agent_problem: Option<String>,
    /// What the engine says of itself; `null` while it does not answer. Asking starts it, so it is asked only for a
    /// status with `?engine=true`.
    pub engine: Option<EngineStatus>,
}

/// Answer to inferd's `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EngineStatus {
    /// `ok` once requests are taken.
    pub status: Condition,
    /// The model that is loaded, if one is.
    pub model: Option<String>,
    /// Requests that wait for a slot.
    pub queued: u32,
    /// Requests that are being answered.
    pub active: u32,
}

/// What a token may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at the appliance's state.
    Read,
    /// Ask models.
    Chat,
    /// Change things.
    Admin,
}

/// Body of `POST /api/v1/session`. Not `Debug`, for it holds a token's text.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// A token's text.
    pub token: String,
}

/// Answer to `GET /api/v1/session`: who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// The token's id; `null` for a user of the local socket.
    pub id: Option<String>,
    /// The token's name, or the user's.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When the session is over if nobody uses it meanwhile, RFC 3339; `null` where a token was sent itself.
    pub expires: Option<String>,
}

/// A token as the store knows it: never its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// For revoking it.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made, RFC 3339; `null` for one that was provided from outside (credential or `CONFIG`).
    pub created: Option<String>,
}

/// Body of `POST /api/v1/tokens`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// For people; 1 to 64 characters.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// Answer to `POST /api/v1/tokens`: the only time that its text is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedToken {
    /// The text to send as `Authorization: Bearer …`.
    pub secret: String,
    /// The token as the store knows it.
    #[serde(flatten)]
    pub token: Token,
}

/// Answer to `DELETE /api/v1/tokens/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevokedToken {
    /// The token that is no longer valid.
    #[serde(flatten)]
    pub token: Token,
    /// What whoever revoked it should know, for example that no token for administration is left.
    pub note: Option<String>,
}

/// Answer to `GET /api/v1/tokens`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenList {
    /// The tokens, oldest first.
    pub tokens: Vec<Token>,
    /// What `after` is to be for the next page; not there after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
