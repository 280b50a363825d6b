//! The management interface, `/api/v1`. Handlers only translate.

pub(crate) mod clock;
pub(crate) mod docs;
pub(crate) mod engine;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod jobs;
mod listener;
pub(crate) mod logs;
pub(crate) mod memory;
pub(crate) mod metrics;
pub(crate) mod models;
pub(crate) mod network;
mod page;
pub(crate) mod power;
pub(crate) mod samples;
pub(crate) mod session;
pub(crate) mod status;
pub(crate) mod system;
pub(crate) mod thermal;
pub(crate) mod tls;
pub(crate) mod tokens;
pub(crate) mod uploads;

pub(crate) use health::HealthCache;

use crate::{
    agent::AgentError,
    conditions,
    intake::Intake,
    refusal::{Kind, Refusal},
};
use axum::{
    Json,
    extract::Request,
    http::Uri,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::mpsc::Receiver;

/// A line, or why there are no more: the body breaks off there, for one that ends in order is a whole one.
type Said = Result<Bytes, io::Error>;

/// A body of lines.
struct Lines(Receiver<Said>);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let line = self.0.poll_recv(cx);
        line.map(|line| line.map(|line| line.map(Frame::data)))
    }
}

/// The largest body that is read.
pub(crate) const LARGEST_BODY: u64 = 16 << 10;

/// An outcome as the answer to a request for this address.
fn answer<T: Serialize>(uri: &Uri, outcome: Result<T, impl Into<Refusal>>) -> Response {
    match outcome {
        Ok(found) => Json(found).into_response(),
        Err(error) => error.into().response(uri.path()),
    }
}

/// The same, with the tag of what of it can be changed.
fn answer_tagged<T: Serialize, S: Serialize>(
    uri: &Uri,
    outcome: Result<T, impl Into<Refusal>>,
    state: impl FnOnce(&T) -> S,
) -> Response {
    let tagged = outcome.map_err(Into::into).and_then(|found| {
        let tag = conditions::tag(&state(&found))?;
        Ok((conditions::tagged(&tag), Json(found)))
    });
    tagged.map_or_else(
        |refusal: Refusal| refusal.response(uri.path()),
        IntoResponse::into_response,
    )
}

/// A body of JSON, of the shape that is wanted. What is no JSON is told from a value that cannot be, by its field.
async fn read<T: DeserializeOwned>(request: Request, wanted: &str) -> Result<T, Refusal> {
    read_at_most(request, LARGEST_BODY, wanted).await
}

/// The same of a body that may have so many bytes.
async fn read_at_most<T: DeserializeOwned>(request: Request, most: u64, wanted: &str) -> Result<T, Refusal> {
    let body = Intake::new(request.into_body(), most)?.read_whole().await?;
    let json = &mut serde_json::Deserializer::from_slice(&body);
    let found = serde_path_to_error::deserialize(&mut *json).map_err(|error| {
        let kind = if error.inner().is_data() {
            Kind::Unacceptable
        } else {
            Kind::Invalid
        };
        Refusal::new(
            kind,
            format!("the body is not understood: {error}; wanted is {wanted}"),
        )
    })?;
    let rest = json.end();
    rest.map_err(|error| Refusal::new(Kind::Invalid, format!("the body is not understood: {error}")))?;
    Ok(found)
}

impl From<AgentError> for Refusal {
    fn from(error: AgentError) -> Self {
        let kind = match error {
            AgentError::Refused(_) => Kind::Unacceptable,
            AgentError::HoldGone(_) => Kind::Conflict,
            AgentError::Failed(_) => Kind::AgentFailed,
            AgentError::NoBus | AgentError::Bus(_) | AgentError::Timeout(_) | AgentError::Answer(_) => {
                Kind::AgentUnavailable
            }
        };
        Self::new(kind, error.to_string())
    }
}
