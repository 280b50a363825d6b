//! `/api/v1/engine`: the engine's unit and what it may have, and models that are not loaded because it failed with them.

use super::{answer, answer_tagged, jobs, power::who, read};
use crate::{
    agent::{self, AgentError, EngineJob},
    app::App,
    conditions,
    openapi::{OfAbsence, OfAgent, OfCondition, OfEngine, OfState},
    plain_text::is_plain,
    proxy,
    refusal::{Kind, Refusal},
};
use api::{
    engine::{Engine, EngineActivity, EngineLimits, LoadModel, NewLimits},
    jobs::Job,
    openai::{KeepAlive, ModelList},
};
use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    http::{Extensions, Method, Uri},
    response::Response,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// How long a model stays that is loaded before anybody asks it, unless it is said: as long as Ollama has it.
const KEPT: &str = "5m";
/// The longest name of a model to load, in bytes.
const LONGEST_NAME: usize = 256;
const LOAD: &str = r#"{"model": "…", "keep_alive": "30m", a number of seconds, or null}"#;
const LIMITS: &str = r#"{"chosen": {"memory_high": bytes, "memory_max": bytes, "cpu_weight": 1 to 10000, "allowed_cpus": [0, …]}, "beyond_unit": true | false}, null for what the unit has by itself"#;

/// What the engine does. It is not woken for it.
#[utoipa::path(
    get,
    path = "/api/v1/engine",
    tag = "engine",
    responses((status = 200, description = "What it does", body = EngineActivity), OfAgent)
)]
pub(crate) async fn activity(State(app): State<Arc<App>>, uri: Uri) -> Response {
    answer(&uri, agent::activity(&app.bus).await)
}

/// Has a model loaded, as a job.
#[utoipa::path(
    post,
    path = "/api/v1/engine/load",
    tag = "engine",
    request_body = LoadModel,
    responses((status = 202, description = "The job", body = Job, headers(("Location" = String))), OfState, OfAbsence, OfEngine)
)]
pub(crate) async fn load(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    let who = who(&app, request.extensions());
    let job = begin_loading(&app, request).await;
    told(&uri, job, &format!("to be loaded by {who}"))
}

async fn begin_loading(app: &Arc<App>, request: Request) -> Result<Job, Refusal> {
    let LoadModel { model, keep_alive } = read(request, LOAD).await?;
    // It is shown in the journal and among the jobs before the engine has said whether there is such a model.
    if !(1..=LONGEST_NAME).contains(&model.len()) || !model.chars().all(is_plain) {
        let detail =
            format!("model: 1 to {LONGEST_NAME} bytes are a name, none of them of a control character");
        return Err(Refusal::new(Kind::Unacceptable, detail));
    }
    let keep_alive = keep_alive.unwrap_or_else(|| KeepAlive::Text(KEPT.to_owned()));
    must_be_there(app, &model).await?;
    begin(app, "engine.load", &model, keep_alive)
}

/// A job that could only fail is not begun: it would be a change that changes nothing.
async fn must_be_there(app: &App, model: &str) -> Result<(), Refusal> {
    app.arrivals.announce();
    let answer = proxy::ask(app, Method::GET, "/v1/models", String::new()).await?;
    let found: ModelList = serde_json::from_slice(&answer).map_err(|error| {
        let detail = format!("the engine's list of models is not understood: {error}");
        Refusal::new(Kind::EngineLost, detail)
    })?;
    if found.data.iter().any(|known| known.id == model) {
        Ok(())
    } else {
        Err(Refusal::new(
            Kind::NotFound,
            format!("there is no model {model:?}"),
        ))
    }
}

/// Lets go of the model that is loaded, as a job.
#[utoipa::path(
    post,
    path = "/api/v1/engine/unload",
    tag = "engine",
    responses((status = 202, description = "The job", body = Job, headers(("Location" = String))), OfAgent, OfState)
)]
pub(crate) async fn unload(State(app): State<Arc<App>>, uri: Uri, extensions: Extensions) -> Response {
    let who = who(&app, &extensions);
    let job = match agent::activity(&app.bus).await {
        Ok(EngineActivity {
            model: Some(model), ..
        }) => begin(&app, "engine.unload", &model, KeepAlive::Seconds(0.0)),
        Ok(_) => Err(Refusal::new(Kind::Conflict, "no model is loaded")),
        Err(error) => Err(error.into()),
    };
    told(&uri, job, &format!("to be let go of by {who}"))
}

fn told(uri: &Uri, job: Result<Job, Refusal>, what: &str) -> Response {
    match job {
        Ok(job) => {
            let model = job.subject.as_deref().unwrap_or_default();
            tracing::info!(model, "model {model} {what}");
            jobs::begun(&job)
        }
        Err(refusal) => refusal.response(uri.path()),
    }
}

/// Asks the engine with an empty conversation, which is about the model's stay alone.
fn begin(app: &Arc<App>, kind: &str, model: &str, keep_alive: KeepAlive) -> Result<Job, Refusal> {
    let running = app.jobs.begin(kind, model)?;
    let job = running.job().clone();
    let body = json!({"model": model, "messages": [], "keep_alive": keep_alive}).to_string();
    let app = app.clone();
    tokio::spawn(async move {
        app.arrivals.announce();
        let asked = proxy::ask(&app, Method::POST, "/v1/chat/completions", body);
        if let Some(outcome) = running.cancelled().run_until_cancelled(asked).await {
            running.end(outcome.map(|_| Value::Null).map_err(Refusal::problem));
        }
    });
    Ok(job)
}

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
    responses((status = 200, description = "The limits", body = EngineLimits, headers(("ETag" = String))), OfAgent)
)]
pub(crate) async fn limits(State(app): State<Arc<App>>, uri: Uri) -> Response {
    answer_tagged(&uri, agent::engine_limits(&app.bus).await, |limits| {
        limits.chosen.clone()
    })
}

/// Sets what the engine's unit may have.
#[utoipa::path(
    put,
    path = "/api/v1/engine/limits",
    tag = "engine",
    request_body = NewLimits,
    responses((status = 200, description = "What is in force then", body = EngineLimits, headers(("ETag" = String))), OfAgent, OfCondition)
)]
pub(crate) async fn set_limits(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    answer_tagged(&uri, limit(&app, request).await, |limits| limits.chosen.clone())
}

async fn limit(app: &App, request: Request) -> Result<EngineLimits, Refusal> {
    let (who, headers) = (who(app, request.extensions()), request.headers().clone());
    let new: NewLimits = read(request, LIMITS).await?;
    let _turn = app.changing.limits.lock().await;
    let now = async { Ok(agent::engine_limits(&app.bus).await?.chosen) };
    conditions::unchanged(&headers, now).await?;
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
