//! Why a request is not answered, told in the shape of the interface that was asked: OpenAI's under `/v1`, RFC 9457
//! problem details elsewhere.

use api::{openai::ErrorBody, rest::Problem};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::time::Duration;

/// A kind of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request is not understood.
    Invalid,
    /// No valid token came with the request.
    Unauthenticated,
    /// The token's role does not allow it.
    Forbidden,
    /// A browser has sent it by itself, for a page from elsewhere.
    CrossSite,
    /// It is answered by TLS only.
    Unencrypted,
    /// There is nothing under this path.
    NotFound,
    /// The path has no such method.
    WrongMethod,
    /// It is not any more what it was when the client read it.
    Changed,
    /// The body did not arrive in time.
    BodyTimeout,
    /// It cannot be done in the present state.
    Conflict,
    /// The body is too large.
    TooLarge,
    /// A value in it cannot be.
    Unacceptable,
    /// Too many failed attempts.
    TooMany,
    /// Too many requests.
    TooOften,
    /// The gateway itself failed.
    Internal,
    /// hearthd does not answer.
    AgentUnavailable,
    /// hearthd could not do it.
    AgentFailed,
    /// The disk has not enough room.
    NoSpace,
    /// hearth-setup does not take requests.
    SetupUnavailable,
    /// hearth-setup ended before its answer.
    SetupLost,
    /// The import service does not take requests.
    ImportUnavailable,
    /// The import service ended before its last word.
    ImportLost,
    /// The engine is held stopped until the machine has cooled down.
    TooHot,
    /// An administrator holds the engine stopped.
    EngineHeld,
    /// The engine ended while it worked on the request.
    EngineLost,
    /// The engine does not take requests.
    EngineUnavailable,
    /// The engine did not answer in time.
    EngineTimeout,
}

impl Kind {
    /// Status, the slug of the problem, its title, OpenAI's `type` and OpenAI's `code`.
    #[rustfmt::skip] // A table reads by its rows.
    fn words(self) -> (StatusCode, &'static str, &'static str, &'static str, &'static str) {
        use StatusCode as S;
        const REQUEST: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        match self {
            Self::Invalid => (S::BAD_REQUEST, "invalid-request", "Invalid request", REQUEST, "invalid_request"),
            Self::Unauthenticated => (S::UNAUTHORIZED, "unauthenticated", "No valid token", "authentication_error", "invalid_api_key"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "Role not sufficient", "permission_error", "insufficient_permissions"),
            Self::CrossSite => (S::FORBIDDEN, "cross-site", "Request from elsewhere", "permission_error", "cross_site"),
            Self::Unencrypted => (S::FORBIDDEN, "unencrypted", "Use https", "permission_error", "unencrypted"),
            Self::NotFound => (S::NOT_FOUND, "not-found", "Not found", REQUEST, "unknown_url"),
            Self::WrongMethod => (S::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", REQUEST, "method_not_allowed"),
            Self::Changed => (S::PRECONDITION_FAILED, "changed", "Changed meanwhile", REQUEST, "precondition_failed"),
            Self::BodyTimeout => (S::REQUEST_TIMEOUT, "body-timeout", "Request body too slow", REQUEST, "request_timeout"),
            Self::Conflict => (S::CONFLICT, "conflict", "Not possible now", REQUEST, "conflict"),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too-large", "Request body too large", REQUEST, "request_too_large"),
            Self::Unacceptable => (S::UNPROCESSABLE_ENTITY, "unacceptable-value", "Value not acceptable", REQUEST, "unacceptable_value"),
            Self::TooMany => (S::TOO_MANY_REQUESTS, "too-many-attempts", "Too many failed attempts", "rate_limit_error", "rate_limit_exceeded"),
            Self::TooOften => (S::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", "rate_limit_error", "rate_limit_exceeded"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "Internal error", SERVER, "internal_error"),
            Self::AgentUnavailable => (S::SERVICE_UNAVAILABLE, "agent-unavailable", "No agent", SERVER, "agent_unavailable"),
            Self::AgentFailed => (S::BAD_GATEWAY, "agent-failed", "It could not be done", SERVER, "agent_failed"),
            Self::NoSpace => (S::INSUFFICIENT_STORAGE, "no-space", "Not enough room", SERVER, "no_space"),
            Self::SetupUnavailable => (S::SERVICE_UNAVAILABLE, "setup-unavailable", "No setup service", SERVER, "setup_unavailable"),
            Self::SetupLost => (S::BAD_GATEWAY, "setup-lost", "The setup service ended", SERVER, "setup_lost"),
            Self::ImportUnavailable => (S::SERVICE_UNAVAILABLE, "import-unavailable", "No import service", SERVER, "import_unavailable"),
            Self::ImportLost => (S::BAD_GATEWAY, "import-lost", "The import service ended", SERVER, "import_lost"),
            Self::TooHot => (S::SERVICE_UNAVAILABLE, "too-hot", "Stopped until it is cooler", SERVER, "engine_too_hot"),
            Self::EngineHeld => (S::SERVICE_UNAVAILABLE, "engine-held", "Stopped by an administrator", SERVER, "engine_held"),
            Self::EngineLost => (S::BAD_GATEWAY, "engine-lost", "The engine ended", SERVER, "engine_lost"),
            Self::EngineUnavailable => (S::SERVICE_UNAVAILABLE, "engine-unavailable", "No engine", SERVER, "engine_unavailable"),
            Self::EngineTimeout => (S::GATEWAY_TIMEOUT, "engine-timeout", "The engine is too slow", SERVER, "engine_timeout"),
        }
    }

    /// Its status.
    pub(crate) fn status(self) -> StatusCode {
        self.words().0
    }

    /// Its title.
    pub(crate) fn title(self) -> &'static str {
        self.words().2
    }

    /// OpenAI's body for this kind.
    pub(crate) fn openai(self, detail: impl Into<String>) -> ErrorBody {
        let (_, _, _, kind, code) = self.words();
        ErrorBody::new(kind, Some(code), None, detail)
    }
}

/// A refusal: its kind, what happened, and when to try again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Refusal {
    /// What kind it is.
    pub(crate) kind: Kind,
    /// What happened this time, and the way out.
    pub(crate) detail: String,
    /// When it makes sense to try again.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the journal has a line of what was asked for.
    pub(crate) announced: bool,
}

/// In a response: the journal has a line of what was asked for, so that it counts as a change also where it was refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced;

impl Refusal {
    /// One that says nothing of trying again.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            retry_after: None,
            announced: false,
        }
    }

    /// Of a request by cookie that no page of ours has sent.
    pub(crate) fn cross_site() -> Self {
        Self::new(
            Kind::CrossSite,
            "a request by cookie that changes something must carry \"X-Hearth-Request: 1\" and come from a page of this host",
        )
    }

    /// Says when to try again.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// Says that the journal has a line of what was asked for.
    pub(crate) fn announced(self) -> Self {
        Self {
            announced: true,
            ..self
        }
    }

    /// The details of the problem, RFC 9457.
    pub(crate) fn problem(self) -> Problem {
        let (status, slug, title, ..) = self.kind.words();
        Problem {
            kind: format!("/problems/{slug}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail,
        }
    }

    /// The response to a request for a path.
    pub(crate) fn response(self, path: &str) -> Response {
        let (kind, retry_after, announced) = (self.kind, self.retry_after, self.announced);
        let (status, ..) = kind.words();
        let body = if path == "/v1" || path.starts_with("/v1/") {
            (status, Json(kind.openai(self.detail))).into_response()
        } else {
            let of_problem = [(header::CONTENT_TYPE, "application/problem+json")];
            (status, of_problem, Json(self.problem())).into_response()
        };
        let mut response = with_hints(body, kind, retry_after);
        if announced {
            response.extensions_mut().insert(Announced);
        }
        response
    }
}

fn with_hints(mut response: Response, kind: Kind, retry_after: Option<Duration>) -> Response {
    let headers = response.headers_mut();
    if let Some(wait) = retry_after {
        headers.insert(
            header::RETRY_AFTER,
            HeaderValue::from(wait.as_secs_f64().ceil() as u64),
        );
    }
    if kind == Kind::Unauthenticated {
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"Hearth\""),
        );
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_follows_the_path() {
        let kind = |path| {
            let response = Refusal::new(Kind::TooLarge, "no").response(path);
            assert_eq!(response.status(), 413);
            response.headers()[header::CONTENT_TYPE].clone()
        };
        assert_eq!(kind("/v1/models"), "application/json");
        assert_eq!(kind("/api/v1/tokens"), "application/problem+json");
        assert_eq!(kind("/v1x"), "application/problem+json");
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_too_short() {
        let refusal = Refusal::new(Kind::TooMany, "wait").retry_after(Duration::from_millis(1200));
        assert_eq!(refusal.response("/v1/models").headers()[header::RETRY_AFTER], "2");
    }
}
