//! `/api/v1/time`: the machine's clock.

use super::{answer_tagged, power::who, read};
use crate::{
    agent,
    app::App,
    conditions,
    openapi::{OfCondition, OfSetup},
    plain_text::brief,
    refusal::{Kind, Refusal},
    setup::unexpected,
};
use api::{
    setup::{ClockState, Reply, Request as Wanted},
    system::{Clock, ClockChange},
};
use axum::{
    extract::{Request, State},
    http::Uri,
    response::Response,
};
use std::sync::Arc;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

const CHANGE: &str = r#"{"timezone": "Europe/Berlin", "ntp": true | false, or left out}"#;

/// What the clock shows, and how it is kept right.
#[utoipa::path(
    get,
    path = "/api/v1/time",
    tag = "system",
    responses((status = 200, description = "The clock", body = Clock, headers(("ETag" = String))), OfSetup)
)]
pub(crate) async fn clock(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let found = kept(&app).await;
    told(&app, &uri, found).await
}

/// Sets the time zone, and whether the clock is set over the network.
#[utoipa::path(
    put,
    path = "/api/v1/time",
    tag = "system",
    request_body = ClockChange,
    responses((status = 200, description = "The clock", body = Clock, headers(("ETag" = String))), OfSetup, OfCondition)
)]
pub(crate) async fn set_clock(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    let changed = change(&app, request).await;
    told(&app, &uri, changed).await
}

async fn change(app: &App, request: Request) -> Result<ClockState, Refusal> {
    let (who, headers) = (who(app, request.extensions()), request.headers().clone());
    let change: ClockChange = read(request, CHANGE).await?;
    let _turn = app.changing.clock.lock().await;
    conditions::unchanged(&headers, kept(app)).await?;
    // First, for whoever is cut off from here on may have changed it all the same.
    tracing::info!(who, "clock to be set by {who}: {}", brief(&change));
    let set = app.setup.ask(&Wanted::SetClock(change)).await;
    match set.map_err(Refusal::announced)? {
        Reply::Done => {
            let kept = kept(app).await?;
            let ClockState { timezone, ntp } = &kept;
            tracing::info!(
                who,
                timezone,
                ntp,
                "time zone set to {timezone}, NTP to {ntp} by {who}"
            );
            Ok(kept)
        }
        _ => Err(unexpected()),
    }
}

async fn kept(app: &App) -> Result<ClockState, Refusal> {
    match app.setup.ask(&Wanted::Clock).await? {
        Reply::Clock(kept) => Ok(kept),
        _ => Err(unexpected()),
    }
}

async fn told(app: &App, uri: &Uri, kept: Result<ClockState, Refusal>) -> Response {
    let clock = match kept {
        Ok(kept) => shown(app, kept).await,
        Err(refusal) => Err(refusal),
    };
    answer_tagged(uri, clock, |clock| ClockState {
        timezone: clock.timezone.clone(),
        ntp: clock.ntp,
    })
}

async fn shown(app: &App, kept: ClockState) -> Result<Clock, Refusal> {
    let synchronised = agent::is_synchronised(&app.bus).await;
    let now = OffsetDateTime::now_utc().format(&Rfc3339);
    Ok(Clock {
        time: now.map_err(|error| Refusal::new(Kind::Internal, error.to_string()))?,
        timezone: kept.timezone,
        ntp: kept.ntp,
        synchronised: synchronised.ok(),
    })
}
