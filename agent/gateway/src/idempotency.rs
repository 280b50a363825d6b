//! `Idempotency-Key`: a request that is sent again because its answer was lost is answered again, and not done again. See
//! the IETF's draft "The Idempotency-Key HTTP Header Field".

use crate::{
    app::App,
    caller::Pass,
    intake::Intake,
    refusal::{Kind, Refusal},
    rest::LARGEST_BODY,
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
use sha2::{Digest, Sha256};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The header.
const KEY: &str = "idempotency-key";
/// The longest key, in characters.
const LONGEST: usize = 128;
/// Requests that are remembered; beyond it the oldest is forgotten that has been answered.
const REMEMBERED: usize = 256;
/// And those of one who asks: nobody has the others' forgotten.
const OF_ONE: usize = 32;
/// How long one is remembered: for whoever comes back from a lost connection, not for who uses the same key each night.
const LIFETIME: Duration = Duration::from_secs(3600);
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

/// What a request is remembered by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    actor: String,
    path: String,
    key: String,
}

#[derive(Debug)]
struct Known {
    name: Name,
    /// SHA-256 of the body.
    body: [u8; 32],
    begun: Instant,
    /// `None`: it is being answered.
    told: Option<Told>,
}

/// Requests with a key, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<VecDeque<Known>>);

impl Answers {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was answered before; nothing if it falls to the caller to answer.
    fn begin(&self, name: &Name, body: [u8; 32], now: Instant) -> Result<Option<Told>, Refusal> {
        let mut all = self.lock();
        all.retain(|known| known.told.is_none() || now < known.begun + LIFETIME);
        if let Some(known) = all.iter().find(|known| known.name == *name) {
            return known.answer(body);
        }
        make_room(&mut all, &name.actor)?;
        all.push_back(Known {
            name: name.clone(),
            body,
            begun: now,
            told: None,
        });
        Ok(None)
    }

    /// Remembers what was answered; nothing: it may be tried again.
    fn end(&self, name: &Name, told: Option<Told>) {
        let mut all = self.lock();
        let Some(place) = all.iter().position(|known| known.name == *name) else {
            return;
        };
        match told {
            Some(told) => all[place].told = Some(told),
            None => drop(all.remove(place)),
        }
    }
}

impl Known {
    fn answer(&self, body: [u8; 32]) -> Result<Option<Told>, Refusal> {
        if self.body != body {
            let detail =
                "this Idempotency-Key was sent with another body before; another request wants another key";
            return Err(Refusal::new(Kind::Unacceptable, detail));
        }
        let detail = "a request with this Idempotency-Key is being answered";
        let told = self.told.clone();
        told.map(Some).ok_or_else(|| Refusal::new(Kind::Conflict, detail))
    }
}

/// Forgets the oldest of one who has as many as one may have, or the oldest of all; never one that is being answered.
fn make_room(all: &mut VecDeque<Known>, actor: &str) -> Result<(), Refusal> {
    let of_one = |known: &&Known| known.name.actor == actor;
    let oldest = if all.iter().filter(of_one).count() >= OF_ONE {
        all.iter()
            .position(|known| of_one(&known) && known.told.is_some())
    } else if all.len() >= REMEMBERED {
        all.iter().position(|known| known.told.is_some())
    } else {
        return Ok(());
    };
    let detail = "as many requests with an Idempotency-Key are being answered as may at once";
    let oldest = oldest.ok_or_else(|| Refusal::new(Kind::Conflict, detail))?;
    all.remove(oldest);
    Ok(())
}

/// A request that is being answered. If it is not answered well, it may be tried again.
struct Turn {
    app: Arc<App>,
    name: Name,
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

/// A request that is begun is done to its end, whether or not its client waits for it: that is what it comes back for.
async fn answer(app: Arc<App>, name: Name, request: Request, next: Next) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let body = Intake::new(body, LARGEST_BODY)?.read_whole().await?;
    if let Some(told) = app
        .answers
        .begin(&name, Sha256::digest(&body).into(), Instant::now())?
    {
        return Ok(again(told));
    }
    let turn = Turn {
        app,
        name,
        told: None,
    };
    let request = Request::from_parts(parts, Body::from(body));
    let done = tokio::spawn(carry_out(turn, request, next)).await;
    done.map_err(|error| {
        Refusal::new(
            Kind::Internal,
            format!("the request was not carried out: {error}"),
        )
    })?
}

async fn carry_out(mut turn: Turn, request: Request, next: Next) -> Result<Response, Refusal> {
    let response = next.run(request).await;
    let size = response.body().size_hint().exact();
    if !response.status().is_success() || size.is_none_or(|size| size > LARGEST) {
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
fn name(request: &Request) -> Result<Option<Name>, Refusal> {
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
    let pass = request.extensions().get::<Pass>();
    Ok(Some(Name {
        actor: pass.map(|pass| pass.actor.to_string()).unwrap_or_default(),
        path: path.to_owned(),
        key: key.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(actor: &str, key: usize) -> Name {
        Name {
            actor: actor.to_owned(),
            path: "/p".to_owned(),
            key: key.to_string(),
        }
    }

    fn told() -> Told {
        Told {
            status: StatusCode::ACCEPTED,
            location: None,
            kind: None,
            body: Bytes::new(),
        }
    }

    const BODY: [u8; 32] = [1; 32];

    #[test]
    fn another_body_is_another_request() {
        let (answers, now, name) = (Answers::default(), Instant::now(), name("a", 0));
        assert!(answers.begin(&name, BODY, now).unwrap().is_none());
        let kind = |body| answers.begin(&name, body, now).unwrap_err().kind;
        assert_eq!((kind(BODY), kind([2; 32])), (Kind::Conflict, Kind::Unacceptable));
        answers.end(&name, Some(told()));
        assert!(answers.begin(&name, BODY, now).unwrap().is_some());
        assert_eq!(
            answers.begin(&name, [2; 32], now).unwrap_err().kind,
            Kind::Unacceptable
        );
        assert!(
            answers.begin(&name, [2; 32], now + LIFETIME).unwrap().is_none(),
            "it is over"
        );
    }

    #[test]
    fn nobody_has_what_others_asked_forgotten_nor_what_is_being_answered() {
        let (answers, now) = (Answers::default(), Instant::now());
        let (running, done) = (name("admin", 0), name("admin", 1));
        assert!(answers.begin(&running, BODY, now).unwrap().is_none());
        assert!(answers.begin(&done, BODY, now).unwrap().is_none());
        answers.end(&done, Some(told()));
        for key in 0..2 * REMEMBERED {
            let name = name("chat", key);
            assert!(answers.begin(&name, BODY, now).unwrap().is_none());
            answers.end(&name, Some(told()));
        }
        assert!(answers.begin(&done, BODY, now).unwrap().is_some());
        assert_eq!(
            answers.begin(&running, BODY, now).unwrap_err().kind,
            Kind::Conflict
        );
        for key in 0..OF_ONE {
            assert!(answers.begin(&name("busy", key), BODY, now).unwrap().is_none());
        }
        let beyond = answers.begin(&name("busy", OF_ONE), BODY, now).unwrap_err();
        assert_eq!(beyond.kind, Kind::Conflict);
    }
}
