//! `/api/v1/thermal`: temperatures, and the one that is held.

use super::{answer_tagged, power::who, read};
use crate::{
    agent::{self, AgentError},
    app::App,
    conditions,
    openapi::{OfAgent, OfCondition},
    refusal::{Kind, Refusal},
};
use api::power::{Thermal, ThermalSettings};
use axum::{
    extract::{Request, State},
    http::Uri,
    response::Response,
};
use std::sync::Arc;

const SETTINGS: &str = r#"{"target": thousandths of a degree Celsius, or null for the firmware profile's}"#;

/// Temperatures, the target, the ladder.
#[utoipa::path(
    get,
    path = "/api/v1/thermal",
    tag = "power",
    responses((status = 200, description = "Heat, and what is done about it", body = Thermal, headers(("ETag" = String))), OfAgent)
)]
pub(crate) async fn thermal(State(app): State<Arc<App>>, uri: Uri) -> Response {
    answer_tagged(&uri, agent::thermal(&app.bus).await, |thermal| thermal.target_set)
}

/// Sets the temperature to hold. Which ones can be held is hearthd's to say.
#[utoipa::path(
    put,
    path = "/api/v1/thermal",
    tag = "power",
    request_body = ThermalSettings,
    responses((status = 200, description = "What is in force then", body = Thermal, headers(("ETag" = String))), OfAgent, OfCondition)
)]
pub(crate) async fn set_thermal(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    answer_tagged(&uri, aim(&app, request).await, |thermal| thermal.target_set)
}

async fn aim(app: &App, request: Request) -> Result<Thermal, Refusal> {
    let (who, headers) = (who(app, request.extensions()), request.headers().clone());
    let ThermalSettings { target } = read(request, SETTINGS).await?;
    let _turn = app.changing.thermal.lock().await;
    let now = async { Ok(agent::thermal(&app.bus).await?.target_set) };
    conditions::unchanged(&headers, now).await?;
    let thermal = agent::set_target(&app.bus, target)
        .await
        .map_err(|error| match error {
            AgentError::Refused(detail) => Refusal::new(Kind::Unacceptable, format!("target: {detail}")),
            error => error.into(),
        })?;
    match target {
        Some(target) => tracing::info!(who, "thermal target set to {target} by {who}"),
        None => tracing::info!(who, "thermal target reset to the firmware profile's by {who}"),
    }
    Ok(thermal)
}
