//! Errors in OpenAI's shape.

use api::openai::ErrorBody;
use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::error::RequestError;

/// When a client may try again, in seconds, after being told that the engine is busy.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// What is told of a model that has ended the engine time and again.
const QUARANTINED: &str = "model_quarantined";

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) body: ErrorBody,
}

impl Refusal {
    /// The request is wrong; `param` is the field at fault.
    pub(crate) fn invalid(param: Option<&str>, message: impl Into<String>) -> Self {
        let body = ErrorBody::new("invalid_request_error", None, param, message);
        Self {
            status: StatusCode::BAD_REQUEST,
            body,
        }
    }

    /// The request is wrong in a way that has a status or a code of its own.
    pub(crate) fn special(
        status: StatusCode,
        code: &str,
        param: Option<&str>,
        message: impl Into<String>,
    ) -> Self {
        let kind = if status.is_server_error() {
            "server_error"
        } else {
            "invalid_request_error"
        };
        Self {
            status,
            body: ErrorBody::new(kind, Some(code), param, message),
        }
    }

    /// There is no memory for a further answer.
    pub(crate) fn overloaded() -> Self {
        Self::special(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            None,
            "memory is short on this machine: nothing new is answered until others have given some back",
        )
    }

    /// A model has ended the engine time and again.
    pub(crate) fn quarantined(model: &str, fallback: Option<&str>) -> Self {
        let instead = match fallback {
            Some(fallback) => format!("`{fallback}` answers"),
            None => "another may answer".to_owned(),
        };
        Self::special(
            StatusCode::SERVICE_UNAVAILABLE,
            QUARANTINED,
            Some("model"),
            format!(
                "the model `{model}` has ended the engine time and again and is not loaded; \"hearth status\" shows why. \
                 {instead}; \"hearth model release {model}\" has it loaded again"
            ),
        )
    }

    /// The model's thread is gone.
    pub(crate) fn engine_ended() -> Self {
        Self::special(
            StatusCode::INTERNAL_SERVER_ERROR,
            "engine_ended",
            None,
            "the engine ended before the answer",
        )
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let (status, code, param) = match &error {
            RequestError::QueueFull { .. } => (StatusCode::SERVICE_UNAVAILABLE, "engine_busy", None),
            RequestError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "engine_stopping", None),
            RequestError::NoSuchModel(_) => (StatusCode::NOT_FOUND, "model_not_found", Some("model")),
            RequestError::Load { .. } => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "model_load_failed",
                Some("model"),
            ),
            RequestError::Template(_) => (StatusCode::BAD_REQUEST, "template_refused", Some("messages")),
            RequestError::Tokenize(_) => (StatusCode::BAD_REQUEST, "not_tokenisable", Some("messages")),
            RequestError::ContextLength { .. } => (
                StatusCode::BAD_REQUEST,
                "context_length_exceeded",
                Some("messages"),
            ),
            RequestError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "engine_failed", None),
        };
        Self::special(status, code, param, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // Where somebody must do something first, time does not help.
        let passes = self.body.error.code.as_deref() != Some(QUARANTINED);
        let mut response = (self.status, Json(self.body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE && passes {
            response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
        }
        response
    }
}
