//! `/api/v1/tls`: the certificate by which clients know this machine.

use super::{answer_tagged, power::who, read, read_at_most};
use crate::{
    app::App,
    caller::Door,
    conditions,
    openapi::{OfAbsence, OfCondition},
    plain,
    refusal::{Kind, Refusal},
    tls::{TlsError, Unusable},
};
use api::tls::{NewCertificate, PlainHttp, Tls};
use axum::{
    extract::{Request, State},
    http::{Extensions, HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use nix::unistd::gethostname;
use std::sync::Arc;
use time::OffsetDateTime;

/// The largest body with a certificate: eight of them with long keys, and JSON's escapes.
const LARGEST: u64 = 64 << 10;
const CERTIFICATE: &str = r#"{"certificate": "PEM", "key": "PEM"}"#;
const PLAIN_HTTP: &str = r#"{"enabled": true | false}"#;

/// What is served.
#[utoipa::path(
    get,
    path = "/api/v1/tls",
    tag = "tls",
    responses((status = 200, description = "What is served", body = Tls, headers(("ETag" = String))))
)]
pub(crate) async fn tls(State(app): State<Arc<App>>, uri: Uri) -> Response {
    answer_tagged(&uri, describe(&app), Tls::clone)
}

/// Installs the owner's own certificate.
#[utoipa::path(
    put,
    path = "/api/v1/tls/certificate",
    tag = "tls",
    request_body = NewCertificate,
    responses((status = 200, description = "What is served then", body = Tls, headers(("ETag" = String))), OfCondition)
)]
pub(crate) async fn install_certificate(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    answer_tagged(&uri, install(&app, request).await, Tls::clone)
}

async fn install(app: &App, request: Request) -> Result<Tls, Refusal> {
    let (who, headers) = (who(app, request.extensions()), request.headers().clone());
    if request.extensions().get() == Some(&Door::Plain) {
        let detail =
            "a private key is not taken unencrypted, also where plain HTTP is switched on: use https://";
        return Err(Refusal::new(Kind::Unencrypted, detail));
    }
    let new: NewCertificate = read_at_most(request, LARGEST, CERTIFICATE).await?;
    let _turn = app.changing.tls.lock().await;
    unchanged(app, &headers).await?;
    app.identity.install(&new, OffsetDateTime::now_utc())??;
    let tls = describe(app)?;
    tracing::info!(
        who,
        sha256 = tls.fingerprint,
        "own certificate for {} installed by {who}: SHA-256 {}",
        tls.certificate.names.join(", "),
        tls.fingerprint
    );
    Ok(tls)
}

/// Removes the owner's own certificate, whereupon the local authority's is served again.
#[utoipa::path(
    delete,
    path = "/api/v1/tls/certificate",
    tag = "tls",
    responses((status = 200, description = "What is served then", body = Tls, headers(("ETag" = String))), OfAbsence, OfCondition)
)]
pub(crate) async fn remove_certificate(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    answer_tagged(&uri, remove(&app, &headers, &extensions).await, Tls::clone)
}

async fn remove(app: &App, headers: &HeaderMap, extensions: &Extensions) -> Result<Tls, Refusal> {
    let _turn = app.changing.tls.lock().await;
    unchanged(app, headers).await?;
    if !app.identity.remove_own()? {
        return Err(Refusal::new(
            Kind::NotFound,
            "no certificate of your own is installed",
        ));
    }
    let who = who(app, extensions);
    tracing::info!(who, "own certificate removed by {who}");
    describe(app)
}

/// Switches plain HTTP on or off.
#[utoipa::path(
    put,
    path = "/api/v1/tls/plain-http",
    tag = "tls",
    request_body = PlainHttp,
    responses((status = 200, description = "What is served then", body = Tls, headers(("ETag" = String))), OfCondition)
)]
pub(crate) async fn set_plain_http(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    answer_tagged(&uri, switch(&app, request).await, Tls::clone)
}

async fn switch(app: &App, request: Request) -> Result<Tls, Refusal> {
    let (who, headers) = (who(app, request.extensions()), request.headers().clone());
    let PlainHttp { enabled } = read(request, PLAIN_HTTP).await?;
    let _turn = app.changing.tls.lock().await;
    unchanged(app, &headers).await?;
    app.identity.set_plain_http(enabled)?;
    let state = if enabled { "on" } else { "off" };
    tracing::warn!(who, enabled, "plain HTTP switched {state} by {who}");
    describe(app)
}

async fn unchanged(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    conditions::unchanged(headers, async { describe(app) }).await
}

fn describe(app: &App) -> Result<Tls, Refusal> {
    let hostname = gethostname().map_err(TlsError::from)?;
    Ok(app
        .identity
        .describe(&hostname.to_string_lossy(), OffsetDateTime::now_utc())?)
}

/// `GET /ca.crt`: the local authority's certificate.
#[utoipa::path(
    get,
    path = "/ca.crt",
    tag = "tls",
    responses((status = 200, description = "The certificate in PEM", body = String, content_type = "application/x-x509-ca-cert"))
)]
pub(crate) async fn authority(State(app): State<Arc<App>>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/x-x509-ca-cert"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"hearth-ca.crt\"",
        ),
    ];
    (headers, app.identity.authority_pem())
}

/// `GET /ca.crl`: the local authority's list of certificates that are not to be believed any more.
#[utoipa::path(
    get,
    path = "/ca.crl",
    tag = "tls",
    responses((status = 200, description = "The list in DER", body = Vec<u8>, content_type = "application/pkix-crl"))
)]
pub(crate) async fn revoked(State(app): State<Arc<App>>, uri: Uri) -> Response {
    match app.identity.revoked(OffsetDateTime::now_utc()) {
        Ok(list) => ([(header::CONTENT_TYPE, "application/pkix-crl")], list).into_response(),
        Err(error) => Refusal::from(error).response(uri.path()),
    }
}

/// `GET /certificate`: how to trust it.
#[utoipa::path(
    get,
    path = "/certificate",
    tag = "tls",
    responses((status = 200, description = "Instructions", body = String, content_type = "text/plain; charset=utf-8"))
)]
pub(crate) async fn guide(State(app): State<Arc<App>>, headers: HeaderMap) -> String {
    let host = plain::host(&headers).unwrap_or_else(|| "hearth.local".to_owned());
    crate::tls::guide(&host, &app.identity.authority_fingerprint())
}

impl From<TlsError> for Refusal {
    fn from(error: TlsError) -> Self {
        Self::new(Kind::Internal, error.to_string())
    }
}

impl From<Unusable> for Refusal {
    fn from(error: Unusable) -> Self {
        Self::new(Kind::Unacceptable, error.to_string())
    }
}
