//! `GET /api/v1/events`: what happens, as it happens.

use super::{
    Lines,
    listener::{Heard, Listener},
};
use crate::{app::App, feed};
use axum::{
    body::Body,
    extract::State,
    http::{Extensions, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    mpsc::channel,
};

/// One event of a stream, as the document has it: a client's library takes the lines apart.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is told in the document alone")]
pub(crate) struct ServerSentEvent {
    /// What it is about; `message` where nothing is said.
    #[schema(required = false)]
    event: String,
    /// What happened, in JSON.
    data: String,
}

/// Server-sent events: `sample` each second (a [`api::samples::Row`]), `engine` when it changes and each second while it
/// works, `job` as jobs go on, `models` when the list of models has changed, and `alert`.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "machine",
    responses((status = 200, description = "A stream that ends when the client hangs up", body = ServerSentEvent, content_type = "text/event-stream"))
)]
pub(crate) async fn events(State(app): State<Arc<App>>, uri: Uri, extensions: Extensions) -> Response {
    let (lines, body) = channel(1);
    match Listener::new(&app, &extensions, lines) {
        Ok(listener) => drop(tokio::spawn(relay(listener, feed::listen(&app)))),
        Err(refusal) => return refusal.response(uri.path()),
    }
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    (kind, Body::new(Lines(body))).into_response()
}

/// Passes events on. A client that is slow misses some.
async fn relay(mut listener: Listener, mut events: Receiver<Bytes>) {
    while let Some(heard) = listener.hear(events.recv()).await {
        let line = match heard {
            Heard::Said(Ok(event)) => event,
            Heard::Said(Err(RecvError::Lagged(_))) => continue,
            Heard::Said(Err(RecvError::Closed)) => return,
            Heard::Nothing => Bytes::from_static(b": keep-alive\n\n"),
        };
        if !listener.say(line).await {
            return;
        }
    }
}
