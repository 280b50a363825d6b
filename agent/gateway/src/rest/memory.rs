//! `/api/v1/memory`: who holds memory.

use super::answer;
use crate::{agent, app::App, openapi::OfAgent};
use api::memory::MemoryUse;
use axum::{extract::State, http::Uri, response::Response};
use std::sync::Arc;

/// Used memory, its parts, every unit's share, and what is done about it.
#[utoipa::path(
    get,
    path = "/api/v1/memory",
    tag = "machine",
    responses((status = 200, description = "Who holds memory", body = MemoryUse), OfAgent)
)]
pub(crate) async fn memory(State(app): State<Arc<App>>, uri: Uri) -> Response {
    answer(&uri, agent::memory(&app.bus).await)
}
