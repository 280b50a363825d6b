//! `GET /api/v1/health`: whether questions can be answered. No token is needed, so it tells and costs little.

use crate::{agent, app::App};
use api::rest::{Condition, Health};
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use std::{fs, os::unix::fs::FileTypeExt, path::Path, sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::Instant};

/// How old an answer may be. Without it anybody on the network could keep the bus busy.
const FRESH: Duration = Duration::from_secs(1);

/// The last answer and when it was found.
#[derive(Debug, Default)]
pub(crate) struct HealthCache(Mutex<Option<(Instant, Health)>>);

impl HealthCache {
    async fn fresh(&self, app: &App) -> Health {
        let mut last = self.0.lock().await;
        if let Some((_, health)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return health.clone();
        }
        let health = find(app).await;
        *last = Some((Instant::now(), health.clone()));
        health
    }
}

/// 200 when every part works, else 503 with the same body.
#[utoipa::path(
    get,
    path = "/api/v1/health",
    tag = "machine",
    responses((status = 200, description = "Every part works", body = Health), (status = 503, description = "Some part does not", body = Health))
)]
pub(crate) async fn health(State(app): State<Arc<App>>) -> impl IntoResponse {
    let health = app.health.fresh(&app).await;
    let status = if health.status == Condition::Ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health))
}

async fn find(app: &App) -> Health {
    let engine = condition(has_socket(app.upstream.socket()));
    let agent = condition(agent::is_there(&app.bus).await.unwrap_or(false));
    Health {
        status: condition(engine == Condition::Ok && agent == Condition::Ok),
        engine,
        agent,
    }
}

/// A connection would have systemd start the engine, so its socket is only looked at. systemd removes it when it
/// stops the socket unit (`RemoveOnStop=yes`), which is how an engine that is held is told from a sleeping one.
fn has_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn condition(works: bool) -> Condition {
    if works {
        Condition::Ok
    } else {
        Condition::Unavailable
    }
}
