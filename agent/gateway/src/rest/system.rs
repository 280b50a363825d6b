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
use tokio::time::timeout;

/// How long after an order without an answer the machine begins to end, if it was heard.
const ENDING: Duration = Duration::from_secs(5);
/// By its being there a reset is ordered.
const FLAG: &str = "/var/lib/hearth/config/factory-reset";
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

/// Makes the machine new: it restarts, and settings, tokens, SSH keys, certificates, added models, conversations and the
/// journal are gone, and so are `hearth.toml`, `hearth-result.txt`, `authorized_keys` and `token-hashes` on CONFIG. A new
/// first token is shown on the console.
#[utoipa::path(
    post,
    path = "/api/v1/system/factory-reset",
    tag = "system",
    request_body = Confirmation,
    responses((status = 202, description = "systemd has begun to restart it"), OfAgent, OfSetup)
)]
pub(crate) async fn factory_reset(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    answer(&uri, reset(app, request).await)
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
    let ended = agent::end(&app.bus, ending).await;
    ended.map_err(|error| Refusal::from(error).announced())
}

/// It is made anew as it starts, before anything of it is in use. Gone through with also where nobody waits for the answer
/// any more: what is wanted is written down, and must not happen at some later start.
async fn reset(app: Arc<App>, request: Request) -> Result<(), Refusal> {
    let who = confirmed(&app, request).await?;
    tracing::warn!(who, "the machine is reset by {who}");
    let resetting = tokio::spawn(async move { restart_for_reset(&app).await });
    let done = resetting.await;
    let done = done.map_err(|error| Refusal::new(Kind::Internal, error.to_string()))?;
    done.map_err(Refusal::announced)
}

/// Takes back a reset that an earlier gateway has ordered, and was ended before the machine was: else it would come with some
/// later start. Of one that comes it takes nothing back: while the machine ends systemd starts no gateway, and in the next
/// system the first one starts behind hearth-setup, which has done with it. Goes on beside what is answered; who orders one
/// waits for that.
pub(crate) async fn withdraw_reset(app: &Arc<App>) {
    let (app, turn) = (app.clone(), app.changing.reset.clone().lock_owned().await);
    tokio::spawn(async move {
        if let Err(refusal) = want_reset(&app, false).await {
            tracing::warn!(
                "a factory reset that was ordered before, if there was one, cannot be taken back, and may come with the next \
                 start ({refusal}): remove {FLAG} before"
            );
        }
        drop(turn);
    });
}

async fn restart_for_reset(app: &App) -> Result<(), Refusal> {
    let _turn = app.changing.reset.lock().await;
    let refusal = match want_reset(app, true).await {
        Err(refusal) if refusal.kind == Kind::SetupUnavailable => return Err(refusal),
        // It may be written down all the same.
        Err(refusal) => refusal,
        Ok(()) => match agent::end(&app.bus, Ending::Reboot).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_silence() && is_ending(app).await => return Ok(()),
            Err(error) => not_restarted(&error),
        },
    };
    match want_reset(app, false).await {
        Ok(()) => Err(refusal),
        Err(left) => Err(still_wanted(&refusal, &left)),
    }
}

/// Whether the machine is restarting though nobody has said so: the bus may have been stopped before the answer. If it is only
/// the gateway that ends, the next one takes the reset back.
async fn is_ending(app: &App) -> bool {
    timeout(ENDING, app.stopping.cancelled()).await.is_ok()
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

/// It was not done, and could not be taken back.
fn still_wanted(refusal: &Refusal, left: &Refusal) -> Refusal {
    let detail = format!(
        "{}; IT MAY STILL BE RESET WHEN IT STARTS NEXT, for this cannot be taken back ({}): remove {FLAG} before",
        refusal.detail, left.detail
    );
    Refusal::new(Kind::SetupLost, detail)
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
