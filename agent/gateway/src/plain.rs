//! Port 80: sends browsers on to TLS, hands out the local authority's certificate and its list of revoked ones, and keeps
//! tokens from being sent in the clear.

use crate::{
    app::App,
    bearer,
    caller::{Door, Peer, anybody, visit},
    ration::Asker,
    refusal::{Kind, Refusal},
    routes::{is_interface, observed},
    tls::is_private,
    tokens::Grant,
};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Authority},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::get,
};
use std::{sync::Arc, time::Instant};
use tower::ServiceExt;

/// What a request on port 80 may come to.
#[derive(Clone)]
struct Plain {
    app: Arc<App>,
    /// What is answered by TLS.
    encrypted: Router,
    /// The port of TLS.
    port: u16,
}

/// The service of port 80, beside one that is reached by TLS on this port.
pub(crate) fn router(app: &Arc<App>, encrypted: Router, port: u16) -> Router {
    let plain = Plain {
        app: app.clone(),
        encrypted,
        port,
    };
    let router = Router::new()
        .route("/ca.crt", get(crate::rest::tls::authority))
        .route("/ca.crl", get(crate::rest::tls::revoked))
        .route("/certificate", get(crate::rest::tls::guide))
        .route_layer(from_fn_with_state(app.clone(), anybody))
        .with_state(app.clone())
        .fallback_service(Router::new().fallback(answer).with_state(plain));
    observed(app, router)
}

async fn answer(State(plain): State<Plain>, request: Request) -> Response {
    let path = request.uri().path();
    let is_open = plain.app.identity.plain_http() && is_neighbour(&request);
    if is_open && is_interface(path) {
        // Its service cannot fail.
        return plain.encrypted.oneshot(request).await.into_response();
    }
    if let Err(refusal) = visit(&plain.app, &request) {
        return refusal.response(path);
    }
    let https = location(request.headers(), request.uri(), plain.port);
    if request.headers().contains_key(header::AUTHORIZATION) {
        return exposed(&plain.app, &request, https.as_deref()).response(path);
    }
    let page = matches!(*request.method(), Method::GET | Method::HEAD);
    match https
        .filter(|_| page)
        .and_then(|https| HeaderValue::try_from(https).ok())
    {
        Some(https) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, https)]).into_response(),
        None => Refusal::new(
            Kind::Unencrypted,
            "this is answered by TLS only: use https:// instead of http://",
        )
        .response(path),
    }
}

/// Whether plain HTTP, where it is switched on, is for whoever asks: it is not for the internet.
fn is_neighbour(request: &Request) -> bool {
    let peer = request.extensions().get::<Peer>().and_then(|peer| peer.address());
    let door = request.extensions().get::<Door>();
    door == Some(&Door::Plain) && peer.is_some_and(is_private)
}

/// Whoever sends a token in the clear has told it to everybody on the way. The owner is told which one.
fn exposed(app: &App, request: &Request, https: Option<&str>) -> Refusal {
    let grant = bearer::of(request.headers())
        .ok()
        .and_then(|digest| app.book.verify(&digest));
    let peer = request.extensions().get::<Peer>().and_then(|peer| peer.address());
    if let (Some(Grant { id, .. }), Some(address)) = (grant, peer)
        && app.ration.has_room(Asker::Exposed(&id), Instant::now())
    {
        tracing::warn!(
            token = id,
            "token {id} was sent unencrypted by {address}: whoever listened has it; \"hearth token revoke {id}\", and make a new one"
        );
    }
    let https = https.unwrap_or("https://");
    let hint = if app.identity.plain_http() {
        ""
    } else {
        ", and \"hearth tls plain-http on\" allows this for programs that cannot"
    };
    let detail = format!(
        "the token was sent unencrypted and is to be considered exposed: revoke it (\"hearth token list\", \"hearth token \
         revoke\") and use a new one with {https}; /certificate tells how to trust this machine{hint}"
    );
    Refusal::new(Kind::Unencrypted, detail)
}

/// The host that a request is for, without its port, if that can be a name or an address.
pub(crate) fn host(headers: &HeaderMap) -> Option<String> {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority: Authority = named?.parse().ok()?;
    let sound = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    let host = authority.host();
    (!host.is_empty() && host.chars().all(sound)).then(|| host.to_owned())
}

/// The same by TLS, on the host that was asked for. `None` if the request does not name one.
fn location(headers: &HeaderMap, uri: &Uri, port: u16) -> Option<String> {
    let host = host(headers)?;
    let port = if port == 443 {
        String::new()
    } else {
        format!(":{port}")
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Some(format!("https://{host}{port}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(host: &str, uri: &str, port: u16) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        location(&headers, &uri.parse().unwrap(), port)
    }

    #[test]
    fn a_page_is_found_by_tls_where_it_was() {
        let table = [
            ("hearth.local", "/a?b=c", 443, "https://hearth.local/a?b=c"),
            ("hearth.local:80", "/", 443, "https://hearth.local/"),
            ("[fd00::1]:80", "/x", 8443, "https://[fd00::1]:8443/x"),
            (
                "192.168.1.5",
                "//evil.example",
                443,
                "https://192.168.1.5//evil.example",
            ),
        ];
        for (host, uri, port, wanted) in table {
            assert_eq!(found(host, uri, port).as_deref(), Some(wanted));
        }
    }

    #[test]
    fn nobody_is_sent_on_to_what_is_no_host() {
        for host in ["", "a b", "a/b", "me@", ":80", "a\\b"] {
            assert_eq!(found(host, "/", 443), None, "{host:?}");
        }
        assert_eq!(location(&HeaderMap::new(), &Uri::from_static("/"), 443), None);
    }

    proptest! {
        #[test]
        fn whatever_the_host_the_place_is_a_url(host in "[ -~]{0,40}") {
            if let Some(place) = found(&host, "/a", 443) {
                prop_assert!(place.parse::<Uri>().is_ok(), "{}", place);
            }
        }
    }
}
