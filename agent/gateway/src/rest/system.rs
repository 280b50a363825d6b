//! `/api/v1/system`: the machine itself.

use super::{power::who, read};
use crate::{
    agent::{self, Ending},
    app::App,
    openapi::OfAgent,
    refusal::{Kind, Refusal},
};
use api::system::Confirmation;
use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use nix::unistd::gethostname;
use std::sync::Arc;

const CONFIRMATION: &str = r#"{"confirm": "the host's name"}"#;

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

fn answer(uri: &Uri, outcome: Result<(), Refusal>) -> Response {
    match outcome {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(refusal) => refusal.response(uri.path()),
    }
}

async fn end(app: &App, ending: Ending, request: Request) -> Result<(), Refusal> {
    let who = who(app, request.extensions());
    let Confirmation { confirm } = read(request, CONFIRMATION).await?;
    let unnamed = |error: nix::Error| {
        let detail = format!("the kernel does not tell the host's name: {error}");
        Refusal::new(Kind::Internal, detail)
    };
    let hostname = gethostname().map_err(unnamed)?.to_string_lossy().into_owned();
    if confirm != hostname {
        let detail = format!("confirm: this is {hostname:?}, and {confirm:?} was confirmed");
        return Err(Refusal::new(Kind::Unacceptable, detail));
    }
    let what = match ending {
        Ending::Reboot => "restarted",
        Ending::PowerOff => "powered off",
    };
    tracing::warn!(who, "the machine is {what} by {who}");
    Ok(agent::end(&app.bus, ending).await?)
}
