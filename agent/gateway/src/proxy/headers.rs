//! Which headers cross the gateway.

use crate::journal::REQUEST_ID;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, Version, header, request, uri::PathAndQuery};

/// Headers that concern one connection only (RFC 9110, section 7.6.1, with those that older software sends).
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What the engine is told of a request's headers: what the body is, and under which name the log has the request.
const TOLD: [HeaderName; 4] = [
    header::ACCEPT,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    REQUEST_ID,
];

/// Makes a client's request one of ours. The engine is told nothing about who asks: whatever a client or a proxy
/// before it may add, only what is listed passes.
pub(crate) fn for_engine(parts: &mut request::Parts) {
    strip_hop_by_hop(&mut parts.headers);
    let told = TOLD
        .into_iter()
        .filter_map(|name| Some((parts.headers.remove(&name)?, name)));
    let mut headers: HeaderMap = told.map(|(value, name)| (name, value)).collect();
    headers.insert(header::HOST, HeaderValue::from_static("inferd"));
    parts.headers = headers;
    let path = parts
        .uri
        .path_and_query()
        .cloned()
        .unwrap_or(PathAndQuery::from_static("/"));
    parts.uri = Uri::from(path);
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
}

/// Makes the engine's answer one of ours.
pub(crate) fn for_client(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
}

/// Whether the answer is server-sent events. Its length is then not told, as an error event may follow.
pub(crate) fn is_event_stream(headers: &mut HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    let is = kind.is_some_and(|kind| {
        kind.get(..17)
            .is_some_and(|k| k.eq_ignore_ascii_case(b"text/event-stream"))
    });
    if is {
        headers.remove(header::CONTENT_LENGTH);
    }
    is
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in listed.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use proptest::prelude::*;

    #[test]
    fn the_engine_sees_the_question_and_not_who_asks() {
        let request = Request::post("http://box:8080/v1/x?y=1")
            .header("authorization", "Bearer hearth_x")
            .header("connection", "close, X-Private")
            .header("x-private", "1")
            .header("transfer-encoding", "chunked")
            .header("cookie", "a=b")
            .header("x-api-key", "hearth_x")
            .header("x-forwarded-for", "192.0.2.1")
            .header("content-type", "application/json");
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        for_engine(&mut parts);
        assert_eq!(parts.uri, "/v1/x?y=1");
        let mut names: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "host"]);
        assert_eq!(parts.headers[header::HOST], "inferd");
    }

    #[test]
    fn an_event_stream_loses_its_length() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream; charset=utf-8"),
        );
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("12"));
        assert!(is_event_stream(&mut headers));
        assert!(!headers.contains_key(header::CONTENT_LENGTH));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert!(!is_event_stream(&mut headers));
    }

    proptest! {
        #[test]
        fn no_connection_header_makes_it_panic(value in "[ -~]{0,80}") {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONNECTION, HeaderValue::from_str(&value).unwrap());
            strip_hop_by_hop(&mut headers);
            prop_assert!(headers.is_empty());
        }
    }
}
