//! `/api/v1/memory`: who holds memory.

use super::answer;
use crate::{agent, app::App};
use axum::{extract::State, http::Uri, response::Response};
use std::sync::Arc;

/// Used memory, its parts, every unit's share, and what is done about it.
pub(crate) async fn memory(State(app): State<Arc<App>>, uri: Uri) -> Response {
    answer(&uri, agent::memory(&app.bus).await)
}
