//! `/api/v1/network`: how the machine is reached. A change is tried for two minutes, and comes back unless somebody
//! confirms it, who has thereby shown that they reach the machine.

use super::{answer, power::who, read};
use crate::{
    agent::{self, AgentError},
    app::App,
    conditions,
    openapi::{OfCondition, OfSetup, OfState},
    plain_text::brief,
    refusal::{Kind, Refusal},
    setup::unexpected,
};
use api::{
    network::{NetworkChange, NetworkTrial, NetworkView},
    setup::{NetworkState, Reply, Request as Wanted, SetNetwork},
};
use axum::{
    Json,
    extract::{Request, State},
    http::{Extensions, HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use std::{sync::Arc, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

const CHANGE: &str = r#"{"hostname": "…", "ipv4": {"method": "dhcp"} or {"method": "static", "address": "192.168.1.20/24", "gateway": "…" or null, "dns": ["…"]}, "wifi": {"ssid": "…", "password": "…"} or null}"#;

/// Name, address, Wi-Fi, and the machine's interfaces.
#[utoipa::path(
    get,
    path = "/api/v1/network",
    tag = "network",
    responses((status = 200, description = "How it is reached", body = NetworkView, headers(("ETag" = String))), OfSetup)
)]
pub(crate) async fn network(State(app): State<Arc<App>>, uri: Uri) -> Response {
    match state(&app).await {
        Ok(state) => {
            let tag = conditions::tagged(&state.revision);
            (tag, answer(&uri, view(&app, state).await)).into_response()
        }
        Err(refusal) => refusal.response(uri.path()),
    }
}

async fn state(app: &App) -> Result<NetworkState, Refusal> {
    match app.setup.ask(&Wanted::Network).await? {
        Reply::Network(state) => Ok(state),
        _ => Err(unexpected()),
    }
}

async fn view(app: &App, state: NetworkState) -> Result<NetworkView, Refusal> {
    let (interfaces, interfaces_problem) = match agent::interfaces(&app.bus).await {
        Ok(interfaces) => (interfaces, None),
        Err(AgentError::Bus(error)) => {
            let problem = format!("systemd-networkd does not answer on the bus: {error}");
            (Vec::new(), Some(problem))
        }
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Ok(NetworkView {
        network: state.network,
        interfaces,
        interfaces_problem,
        confirm_by: state.on_trial.map(ends).transpose()?,
    })
}

/// Reaches the machine so from now on, on trial.
#[utoipa::path(
    put,
    path = "/api/v1/network",
    tag = "network",
    request_body = NetworkChange,
    responses(
        (status = 200, description = "It is what is kept anyway", body = NetworkTrial),
        (status = 202, description = "It is tried from now on, until it is confirmed or comes back", body = NetworkTrial),
        OfSetup, OfCondition
    )
)]
pub(crate) async fn set_network(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    match change(&app, request).await {
        Ok(trial) if trial.confirm_by.is_none() => Json(trial).into_response(),
        Ok(trial) => (StatusCode::ACCEPTED, Json(trial)).into_response(),
        Err(refusal) => refusal.response(uri.path()),
    }
}

async fn change(app: &App, request: Request) -> Result<NetworkTrial, Refusal> {
    let who = who(app, request.extensions());
    let of = known(app, request.headers()).await?;
    let change: NetworkChange = read(request, CHANGE).await?;
    // First, for whoever is cut off from here on may have changed it all the same.
    tracing::warn!(who, "network to be changed by {who}: {}", brief(&change));
    let set = Wanted::SetNetwork(SetNetwork { change, of });
    match app.setup.ask(&set).await.map_err(Refusal::announced)? {
        Reply::OnTrial(seconds) => {
            tracing::warn!(who, "network changed by {who}, on trial for {seconds} s");
            let confirm_by = Some(ends(seconds)?);
            Ok(NetworkTrial { confirm_by })
        }
        Reply::Done => {
            tracing::info!(who, "network set by {who} to what is kept; nothing is on trial");
            Ok(NetworkTrial { confirm_by: None })
        }
        _ => Err(unexpected()),
    }
}

/// The revision that a request is of; hearth-setup compares it again, once nobody else can come in between.
async fn known(app: &App, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(tags) = conditions::wanted(headers)? else {
        return Ok(None);
    };
    let revision = state(app).await?.revision;
    if tags.contains(&revision) {
        Ok(Some(revision))
    } else {
        Err(conditions::changed())
    }
}

/// Keeps the change that is on trial; with `If-Match` only if it is the one that was read meanwhile.
#[utoipa::path(
    post,
    path = "/api/v1/network/confirm",
    tag = "network",
    responses((status = 204, description = "It is kept"), OfSetup, OfState, OfCondition)
)]
pub(crate) async fn confirm(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    match keep(&app, request.headers(), request.extensions()).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refusal.response(uri.path()),
    }
}

async fn keep(app: &App, headers: &HeaderMap, extensions: &Extensions) -> Result<(), Refusal> {
    let who = who(app, extensions);
    let of = known(app, headers).await?;
    tracing::info!(who, "the network that is on trial is to be kept by {who}");
    let kept = app.setup.ask(&Wanted::Confirm { of }).await;
    match kept.map_err(Refusal::announced)? {
        Reply::Done => {
            tracing::info!(who, "the network that was on trial is kept by {who}");
            Ok(())
        }
        _ => Err(unexpected()),
    }
}

/// The moment that is so many seconds away.
fn ends(seconds: u64) -> Result<String, Refusal> {
    let end = OffsetDateTime::now_utc() + Duration::from_secs(seconds);
    let text = end.replace_nanosecond(0).unwrap_or(end).format(&Rfc3339);
    text.map_err(|error| Refusal::new(Kind::Internal, error.to_string()))
}
