//! `/api/v1/engine`: the engine's unit and what it may have, and models that are not loaded because it failed with them.

use super::power::who;
use super::{answer, read};
use crate::{
    agent::{self, AgentError, EngineJob},
    app::App,
    openapi::{OfAgent, OfState},
    refusal::{Kind, Refusal},
};
use api::engine::{Engine, EngineLimits, NewLimits};
use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    http::{Extensions, Uri},
    response::Response,
};
use std::sync::Arc;

const LIMITS: &str = r#"{"chosen": {"memory_high": bytes, "memory_max": bytes, "cpu_weight": 1 to 10000, "allowed_cpus": [0, …]}, "beyond_unit": true | false}, null for what the unit has by itself"#;

/// Starts the engine, and ends an administrator's hold.
#[utoipa::path(
    post,
    path = "/api/v1/engine/start",
    tag = "engine",
    responses((status = 200, description = "How it fares then", body = Engine), OfAgent, OfState)
)]
pub(crate) async fn start(State(app): State<Arc<App>>, uri: Uri, extensions: Extensions) -> Response {
    answer(&uri, order(&app, EngineJob::Start, &extensions).await)
}

/// Stops the engine until it is started.
#[utoipa::path(
    post,
    path = "/api/v1/engine/stop",
    tag = "engine",
    responses((status = 200, description = "How it fares then", body = Engine), OfAgent, OfState)
)]
pub(crate) async fn stop(State(app): State<Arc<App>>, uri: Uri, extensions: Extensions) -> Response {
    answer(&uri, order(&app, EngineJob::Stop, &extensions).await)
}

/// Starts the engine anew.
#[utoipa::path(
    post,
    path = "/api/v1/engine/restart",
    tag = "engine",
    responses((status = 200, description = "How it fares then", body = Engine), OfAgent, OfState)
)]
pub(crate) async fn restart(State(app): State<Arc<App>>, uri: Uri, extensions: Extensions) -> Response {
    answer(&uri, order(&app, EngineJob::Restart, &extensions).await)
}

async fn order(app: &App, job: EngineJob, extensions: &Extensions) -> Result<Engine, Refusal> {
    let who = who(app, extensions);
    let engine = agent::order_engine(&app.bus, job)
        .await
        .map_err(|error| match error {
            // Of an order only the moment can be wrong.
            AgentError::Refused(detail) => Refusal::new(Kind::Conflict, detail),
            error => error.into(),
        })?;
    let done = match job {
        EngineJob::Start => "started",
        EngineJob::Stop => "stopped",
        EngineJob::Restart => "restarted",
    };
    tracing::info!(who, "engine {done} by {who}");
    Ok(engine)
}

/// What the engine's unit may have.
#[utoipa::path(
    get,
    path = "/api/v1/engine/limits",
    tag = "engine",
    responses((status = 200, description = "The limits", body = EngineLimits), OfAgent)
)]
pub(crate) async fn limits(State(app): State<Arc<App>>, uri: Uri) -> Response {
    answer(&uri, agent::engine_limits(&app.bus).await)
}

/// Sets what the engine's unit may have.
#[utoipa::path(
    put,
    path = "/api/v1/engine/limits",
    tag = "engine",
    request_body = NewLimits,
    responses((status = 200, description = "What is in force then", body = EngineLimits), OfAgent)
)]
pub(crate) async fn set_limits(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    answer(&uri, limit(&app, request).await)
}

async fn limit(app: &App, request: Request) -> Result<EngineLimits, Refusal> {
    let who = who(app, request.extensions());
    let new: NewLimits = read(request, LIMITS).await?;
    let limits = agent::limit_engine(&app.bus, &new).await?;
    tracing::info!(who, "engine's limits set to {:?} by {who}", limits.chosen);
    Ok(limits)
}

/// Lets a quarantined model be loaded again.
#[utoipa::path(
    delete,
    path = "/api/v1/models/{name}/quarantine",
    tag = "models",
    params(("name" = String, Path, description = "The name of the model")),
    responses((status = 200, description = "How the engine fares then", body = Engine), OfAgent)
)]
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
    extensions: Extensions,
) -> Response {
    answer(&uri, free(&app, name, &extensions).await)
}

async fn free(
    app: &App,
    name: Result<Path<String>, PathRejection>,
    extensions: &Extensions,
) -> Result<Engine, Refusal> {
    let Path(name) = name.map_err(|error| Refusal::new(Kind::Invalid, error.body_text()))?;
    let engine = agent::release_model(&app.bus, &name)
        .await
        .map_err(|error| match error {
            // Of a release only the name can be wrong.
            AgentError::Refused(detail) => Refusal::new(Kind::NotFound, detail),
            error => error.into(),
        })?;
    let who = who(app, extensions);
    tracing::info!(
        who,
        model = name,
        "model {name} released from quarantine by {who}"
    );
    Ok(engine)
}
