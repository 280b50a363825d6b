//! `/api/v1/tokens`: who may come in.

use super::{
    LARGEST_BODY, answer, answer_tagged,
    page::{AnyPage, Page, page},
    power::who,
};
use crate::{
    app::App,
    caller, conditions,
    intake::Intake,
    openapi::{OfCondition, OfQuery, OfState},
    refusal::{Kind, Refusal},
    tokens::BookError,
};
use api::rest::{CreatedToken, NewToken, RevokedToken, Role, Token, TokenList};
use axum::{
    Json,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{Extensions, HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use time::OffsetDateTime;

type Id = Result<Path<String>, PathRejection>;

/// The tokens, without their texts.
#[utoipa::path(
    get,
    path = "/api/v1/tokens",
    tag = "tokens",
    params(Page),
    responses((status = 200, description = "The tokens", body = TokenList), OfQuery)
)]
pub(crate) async fn list(State(app): State<Arc<App>>, uri: Uri, wanted: AnyPage) -> Response {
    let page = page(app.book.list(), wanted, |token| &token.id);
    answer(&uri, page.map(|(tokens, next)| TokenList { tokens, next }))
}

/// One token, without its text.
#[utoipa::path(
    get,
    path = "/api/v1/tokens/{id}",
    tag = "tokens",
    params(("id" = String, Path, description = "The id of the token")),
    responses((status = 200, description = "The token", body = Token, headers(("ETag" = String))))
)]
pub(crate) async fn token(State(app): State<Arc<App>>, id: Id, uri: Uri) -> Response {
    let found = text(id).and_then(|id| one(&app, &id));
    answer_tagged(&uri, found, Token::clone)
}

fn one(app: &App, id: &str) -> Result<Token, Refusal> {
    let found = app.book.list().into_iter().find(|token| token.id == id);
    Ok(found.ok_or_else(|| BookError::Unknown(id.to_owned()))?)
}

/// Makes a token and tells its text this once.
#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    tag = "tokens",
    request_body = NewToken,
    responses((status = 201, description = "The token, and this once its text", body = CreatedToken, headers(("Location" = String))), OfState)
)]
pub(crate) async fn create(State(app): State<Arc<App>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let who = who(&app, request.extensions());
    match make(&app, request).await {
        Ok(created) => {
            let Token { id, name, role, .. } = &created.token;
            let role = caller::name(*role);
            tracing::info!(who, id, role, "token {name:?} of role {role} made by {who}");
            let location = [(header::LOCATION, format!("{path}/{}", created.token.id))];
            (StatusCode::CREATED, location, Json(created)).into_response()
        }
        Err(refusal) => refusal.response(&path),
    }
}

async fn make(app: &App, request: Request) -> Result<CreatedToken, Refusal> {
    let body = Intake::new(request.into_body(), LARGEST_BODY)?
        .read_whole()
        .await?;
    let new: NewToken = serde_json::from_slice(&body).map_err(|error| {
        let wanted = r#"wanted is {"name": "…", "role": "read" | "chat" | "admin"}"#;
        Refusal::new(
            Kind::Invalid,
            format!("the body is not understood: {error}; {wanted}"),
        )
    })?;
    let (secret, token) = app.book.create(new, OffsetDateTime::now_utc()).await?;
    Ok(CreatedToken {
        secret: secret.reveal(),
        token,
    })
}

/// Makes a token invalid. The last administrator's may go too: the local socket needs none.
#[utoipa::path(
    delete,
    path = "/api/v1/tokens/{id}",
    tag = "tokens",
    params(("id" = String, Path, description = "The id of the token")),
    responses((status = 200, description = "The token that is no longer valid", body = RevokedToken), OfState, OfCondition)
)]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    id: Id,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    let who = who(&app, &extensions);
    let token = match forget(&app, id, &headers).await {
        Ok(token) => token,
        Err(refusal) => return refusal.response(uri.path()),
    };
    tracing::info!(who, id = token.id, "token {:?} revoked by {who}", token.name);
    let administrators = app.book.list().iter().any(|token| token.role == Role::Admin);
    let note = "no token for administration is left; \"hearth token new\" on the appliance makes one";
    Json(RevokedToken {
        token,
        note: (!administrators).then(|| note.to_owned()),
    })
    .into_response()
}

async fn forget(app: &App, id: Id, headers: &HeaderMap) -> Result<Token, Refusal> {
    let id = text(id)?;
    conditions::unchanged(headers, async { one(app, &id) }).await?;
    let token = app.book.revoke(&id).await?;
    app.revoked.send_replace(());
    Ok(token)
}

fn text(id: Id) -> Result<String, Refusal> {
    let Path(id) = id.map_err(|error| Refusal::new(Kind::Invalid, error.body_text()))?;
    Ok(id)
}

impl From<BookError> for Refusal {
    fn from(error: BookError) -> Self {
        let kind = match error {
            BookError::Name => Kind::Invalid,
            BookError::Unknown(_) => Kind::NotFound,
            BookError::Full | BookError::Provided(_) => Kind::Conflict,
            BookError::Store(_) | BookError::Make(_) | BookError::Thread(_) => Kind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}
