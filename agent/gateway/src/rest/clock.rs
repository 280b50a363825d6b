//! `/api/v1/time`: the machine's clock.

use super::answer;
use crate::{
    agent::{self, AgentError},
    app::App,
    openapi::OfAgent,
    refusal::{Kind, Refusal},
};
use api::system::Clock;
use axum::{extract::State, http::Uri, response::Response};
use std::sync::Arc;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What the clock shows, and how it is kept right.
#[utoipa::path(
    get,
    path = "/api/v1/time",
    tag = "system",
    responses((status = 200, description = "The clock", body = Clock), OfAgent)
)]
pub(crate) async fn clock(State(app): State<Arc<App>>, uri: Uri) -> Response {
    answer(&uri, found(&app).await)
}

async fn found(app: &App) -> Result<Clock, Refusal> {
    let kept = agent::timekeeping(&app.bus).await.map_err(|error| match error {
        AgentError::Bus(error) => {
            let detail = format!("systemd's timedated does not answer on the bus: {error}");
            Refusal::new(Kind::AgentUnavailable, detail)
        }
        error => error.into(),
    })?;
    let now = OffsetDateTime::now_utc().format(&Rfc3339);
    Ok(Clock {
        time: now.map_err(|error| Refusal::new(Kind::Internal, error.to_string()))?,
        timezone: kept.timezone,
        ntp: kept.ntp,
        synchronised: kept.synchronised,
    })
}
