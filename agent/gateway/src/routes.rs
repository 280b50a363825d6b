//! Which path is whose, and which role it needs.

use crate::{
    app::App,
    caller::{Gate, require},
    journal::observe,
    proxy,
    refusal::{Kind, Refusal},
    rest,
};
use api::rest::Role;
use axum::{
    Router,
    extract::Request,
    middleware::{from_fn, from_fn_with_state},
    response::Response,
    routing::{delete, get, post, put},
};
use std::sync::Arc;

const FRONT: &str = "Hearth, a private AI appliance.\n\n\
    /v1          OpenAI's interface: chat with a local model\n\
    /api/v1      management: health, status, power, thermal, memory, tokens, models, engine\n\n\
    Both want \"Authorization: Bearer hearth_…\"; \"hearth token new\" on the appliance makes one.\n";

/// The whole service.
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
        .route_layer(behind(Role::Admin));
    Router::new()
        .route("/", get(FRONT))
        .route("/api/v1/health", get(rest::health))
        .merge(engine)
        .merge(reading)
        .merge(managing)
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(observe))
        .with_state(app.clone())
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
