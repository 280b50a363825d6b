//! Which path is whose, and which role it needs.

use crate::{
    app::App,
    caller::{Door, Gate, require},
    journal::observe,
    proxy,
    refusal::{Kind, Refusal},
    rest,
};
use api::rest::Role;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
    routing::{delete, get, post, put},
};
use std::sync::Arc;
use time::OffsetDateTime;

const FRONT: &str = "Hearth, a private AI appliance.\n\n\
    /v1          OpenAI's interface: chat with a local model\n\
    /api/v1      management: health, status, power, thermal, memory, tokens, models, engine, tls\n\
    /certificate how to have a browser, Python, Node or VS Code trust this machine\n\n\
    Both want \"Authorization: Bearer hearth_…\"; \"hearth token new\" on the appliance makes one.\n";

/// How long browsers are to come by TLS only, in seconds: half a year. Only those heed it that trust the certificate, so
/// it is sent with the owner's own alone; who goes back to the local authority's would lock the others out.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=15768000");

/// The whole service, as it is answered by TLS and on the local socket.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let behind = |role| {
        from_fn_with_state(
            Gate {
                app: app.clone(),
                role,
            },
            require,
        )
    };
    let passed_on = get(proxy::forward).post(proxy::forward).delete(proxy::forward);
    let engine = Router::new()
        .route("/v1", passed_on.clone())
        .route("/v1/{*rest}", passed_on)
        .route_layer(behind(Role::Chat));
    let reading = Router::new()
        .route("/api/v1/status", get(rest::status))
        .route("/api/v1/power", get(rest::power))
        .route("/api/v1/thermal", get(rest::thermal))
        .route("/api/v1/memory", get(rest::memory))
        .route("/api/v1/engine/limits", get(rest::engine_limits))
        .route("/api/v1/tls", get(rest::tls))
        .route("/api/v1/models", get(rest::models))
        .route_layer(behind(Role::Read));
    let managing = Router::new()
        .route("/api/v1/tokens", get(rest::list).post(rest::create))
        .route(
            "/api/v1/models/{name}",
            put(rest::add_model)
                .patch(rest::set_model)
                .delete(rest::remove_model),
        )
        .route("/api/v1/models/{name}/verify", post(rest::verify_model))
        .route("/api/v1/models/{name}/quarantine", delete(rest::release_model))
        .route("/api/v1/engine/start", post(rest::start_engine))
        .route("/api/v1/engine/stop", post(rest::stop_engine))
        .route("/api/v1/engine/restart", post(rest::restart_engine))
        .route("/api/v1/engine/limits", put(rest::set_engine_limits))
        .route("/api/v1/tokens/{id}", delete(rest::revoke))
        .route("/api/v1/power", put(rest::set_power))
        .route("/api/v1/power/holds", post(rest::hold))
        .route("/api/v1/power/holds/{id}", delete(rest::release))
        .route("/api/v1/thermal", put(rest::set_thermal))
        .route(
            "/api/v1/tls/certificate",
            put(rest::install_certificate).delete(rest::remove_certificate),
        )
        .route("/api/v1/tls/plain-http", put(rest::set_plain_http))
        .route_layer(behind(Role::Admin));
    Router::new()
        .route("/", get(FRONT))
        .route("/ca.crt", get(rest::authority))
        .route("/certificate", get(rest::guide))
        .route("/api/v1/health", get(rest::health))
        .merge(engine)
        .merge(reading)
        .merge(managing)
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), strict))
        .with_state(app.clone())
}

/// A service with the journal's line, the request's id and the headers that every response has.
pub(crate) fn observed(service: Router) -> Router {
    service.layer(from_fn(observe))
}

/// Has browsers come by TLS only, once they have come so.
async fn strict(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let encrypted = request.extensions().get() == Some(&Door::Tls);
    let mut response = next.run(request).await;
    if encrypted && app.identity.is_own(OffsetDateTime::now_utc()) {
        response
            .headers_mut()
            .insert(header::STRICT_TRANSPORT_SECURITY, STRICT);
    }
    response
}

async fn nothing_here(request: Request) -> Response {
    let path = request.uri().path();
    Refusal::new(Kind::NotFound, format!("there is nothing at {path}")).response(path)
}

async fn wrong_method(request: Request) -> Response {
    let path = request.uri().path();
    Refusal::new(
        Kind::WrongMethod,
        format!("{} is not allowed for {path}", request.method()),
    )
    .response(path)
}
