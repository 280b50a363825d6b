//! The page: files that were built from `dashboard/` and are part of this program, compressed as they are sent.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

/// A file, by the path that it is asked for by.
struct File {
    path: &'static str,
    bytes: &'static [u8],
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// What the page may do: run its own script, look as its own style says, and speak to where it came from. Nothing that
/// comes as text becomes a script.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);
/// Names under `/assets/` hold a hash of the contents.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

const FRONT: &str = "Hearth, a private AI appliance.\n\n\
    /v1          OpenAI's interface: chat with a local model\n\
    /api/v1      management; /api/docs describes it, /api/openapi.json to programs\n\
    /metrics     for Prometheus\n\
    /certificate how to have a browser, Python, Node or VS Code trust this machine\n\n\
    All but the last want \"Authorization: Bearer hearth_…\"; \"hearth token new\" on the appliance makes one.\n";

/// `GET /`: the page for browsers, a text for everything else.
pub(crate) async fn front(headers: HeaderMap) -> Response {
    let wanted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let page = wanted
        .filter(|wanted| wanted.contains("text/html"))
        .and_then(|_| find("/index.html"));
    page.unwrap_or_else(|| FRONT.into_response())
}

/// A file of the page, if the path is one's.
pub(crate) fn file(request: &Request) -> Option<Response> {
    find(request.uri().path())
}

fn find(path: &str) -> Option<Response> {
    let file = FILES.iter().find(|file| file.path == path)?;
    let kept = if path.starts_with("/assets/") {
        FOR_EVER
    } else {
        ASK_AGAIN
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind(path))),
        (header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        (header::CACHE_CONTROL, kept),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Some((headers, Bytes::from_static(file.bytes)).into_response())
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_was_built_in_names_only_files_that_are_there() {
        assert!(find("/assets/../index.html").is_none() && find("/nothing").is_none());
        for file in FILES {
            let answer = find(file.path).unwrap();
            assert_ne!(answer.headers()[header::CONTENT_TYPE], "application/octet-stream");
            let kept = &answer.headers()[header::CACHE_CONTROL];
            assert_eq!(
                *kept == FOR_EVER,
                file.path.starts_with("/assets/"),
                "{}",
                file.path
            );
        }
    }

    #[tokio::test]
    async fn programs_are_answered_by_a_text() {
        let answer = front(HeaderMap::new()).await;
        assert!(
            answer.headers()[header::CONTENT_TYPE]
                .to_str()
                .unwrap()
                .starts_with("text/plain")
        );
    }
}
