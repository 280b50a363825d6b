//! The management interface's own description: as OpenAPI, and as a page for people.

use crate::{manual, routes};
use axum::{
    http::{HeaderValue, header},
    response::IntoResponse,
};
use bytes::Bytes;
use std::sync::OnceLock;

/// What the page may load: nothing but the style that comes with it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// This document.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    tag = "interface",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"))
)]
pub(crate) async fn document() -> impl IntoResponse {
    // Made when first asked for: most appliances never are.
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| {
        // A tree of strings always becomes JSON.
        serde_json::to_vec(&routes::document()).unwrap_or_default().into()
    });
    ([(header::CONTENT_TYPE, "application/json")], document.clone())
}

/// The same for people.
#[utoipa::path(
    get,
    path = "/api/docs",
    tag = "interface",
    responses((status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8"))
)]
pub(crate) async fn page() -> impl IntoResponse {
    static PAGE: OnceLock<Bytes> = OnceLock::new();
    let page = PAGE.get_or_init(|| {
        let document = serde_json::to_value(routes::document()).unwrap_or_default();
        manual::page(&document).into()
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, page.clone())
}

/// How that page looks.
#[utoipa::path(
    get,
    path = "/api/docs.css",
    tag = "interface",
    responses((status = 200, description = "A style sheet", body = String, content_type = "text/css; charset=utf-8"))
)]
pub(crate) async fn style() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/css; charset=utf-8")],
        include_str!("docs.css"),
    )
}
