//! `GET /api/v1/status`: the machine as hearthd sees it, and on demand the engine.

use crate::{
    agent,
    app::App,
    caller::Pass,
    intake::Intake,
    openapi::OfQuery,
    ration::Asker,
    refusal::{Kind, Refusal},
};
use api::rest::{EngineStatus, Status};
use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{Extensions, HeaderValue, Request, Uri, header},
    response::Response,
};
use http_body_util::{BodyExt, Limited};
use nix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use time::OffsetDateTime;
use tokio::time::timeout;

/// How long the engine may take to say how it is; it may have to start first.
const PATIENCE: Duration = Duration::from_secs(20);

/// What may follow the `?`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// Whether to ask the engine too, which starts it.
    #[serde(default)]
    engine: bool,
}

/// The status; parts that cannot be had are `null`.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "machine",
    params(Wish),
    responses((status = 200, description = "The status; parts that cannot be had are null", body = Status), OfQuery)
)]
pub(crate) async fn status(
    State(app): State<Arc<App>>,
    uri: Uri,
    wish: Result<Query<Wish>, QueryRejection>,
    extensions: Extensions,
) -> Result<Json<Status>, Response> {
    let wish = wish.map_err(|error| {
        let detail = format!("{}; known is \"engine\", true or false", error.body_text());
        Refusal::new(Kind::Invalid, detail).response(uri.path())
    })?;
    let engine = if wish.engine {
        engine_status(&app, extensions.get()).await
    } else {
        None
    };
    find(&app, engine).await.map(Json).map_err(|error| {
        Refusal::new(
            Kind::Internal,
            format!("the kernel does not tell name or uptime: {error}"),
        )
        .response(uri.path())
    })
}

async fn find(app: &App, engine: Option<EngineStatus>) -> nix::Result<Status> {
    let (seen, agent_problem) = match agent::observe(&app.bus).await {
        Ok(seen) => (Some(seen), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let (capabilities, sample, supervision) = match seen {
        Some(seen) => (Some(seen.capabilities), Some(seen.sample), Some(seen.engine)),
        None => (None, None, None),
    };
    Ok(Status {
        hostname: nix::unistd::gethostname()?.to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?).as_secs_f64(),
        fingerprint: app.identity.fingerprint(OffsetDateTime::now_utc()),
        capabilities,
        sample,
        supervision,
        agent_problem,
        engine,
    })
}

/// Why there is none is told as often as there is room for lines about who asks.
async fn engine_status(app: &App, pass: Option<&Pass>) -> Option<EngineStatus> {
    let problem = match timeout(PATIENCE, ask_engine(app)).await {
        Ok(Ok(status)) => return Some(status),
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("it was silent for {} s", PATIENCE.as_secs()),
    };
    let asker = pass.map_or(Asker::Stranger, |pass| Asker::Known(&pass.actor));
    if app.ration.has_room(asker, Instant::now()) {
        tracing::warn!("the engine does not say how it is: {problem}");
    }
    None
}

async fn ask_engine(app: &App) -> anyhow::Result<EngineStatus> {
    let mut request = Request::new(Intake::new(Body::empty(), 0)?);
    *request.uri_mut() = Uri::from_static("/health");
    request
        .headers_mut()
        .insert(header::HOST, HeaderValue::from_static("inferd"));
    let answer = app.upstream.send(request).await?.into_body();
    let body = Limited::new(answer, 16 << 10)
        .collect()
        .await
        .map_err(anyhow::Error::from_boxed)?;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}
