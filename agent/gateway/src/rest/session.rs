//! `/api/v1/session`: a browser exchanges a token for a cookie.

use super::{answer, power::name, read};
use crate::{
    app::App,
    bearer,
    caller::{Door, Pass, Peer},
    openapi::{OfDoor, OfGuess},
    refusal::{Kind, Refusal},
    sessions::is_ours,
};
use api::rest::{NewSession, Session};
use axum::{
    extract::{Request, State},
    http::{Extensions, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use std::{sync::Arc, time::Instant};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

const NEW: &str = r#"{"token": "hearth_…"}"#;

/// Signs in: the answer sets a cookie that stands for the token.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "session",
    request_body = NewSession,
    responses((status = 204, description = "The cookie is set", headers(("Set-Cookie" = String))), OfDoor, OfGuess)
)]
pub(crate) async fn begin(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    match sign_in(&app, request).await {
        Ok(cookie) => (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response(),
        Err(refusal) => refusal.response(uri.path()),
    }
}

async fn sign_in(app: &App, request: Request) -> Result<HeaderValue, Refusal> {
    if request.extensions().get() == Some(&Door::Plain) {
        let detail = "nobody signs in unencrypted, also where plain HTTP is switched on: use https://";
        return Err(Refusal::new(Kind::Unencrypted, detail));
    }
    if !is_ours(request.method(), request.headers()) {
        return Err(Refusal::cross_site());
    }
    let address = request.extensions().get::<Peer>().and_then(|peer| peer.address());
    let NewSession { token } = read(request, NEW).await?;
    let known = bearer::digest(token.as_bytes())
        .ok()
        .and_then(|digest| Some((app.book.verify(&digest)?, digest)));
    let Some((grant, digest)) = known else {
        if let Some(address) = address {
            app.guessed(address, Instant::now())?;
        }
        let detail = "the token is not valid; \"hearth token new\" on the appliance makes one";
        return Err(Refusal::new(Kind::Unauthenticated, detail));
    };
    let id = grant.id;
    app.signed_in(&id, grant.role, Instant::now())?;
    let from = address.map_or_else(
        || "the appliance itself".to_owned(),
        |address| address.to_string(),
    );
    tracing::info!(token = id, "token {id} signed in from {from}");
    app.sessions
        .begin(digest, Instant::now())
        .map_err(|error| Refusal::new(Kind::Internal, format!("cannot make a cookie: {error}")))
}

/// Who asks.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "session",
    responses((status = 200, description = "Who asks", body = Session))
)]
pub(crate) async fn tell(State(app): State<Arc<App>>, uri: Uri, extensions: Extensions) -> Response {
    let told = pass(&extensions).and_then(|pass| {
        let expires = pass.signed.map(|signed| at(signed.ends).format(&Rfc3339));
        Ok(Session {
            id: pass.actor.token().map(str::to_owned),
            name: name(&app, &extensions),
            role: pass.role,
            expires: expires
                .transpose()
                .map_err(|error| Refusal::new(Kind::Internal, error.to_string()))?,
        })
    });
    answer(&uri, told)
}

/// When an instant will be, by the clock as it is set now.
fn at(instant: Instant) -> OffsetDateTime {
    OffsetDateTime::now_utc() + instant.saturating_duration_since(Instant::now())
}

/// Signs out.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    tag = "session",
    responses((status = 204, description = "The session is over", headers(("Set-Cookie" = String))))
)]
pub(crate) async fn end(State(app): State<Arc<App>>, uri: Uri, extensions: Extensions) -> Response {
    match pass(&extensions).map(|pass| pass.signed) {
        Ok(Some(signed)) => {
            let cookie = app.sessions.end(&signed.cookie);
            app.revoked.send_replace(());
            (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
        }
        // A token has no session that could end.
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refusal.response(uri.path()),
    }
}

fn pass(extensions: &Extensions) -> Result<&Pass, Refusal> {
    extensions
        .get()
        .ok_or_else(|| Refusal::new(Kind::Internal, "the route has no gate"))
}
