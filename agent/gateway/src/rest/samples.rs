//! `/api/v1/samples`: what the machine showed over a while.

use super::answer;
use crate::{
    agent,
    app::App,
    openapi::{OfAgent, OfQuery},
    refusal::{Kind, Refusal},
};
use api::samples::{LONGEST_SPAN, Samples};
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::Uri,
    response::Response,
};
use serde::Deserialize;
use std::sync::Arc;

/// What may follow the `?`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    /// How far back, in seconds. Up to 600 are told by the second, up to 10800 by means of ten, more by means of 120.
    #[serde(default = "ten_minutes")]
    #[param(required = false, minimum = 1, maximum = 604_800, default = 600)]
    seconds: u32,
}

fn ten_minutes() -> u32 {
    600
}

/// What the machine showed over a while: temperature, clock, power, memory, tokens per second.
#[utoipa::path(
    get,
    path = "/api/v1/samples",
    tag = "machine",
    params(Span),
    responses((status = 200, description = "The rows", body = Samples), OfAgent, OfQuery)
)]
pub(crate) async fn samples(
    State(app): State<Arc<App>>,
    uri: Uri,
    span: Result<Query<Span>, QueryRejection>,
) -> Response {
    answer(&uri, told(&app, span).await)
}

async fn told(app: &App, span: Result<Query<Span>, QueryRejection>) -> Result<Samples, Refusal> {
    let wrong = |problem: String| {
        let wanted = format!("known is \"seconds\", 1 to {LONGEST_SPAN}");
        Refusal::new(Kind::Invalid, format!("{problem}; {wanted}"))
    };
    let Query(Span { seconds }) = span.map_err(|error| wrong(error.body_text()))?;
    if !(1..=LONGEST_SPAN).contains(&seconds) {
        return Err(wrong(format!("{seconds} s cannot be told")));
    }
    Ok(agent::samples(&app.bus, seconds).await?)
}
