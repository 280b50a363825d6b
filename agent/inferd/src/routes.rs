//! The routes. Handlers only translate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::openai::{Model, ModelList};
use api::rest::{Condition, EngineStatus};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use engine::engine::Engine;
use engine::request::{Answer, Request};
use http_body_util::LengthLimitError;
use tokio::time::timeout;

use crate::admission::{Admission, Admitted};
use crate::apart::apart;
use crate::chat;
use crate::life::KeepAlive;
use crate::log::RequestLine;
use crate::refusal::Refusal;
use crate::reply::{self, Heading};

/// Longest body of a request, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;
/// How long a client may take to send its body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// All routes.
pub(crate) fn router(engine: Engine, admission: Admission) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat_completions))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Service { engine, admission })
}

/// What handlers speak to.
#[derive(Clone)]
struct Service {
    engine: Engine,
    admission: Admission,
}

async fn health(State(Service { engine, .. }): State<Service>) -> Json<EngineStatus> {
    let activity = engine.activity().borrow().clone();
    Json(EngineStatus {
        status: Condition::Ok,
        model: activity.model.map(|model| model.name.as_ref().to_owned()),
        queued: activity.queued as u32,
        active: activity.active as u32,
    })
}

async fn models(State(Service { engine, .. }): State<Service>) -> Json<ModelList> {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let model = |entry: engine::catalog::Entry| Model {
        id: entry.id,
        object: "model".to_owned(),
        created: entry.written.map_or(0, seconds),
        owned_by: "hearth".to_owned(),
    };
    let data = apart(move || engine.models()).await;
    let data = data.into_iter().map(model).collect();
    Json(ModelList {
        object: "list".to_owned(),
        data,
    })
}

async fn chat_completions(State(service): State<Service>, body: Body) -> Result<Response, Refusal> {
    let request = chat::parse(&read(body).await?)?;
    let (id, seed) = (random()?, random()?);
    let (engine_request, keep_alive) = (chat::to_engine(&request, seed)?, chat::keep_alive(&request)?);
    let created = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let heading = Heading {
        id: format!("chatcmpl-{id:016x}"),
        created,
        model: request.model.clone(),
    };
    let (answer, admitted) = service.answer(engine_request, keep_alive).await?;
    let line = RequestLine::new(&heading.id, &request.model, request.stream, admitted);
    if request.stream {
        let include_usage = request
            .stream_options
            .is_some_and(|options| options.include_usage);
        reply::streamed(heading, answer, line, include_usage).await
    } else {
        reply::whole(heading, answer, line).await
    }
}

impl Service {
    /// Has a request answered. An empty conversation with no stay at all is the wish to let the model go, and takes none.
    async fn answer(
        &self,
        request: Request,
        keep_alive: Option<KeepAlive>,
    ) -> Result<(Answer, Option<Admitted>), Refusal> {
        if request.messages.is_empty() && keep_alive == Some(KeepAlive::For(Duration::ZERO)) {
            self.admission.unload(&request.model).await?;
            return Ok((Answer::nothing(), None));
        }
        let admitted = self.admission.admit(&request.model, keep_alive).await?;
        let context = admitted.context;
        let answer = self.engine.submit(Request { context, ..request });
        Ok((answer, Some(admitted)))
    }
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    let late = |_| {
        Refusal::special(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            None,
            "the body did not come in time",
        )
    };
    timeout(BODY_TIME, to_bytes(body, MAX_BODY_BYTES))
        .await
        .map_err(late)?
        .map_err(|error| {
            if std::error::Error::source(&error).is_some_and(|source| source.is::<LengthLimitError>()) {
                let message = format!("the body is longer than {MAX_BODY_BYTES} bytes");
                return Refusal::special(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", None, message);
            }
            Refusal::invalid(None, format!("the body cannot be read: {error}"))
        })
}

fn random() -> Result<u64, Refusal> {
    getrandom::u64().map_err(|error| {
        let message = format!("no random number can be had: {error}");
        Refusal::special(StatusCode::INTERNAL_SERVER_ERROR, "no_randomness", None, message)
    })
}

async fn no_such_route(uri: Uri) -> Refusal {
    let message = format!("there is nothing at {}", uri.path());
    Refusal::special(StatusCode::NOT_FOUND, "not_found", None, message)
}

async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    let message = format!("{} does not take {method}", uri.path());
    Refusal::special(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        None,
        message,
    )
}

#[cfg(test)]
mod tests;
