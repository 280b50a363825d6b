//! `/v1/*` is inferd's; the gateway passes it on, both ways, as it comes, but for who asks.

mod events;
mod headers;
mod stream;
mod timed;
mod upstream;

pub(crate) use upstream::{Upstream, UpstreamError};

use crate::{
    agent,
    app::App,
    intake::{FaultCell, Intake},
    refusal::{Kind, Refusal},
};
use api::openai::ErrorBody;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use events::Events;
use http_body_util::{BodyExt, Limited};
use hyper::Method;
use machine::Rung;
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use timed::Timed;

/// The largest body that is passed on.
pub(crate) const LARGEST_BODY: u64 = 1 << 20;
/// The largest answer that is read for the gateway itself.
const LARGEST_OWN: usize = 64 << 10;
/// When to ask again of a machine that is too hot.
const COOLING: Duration = Duration::from_secs(30);

/// Passes a request on to inferd and its answer back.
pub(crate) async fn forward(State(app): State<Arc<App>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    pass(&app, request)
        .await
        .unwrap_or_else(|refusal| refusal.response(&path))
}

async fn pass(app: &App, request: Request) -> Result<Response, Refusal> {
    let began = Instant::now();
    let is_question = request.method() == Method::POST;
    if is_question {
        app.arrivals.announce();
    }
    let (mut parts, body) = request.into_parts();
    let intake = Intake::new(body, LARGEST_BODY)?;
    let fault = intake.fault();
    headers::for_engine(&mut parts);
    let sent = app.upstream.send(hyper::Request::from_parts(parts, intake)).await;
    let (mut parts, answer) = match sent {
        Ok(answer) => answer.into_parts(),
        Err(error) => return Err(refusal(app, error, &fault).await),
    };
    headers::for_client(&mut parts.headers);
    let is_stream = headers::is_event_stream(&mut parts.headers);
    let body = if is_stream {
        Body::new(Events::new(answer))
    } else {
        Body::new(answer)
    };
    let body = if is_question && parts.status.is_success() {
        Body::new(Timed::new(body, began, app.measured.clone(), is_stream))
    } else {
        body
    };
    Ok(Response::from_parts(parts, body))
}

/// Asks inferd on behalf of the gateway itself. What it answers is read whole.
pub(crate) async fn ask(
    app: &App,
    method: Method,
    path: &'static str,
    body: String,
) -> Result<Bytes, Refusal> {
    let intake = Intake::new(Body::from(body), LARGEST_BODY)?;
    let fault = intake.fault();
    let mut request = hyper::Request::new(intake);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_static(path);
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_static("inferd"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let answer = match app.upstream.send(request).await {
        Ok(answer) => answer,
        Err(error) => return Err(refusal(app, error, &fault).await),
    };
    let status = answer.status();
    let collected = Limited::new(answer.into_body(), LARGEST_OWN).collect().await;
    let body = collected
        .map_err(|error| Refusal::new(Kind::EngineLost, error.to_string()))?
        .to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    let kind = match status {
        StatusCode::NOT_FOUND => Kind::NotFound,
        StatusCode::SERVICE_UNAVAILABLE => Kind::EngineUnavailable,
        status if status.is_client_error() => Kind::Unacceptable,
        _ => Kind::EngineLost,
    };
    let told = serde_json::from_slice::<ErrorBody>(&body);
    let detail = told.map_or_else(
        |_| format!("the engine answered {status}"),
        |body| body.error.message,
    );
    Err(Refusal::new(kind, detail))
}

/// Why the engine is held stopped, if it is. Only asked when its socket is missing. What ends an administrator's hold is
/// told before heat, which ends by itself.
async fn held(app: &App) -> Option<Refusal> {
    let since = agent::engine(&app.bus)
        .await
        .ok()
        .and_then(|engine| engine.held_since);
    let Some(since) = since else {
        return heat(app).await;
    };
    let detail =
        format!("an administrator has stopped the engine at {since}; \"hearth engine start\" starts it");
    Some(Refusal::new(Kind::EngineHeld, detail))
}

/// Why the engine is held stopped, if it is by heat.
async fn heat(app: &App) -> Option<Refusal> {
    let thermal = agent::thermal(&app.bus).await.ok()?;
    if thermal.state.rung < Rung::EngineStopped {
        return None;
    }
    let why = thermal
        .steps
        .last()
        .map_or("the machine is too hot", |step| &step.note.reason);
    let detail = format!("the engine is stopped until the machine has cooled down: {why}");
    Some(Refusal::new(Kind::TooHot, detail).retry_after(COOLING))
}

/// A request that failed because its own body did is the client's doing, not the engine's.
async fn refusal(app: &App, error: UpstreamError, fault: &FaultCell) -> Refusal {
    if let Some(fault) = fault.get() {
        return (*fault).into();
    }
    if let UpstreamError::Connect { source, .. } = &error
        && source.kind() == io::ErrorKind::NotFound
        && let Some(held) = held(app).await
    {
        return held;
    }
    let (kind, wait) = match error {
        UpstreamError::Connect { .. } => (Kind::EngineUnavailable, Duration::from_secs(2)),
        UpstreamError::Lost(_) => (Kind::EngineLost, Duration::from_secs(1)),
        UpstreamError::Silent(_) => (Kind::EngineTimeout, Duration::from_secs(10)),
    };
    Refusal::new(kind, error.to_string()).retry_after(wait)
}
