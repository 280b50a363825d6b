//! `GET /api/v1/events`: what happens, as it happens.

use crate::{app::App, caller::Pass, feed};
use axum::{
    body::Body,
    extract::State,
    http::{Extensions, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{
        broadcast::error::RecvError,
        mpsc::{Sender, channel},
    },
    time::{MissedTickBehavior, interval},
};

/// How often something is said, so that whoever listens knows that the line is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Server-sent events: `sample` each second (a [`api::samples::Row`]), `engine` when it changes and each second while it
/// works, `job` as jobs go on, `models` when the list of models has changed, and `alert`.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "machine",
    responses((status = 200, description = "A stream that ends when the client hangs up", body = String, content_type = "text/event-stream"))
)]
pub(crate) async fn events(State(app): State<Arc<App>>, extensions: Extensions) -> Response {
    let (lines, body) = channel(1);
    let token = extensions
        .get::<Pass>()
        .and_then(|pass| pass.actor.token().map(str::to_owned));
    tokio::spawn(relay(app, token, lines));
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    (kind, Body::new(super::Lines(body))).into_response()
}

/// Passes events on until the client hangs up, its token is revoked, or the gateway ends. A client that is slow misses
/// some.
async fn relay(app: Arc<App>, token: Option<String>, lines: Sender<Bytes>) {
    let mut events = feed::listen(&app);
    let is_valid = || {
        let known = |id: &String| app.book.list().iter().any(|token| token.id == *id);
        token.as_ref().is_none_or(known)
    };
    let mut alive = interval(KEEP_ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let line = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => event,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            },
            _ = alive.tick() => {
                if !is_valid() {
                    return;
                }
                Bytes::from_static(b": keep-alive\n\n")
            }
            () = lines.closed() => return,
            () = app.stopping.cancelled() => return,
        };
        if lines.send(line).await.is_err() {
            return;
        }
    }
}
