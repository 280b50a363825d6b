//! Models that the engine does not load, because it failed with them.

use super::answer;
use super::power::who;
use crate::{
    agent::{self, AgentError},
    app::App,
    refusal::{Kind, Refusal},
};
use api::engine::Engine;
use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{Extensions, Uri},
    response::Response,
};
use std::sync::Arc;

/// Lets a quarantined model be loaded again.
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
    extensions: Extensions,
) -> Response {
    answer(&uri, free(&app, name, &extensions).await)
}

async fn free(
    app: &App,
    name: Result<Path<String>, PathRejection>,
    extensions: &Extensions,
) -> Result<Engine, Refusal> {
    let Path(name) = name.map_err(|error| Refusal::new(Kind::Invalid, error.body_text()))?;
    let engine = agent::release_model(&app.bus, &name)
        .await
        .map_err(|error| match error {
            // Of a release only the name can be wrong.
            AgentError::Refused(detail) => Refusal::new(Kind::NotFound, detail),
            error => error.into(),
        })?;
    let who = who(app, extensions);
    tracing::info!(
        who,
        model = name,
        "model {name} released from quarantine by {who}"
    );
    Ok(engine)
}
