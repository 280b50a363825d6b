//! `Idempotency-Key`: a request that is sent again because its answer was lost is answered again, and not done again. See
//! the IETF's draft "The Idempotency-Key HTTP Header Field".

use crate::{
    app::App,
    caller::Pass,
    refusal::{Kind, Refusal},
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The header.
const KEY: &str = "idempotency-key";
/// The longest key, in characters.
const LONGEST: usize = 128;
/// Answers that are remembered; beyond it the oldest is forgotten.
const REMEMBERED: usize = 128;
/// The largest answer that is remembered, in bytes. Streams are none.
const LARGEST: u64 = 16 << 10;

/// What was answered.
#[derive(Clone, Debug)]
struct Told {
    status: StatusCode,
    location: Option<HeaderValue>,
    kind: Option<HeaderValue>,
    body: Bytes,
}

/// Requests by who sent them, where to, and their keys. `None`: it is being answered.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<VecDeque<(String, Option<Told>)>>);

impl Answers {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(String, Option<Told>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was answered before; nothing if it falls to the caller to answer.
    fn begin(&self, name: &str) -> Result<Option<Told>, Refusal> {
        let mut answers = self.lock();
        match answers.iter().find(|(known, _)| known == name) {
            Some((_, Some(told))) => return Ok(Some(told.clone())),
            Some((_, None)) => {
                let detail = "a request with this Idempotency-Key is being answered";
                return Err(Refusal::new(Kind::Conflict, detail));
            }
            None => {}
        }
        if answers.len() >= REMEMBERED {
            answers.pop_front();
        }
        answers.push_back((name.to_owned(), None));
        Ok(None)
    }

    /// Remembers what was answered; nothing: it may be tried again.
    fn end(&self, name: &str, told: Option<Told>) {
        let mut answers = self.lock();
        let Some(place) = answers.iter().position(|(known, _)| known == name) else {
            return;
        };
        match told {
            Some(told) => answers[place].1 = Some(told),
            None => drop(answers.remove(place)),
        }
    }
}

/// A request that is being answered. If its client goes meanwhile, it may be tried again.
struct Turn {
    app: Arc<App>,
    name: String,
    told: Option<Told>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.app.answers.end(&self.name, self.told.take());
    }
}

/// Answers a request with a key once, and again with the same answer. It stands behind the gate that tells who asks.
pub(crate) async fn once(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    match name(&request) {
        Ok(None) => next.run(request).await,
        Ok(Some(name)) => answer(app, name, request, next)
            .await
            .unwrap_or_else(|refusal| refusal.response(&path)),
        Err(refusal) => refusal.response(&path),
    }
}

async fn answer(app: Arc<App>, name: String, request: Request, next: Next) -> Result<Response, Refusal> {
    if let Some(told) = app.answers.begin(&name)? {
        return Ok(again(told));
    }
    let mut turn = Turn {
        app,
        name,
        told: None,
    };
    let response = next.run(request).await;
    let is_short = response
        .body()
        .size_hint()
        .exact()
        .is_some_and(|size| size <= LARGEST);
    if !response.status().is_success() || !is_short {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let collected = body.collect().await;
    let body = collected
        .map_err(|error| Refusal::new(Kind::Internal, error.to_string()))?
        .to_bytes();
    turn.told = Some(Told {
        status: parts.status,
        location: parts.headers.get(header::LOCATION).cloned(),
        kind: parts.headers.get(header::CONTENT_TYPE).cloned(),
        body: body.clone(),
    });
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn again(told: Told) -> Response {
    let mut headers = HeaderMap::new();
    let kept = [
        (header::LOCATION, told.location),
        (header::CONTENT_TYPE, told.kind),
    ];
    for (name, value) in kept {
        value.map(|value| headers.insert(name, value));
    }
    (told.status, headers, told.body).into_response()
}

/// What a request is remembered by: who sends it, where to, and its key. Of one that makes a token nothing is remembered,
/// for its answer has the token's text.
fn name(request: &Request) -> Result<Option<String>, Refusal> {
    let path = request.uri().path();
    let Some(key) = request.headers().get(KEY) else {
        return Ok(None);
    };
    if request.method() != Method::POST || path.ends_with("/tokens") {
        return Ok(None);
    }
    let key = key.to_str().ok().filter(|key| (1..=LONGEST).contains(&key.len()));
    let key = key.ok_or_else(|| {
        let detail = format!("Idempotency-Key: 1 to {LONGEST} printable characters are wanted");
        Refusal::new(Kind::Invalid, detail)
    })?;
    let actor = request
        .extensions()
        .get::<Pass>()
        .map(|pass| pass.actor.to_string());
    Ok(Some(format!("{} {path} {key}", actor.unwrap_or_default())))
}
