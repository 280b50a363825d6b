//! `/v1/*` is inferd's; the gateway passes it on, both ways, as it comes, but for who asks.

mod events;
mod headers;
mod stream;
mod upstream;

pub(crate) use upstream::{Upstream, UpstreamError};

use crate::{
    agent,
    app::App,
    intake::{FaultCell, Intake},
    refusal::{Kind, Refusal},
};
use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use events::Events;
use hyper::Method;
use machine::Rung;
use std::{io, sync::Arc, time::Duration};

/// The largest body that is passed on.
pub(crate) const LARGEST_BODY: u64 = 1 << 20;
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
    if request.method() == Method::POST {
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
    let body = if headers::is_event_stream(&mut parts.headers) {
        Body::new(Events::new(answer))
    } else {
        Body::new(answer)
    };
    Ok(Response::from_parts(parts, body))
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
