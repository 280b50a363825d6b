//! Which path is whose, and which role it needs.

use crate::{
    app::App,
    caller::{Door, Gate, anybody, require, visit},
    idempotency::once,
    journal::observe,
    openapi, page, proxy,
    refusal::{Kind, Refusal},
    rest,
};
use api::rest::Role;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Method, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::get,
};
use std::sync::Arc;
use time::OffsetDateTime;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long browsers are to come by TLS only, in seconds: half a year. Only those heed it that trust the certificate, so
/// it is sent with the owner's own alone; who goes back to the local authority's would lock the others out.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=15768000");

/// Where programs ask, and not browsers for the page: this has plain HTTP where it is switched on.
const INTERFACES: [&str; 3] = ["/v1", "/api", "/metrics"];

/// Whether a path is a program's.
pub(crate) fn is_interface(path: &str) -> bool {
    INTERFACES.into_iter().any(|prefix| {
        let rest = path.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The whole service, as it is answered by TLS and on the local socket.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let passed_on = get(proxy::forward).post(proxy::forward).delete(proxy::forward);
    let engine = Router::new()
        .route("/v1", passed_on.clone())
        .route("/v1/{*rest}", passed_on);
    let mut service = behind(app, Role::Chat, false, engine);
    for (role, interface) in interfaces() {
        let part = Router::from(interface);
        service = service.merge(match role {
            Some(role) => {
                let part = part.route_layer(from_fn_with_state(app.clone(), once));
                behind(app, role, true, part)
            }
            None => part.route_layer(from_fn_with_state(app.clone(), anybody)),
        });
    }
    service
        .route(
            "/",
            get(page::front).route_layer(from_fn_with_state(app.clone(), anybody)),
        )
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), strict))
        .with_state(app.clone())
}

/// Routes that let only those pass who have the role; `counts`: and not too often.
fn behind(app: &Arc<App>, role: Role, counts: bool, routes: Router<Arc<App>>) -> Router<Arc<App>> {
    let app = app.clone();
    let gate = Gate { app, role, counts };
    routes.route_layer(from_fn_with_state(gate, require))
}

/// The document of the management interface.
pub(crate) fn document() -> OpenApi {
    let mut document = openapi::frame();
    for (role, interface) in interfaces() {
        let mut part = interface.into_openapi();
        openapi::complete(&mut part, role);
        document.merge(part);
    }
    document
}

/// The management interface, by the least role that may use it; `None`: anybody.
fn interfaces() -> [(Option<Role>, OpenApiRouter<Arc<App>>); 4] {
    [
        (None, open()),
        (Some(Role::Read), reading()),
        (Some(Role::Chat), chatting()),
        (Some(Role::Admin), managing()),
    ]
}

fn open() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(rest::health::health))
        .routes(routes!(rest::tls::authority))
        .routes(routes!(rest::tls::revoked))
        .routes(routes!(rest::tls::guide))
        .routes(routes!(rest::session::begin))
        .routes(routes!(rest::docs::document))
        .routes(routes!(rest::docs::page))
        .routes(routes!(rest::docs::style))
}

fn reading() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(rest::session::tell, rest::session::end))
        .routes(routes!(rest::status::status))
        .routes(routes!(rest::system::system))
        .routes(routes!(rest::power::power))
        .routes(routes!(rest::thermal::thermal))
        .routes(routes!(rest::memory::memory))
        .routes(routes!(rest::metrics::metrics))
        .routes(routes!(rest::samples::samples))
        .routes(routes!(rest::engine::activity))
        .routes(routes!(rest::engine::limits))
        .routes(routes!(rest::events::events))
        .routes(routes!(rest::jobs::jobs))
        .routes(routes!(rest::jobs::job))
        .routes(routes!(rest::tls::tls))
        .routes(routes!(rest::models::models))
        .routes(routes!(rest::models::model))
}

fn chatting() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(rest::engine::load))
        .routes(routes!(rest::engine::unload))
}

fn managing() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(rest::tokens::list, rest::tokens::create))
        .routes(routes!(rest::tokens::token, rest::tokens::revoke))
        .routes(routes!(
            rest::models::add,
            rest::models::set,
            rest::models::remove
        ))
        .routes(routes!(rest::models::verify))
        .routes(routes!(rest::engine::release))
        .routes(routes!(rest::jobs::cancel))
        .routes(routes!(rest::logs::logs))
        .routes(routes!(rest::network::network, rest::network::set_network))
        .routes(routes!(rest::network::confirm))
        .routes(routes!(rest::clock::clock, rest::clock::set_clock))
        .routes(routes!(rest::system::reboot))
        .routes(routes!(rest::system::power_off))
        .routes(routes!(rest::system::factory_reset))
        .routes(routes!(rest::uploads::begin))
        .routes(routes!(
            rest::uploads::part,
            rest::uploads::tell,
            rest::uploads::give_up
        ))
        .routes(routes!(rest::engine::start))
        .routes(routes!(rest::engine::stop))
        .routes(routes!(rest::engine::restart))
        .routes(routes!(rest::engine::set_limits))
        .routes(routes!(rest::power::set_power))
        .routes(routes!(rest::power::hold))
        .routes(routes!(rest::power::release))
        .routes(routes!(rest::thermal::set_thermal))
        .routes(routes!(
            rest::tls::install_certificate,
            rest::tls::remove_certificate
        ))
        .routes(routes!(rest::tls::set_plain_http))
}

/// A service with the journal's line, the request's id and the headers that every response has.
pub(crate) fn observed(app: &Arc<App>, service: Router) -> Router {
    service.layer(from_fn_with_state(app.clone(), observe))
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

async fn nothing_here(State(app): State<Arc<App>>, request: Request) -> Response {
    if let Err(refusal) = visit(&app, &request) {
        return refusal.response(request.uri().path());
    }
    if let Some(file) =
        page::file(&request).filter(|_| matches!(*request.method(), Method::GET | Method::HEAD))
    {
        return file;
    }
    let path = request.uri().path();
    Refusal::new(Kind::NotFound, format!("there is nothing at {path}")).response(path)
}

async fn wrong_method(State(app): State<Arc<App>>, request: Request) -> Response {
    let path = request.uri().path();
    if let Err(refusal) = visit(&app, &request) {
        return refusal.response(path);
    }
    Refusal::new(
        Kind::WrongMethod,
        format!("{} is not allowed for {path}", request.method()),
    )
    .response(path)
}
