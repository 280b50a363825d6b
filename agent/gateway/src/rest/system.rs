//! `/api/v1/system`: the machine itself.

use super::{answer as told, power::who, read};
use crate::{
    agent::{self, AgentError, Ending},
    app::App,
    openapi::{OfAgent, OfSetup},
    refusal::{Kind, Refusal},
    setup::unexpected,
};
use api::{
    setup::{Reply, Request as Wanted},
    system::{Confirmation, System},
};
use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use machine::Capabilities;
use nix::{
    sys::utsname::uname,
    time::{ClockId, clock_gettime},
    unistd::gethostname,
};
use std::{sync::Arc, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

const CONFIRMATION: &str = r#"{"confirm": "the host's name"}"#;

/// What the machine is.
#[utoipa::path(
    get,
    path = "/api/v1/system",
    tag = "system",
    responses((status = 200, description = "What it is; what hearthd would have told is null while it does not answer", body = System))
)]
pub(crate) async fn system(State(app): State<Arc<App>>, uri: Uri) -> Response {
    // What hearthd does not tell is shown as such, and `GET /status` says why.
    let capabilities = agent::capabilities(&app.bus).await.unwrap_or_default();
    told(&uri, describe(capabilities))
}

fn describe(capabilities: Capabilities) -> Result<System, Refusal> {
    let unknown = |error: nix::Error| {
        let detail = format!("the kernel does not tell what it is, or since when: {error}");
        Refusal::new(Kind::Internal, detail)
    };
    let kernel = uname().map_err(unknown)?;
    let uptime = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).map_err(unknown)?);
    let started = OffsetDateTime::now_utc() - uptime;
    let started = started.replace_nanosecond(0).unwrap_or(started).format(&Rfc3339);
    Ok(System {
        hostname: hostname()?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: kernel.release().to_string_lossy().into_owned(),
        architecture: kernel.machine().to_string_lossy().into_owned(),
        started: started.map_err(|error| Refusal::new(Kind::Internal, error.to_string()))?,
        vendor: capabilities.dmi.sys_vendor,
        product: capabilities.dmi.product_name,
        processor: capabilities.features.model_name,
        memory: capabilities.mem_total,
    })
}

/// Restarts the machine in order.
#[utoipa::path(
    post,
    path = "/api/v1/system/reboot",
    tag = "system",
    request_body = Confirmation,
    responses((status = 202, description = "systemd has begun to"), OfAgent)
)]
pub(crate) async fn reboot(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    answer(&uri, end(&app, Ending::Reboot, request).await)
}

/// Powers the machine off in order.
#[utoipa::path(
    post,
    path = "/api/v1/system/power-off",
    tag = "system",
    request_body = Confirmation,
    responses((status = 202, description = "systemd has begun to"), OfAgent)
)]
pub(crate) async fn power_off(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    answer(&uri, end(&app, Ending::PowerOff, request).await)
}

/// Makes the machine what it was when it was flashed: it restarts, and settings, tokens, certificates, added models,
/// conversations and the journal are gone. What is on CONFIG stays, and is read anew.
#[utoipa::path(
    post,
    path = "/api/v1/system/factory-reset",
    tag = "system",
    request_body = Confirmation,
    responses((status = 202, description = "systemd has begun to restart it"), OfAgent, OfSetup)
)]
pub(crate) async fn factory_reset(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    answer(&uri, reset(&app, request).await)
}

fn answer(uri: &Uri, outcome: Result<(), Refusal>) -> Response {
    match outcome {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(refusal) => refusal.response(uri.path()),
    }
}

async fn end(app: &App, ending: Ending, request: Request) -> Result<(), Refusal> {
    let who = confirmed(app, request).await?;
    let what = match ending {
        Ending::Reboot => "restarted",
        Ending::PowerOff => "powered off",
    };
    tracing::warn!(who, "the machine is {what} by {who}");
    Ok(agent::end(&app.bus, ending).await?)
}

/// It is made anew as it starts, before anything of it is in use. Where it does not come to that, nothing is to go at some
/// later start.
async fn reset(app: &App, request: Request) -> Result<(), Refusal> {
    let who = confirmed(app, request).await?;
    tracing::warn!(who, "the machine is reset to what was flashed by {who}");
    want_reset(app, true).await?;
    if let Err(error) = agent::end(&app.bus, Ending::Reboot).await {
        want_reset(app, false).await?;
        return Err(not_restarted(&error));
    }
    Ok(())
}

async fn want_reset(app: &App, wanted: bool) -> Result<(), Refusal> {
    match app.setup.ask(&Wanted::FactoryReset(wanted)).await? {
        Reply::Done => Ok(()),
        _ => Err(unexpected()),
    }
}

fn not_restarted(error: &AgentError) -> Refusal {
    let detail = format!("nothing was reset, for the machine cannot be restarted: {error}");
    let kind = match error {
        AgentError::Failed(_) | AgentError::Refused(_) => Kind::AgentFailed,
        _ => Kind::AgentUnavailable,
    };
    Refusal::new(kind, detail)
}

/// Who has sent a request that names this host.
async fn confirmed(app: &App, request: Request) -> Result<String, Refusal> {
    let who = who(app, request.extensions());
    let Confirmation { confirm } = read(request, CONFIRMATION).await?;
    let hostname = hostname()?;
    if confirm != hostname {
        let detail = format!("confirm: this is {hostname:?}, and {confirm:?} was confirmed");
        return Err(Refusal::new(Kind::Unacceptable, detail));
    }
    Ok(who)
}

fn hostname() -> Result<String, Refusal> {
    let hostname = gethostname().map_err(|error| {
        let detail = format!("the kernel does not tell the host's name: {error}");
        Refusal::new(Kind::Internal, detail)
    })?;
    Ok(hostname.to_string_lossy().into_owned())
}
