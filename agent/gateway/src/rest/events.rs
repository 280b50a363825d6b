//! `GET /api/v1/events`: what happens, as it happens.

use crate::{app::App, feed};
use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{
        broadcast::{Receiver, error::RecvError},
        mpsc::{Sender, channel},
    },
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

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
pub(crate) async fn events(State(app): State<Arc<App>>) -> Response {
    let (lines, body) = channel(1);
    tokio::spawn(relay(feed::listen(&app), lines, app.stopping.clone()));
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    (kind, Body::new(super::Lines(body))).into_response()
}

/// Passes events on until the client hangs up or the gateway ends. A client that is slow misses some.
async fn relay(mut events: Receiver<Bytes>, lines: Sender<Bytes>, stopping: CancellationToken) {
    let mut alive = interval(KEEP_ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let line = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => event,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            },
            _ = alive.tick() => Bytes::from_static(b": keep-alive\n\n"),
            () = lines.closed() => return,
            () = stopping.cancelled() => return,
        };
        if lines.send(line).await.is_err() {
            return;
        }
    }
}
