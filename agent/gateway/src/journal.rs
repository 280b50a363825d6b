//! What is logged: one line per request, with who, what and how it ended; never a token, a query or a body.

use crate::{
    app::App,
    bearer::{self, NoBearer},
    caller::{Actor, Peer},
    intake::Drained,
    plain_text::is_plain,
    ration::Asker,
    redaction::redacted,
    slots::neighbourhood,
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use nix::sys::stat::fstat;
use std::{
    fmt,
    io::{self, IsTerminal},
    os::fd::AsFd,
    pin::{Pin, pin},
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Instant,
};
use tracing::{field::Field, level_filters::LevelFilter};
use tracing_subscriber::{
    fmt::format::{self, Writer},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Where somebody signs in and out.
pub(crate) const SESSION: &str = "/api/v1/session";

/// Names a request in the log, to the client and to the engine.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Logs to the journal where systemd has connected stderr with it, else to stderr.
pub(crate) fn start() {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let journal = is_journals(io::stderr(), &named)
        .then(tracing_journald::layer)
        .and_then(Result::ok);
    let stderr = journal.is_none().then(|| {
        let ansi = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(ansi)
            .with_target(false)
            .fmt_fields(format::debug_fn(message_only))
    });
    let journal = journal.map(|layer| layer.with_field_prefix(Some("HEARTH".to_owned())));
    tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(journal)
        .with(stderr)
        .init();
}

/// Whether a stream is the one that `$JOURNAL_STREAM` names by device and inode; see systemd.exec(5). The variable
/// alone says nothing: programs started from a desktop inherit it, and write to a terminal.
fn is_journals(stream: impl AsFd, named: &str) -> bool {
    fstat(stream).is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// The message says all that a person wants; the fields are for queries in the journal.
fn message_only(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() == "message" {
        write!(writer, "{value:?}")
    } else {
        Ok(())
    }
}

/// Where the line learns who called, once that is known.
pub(crate) type ActorCell = Arc<OnceLock<Actor>>;

/// The line of one request, written when it is dropped: after the last byte of the answer, or when the client went.
struct RequestLine {
    app: Arc<App>,
    began: Instant,
    method: Method,
    path: String,
    id: HeaderValue,
    peer: Option<Peer>,
    actor: ActorCell,
    /// Whether it brings what may be a token.
    brings: bool,
    status: Option<StatusCode>,
    bytes: u64,
    whole: bool,
    /// Why it broke off, where that is known.
    broken: Option<String>,
}

impl RequestLine {
    fn begin(app: Arc<App>, request: &Request, id: HeaderValue) -> Self {
        Self {
            app,
            began: Instant::now(),
            method: request.method().clone(),
            path: shown(request.uri().path()),
            id,
            peer: request.extensions().get().copied(),
            actor: ActorCell::default(),
            brings: brings(request),
            status: None,
            bytes: 0,
            whole: false,
            broken: None,
        }
    }

    fn caller(&self) -> String {
        match (self.actor.get(), self.peer) {
            (Some(actor), _) => actor.to_string(),
            (None, Some(Peer::Network(address))) => address.to_string(),
            (None, Some(Peer::Local { uid })) => Actor::User(uid).to_string(),
            (None, None) => "-".to_owned(),
        }
    }

    /// Where somebody comes from who is known otherwise than by that.
    fn origin(&self) -> String {
        match (self.actor.get(), self.peer) {
            (Some(_), Some(Peer::Network(address))) => format!(" from {address}"),
            _ => String::new(),
        }
    }

    /// Whether it is one that changes something: the journal can be asked for these lines alone.
    fn is_change(&self) -> bool {
        is_change(&self.method, &self.path)
    }

    /// Of an address that asks or guesses on and on, the requests that are looked at are told, and the rest would only bury
    /// what else there is.
    fn is_noise(&self) -> bool {
        self.status == Some(StatusCode::TOO_MANY_REQUESTS) && self.actor.get().is_none()
    }

    /// Whether somebody has changed something by it, or may have: that is told whatever else there is to tell, and nobody
    /// may change more than there is room to tell of (`rates.rs`).
    fn has_changed(&self) -> bool {
        let is_undone = |status: StatusCode| {
            // Nobody counts how often that is tried.
            let tries_in_vain = takes_back(&self.method, &self.path) && !status.is_success();
            tries_in_vain || status.is_client_error()
        };
        self.is_change() && !self.status.is_some_and(is_undone) && self.actor.get().is_some()
    }

    fn is_told(&self) -> bool {
        let ration = &self.app.ration;
        if self.is_noise() {
            ration.leave_out();
            return false;
        }
        self.has_changed() || ration.has_room(self.asker(), Instant::now())
    }

    /// Whose part of the journal its line is taken from.
    fn asker(&self) -> Asker<'_> {
        let address = self.peer.and_then(Peer::address);
        match (self.actor.get(), address) {
            (Some(actor), _) => Asker::Known(actor),
            (None, Some(address)) if self.brings && self.status == Some(StatusCode::UNAUTHORIZED) => {
                Asker::Guesser(neighbourhood(address))
            }
            (None, _) => Asker::Stranger,
        }
    }
}

/// Whether a request, let through, changes something that is told of. The parts of an upload are not told one by one: its
/// beginning is, and what becomes of it.
pub(crate) fn is_change(method: &Method, path: &str) -> bool {
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS];
    let is_part = *method == Method::PATCH && path.starts_with("/api/v1/uploads/");
    path.starts_with("/api/") && !reads.contains(method) && !is_part
}

/// Whether a request, let through, takes back that somebody is let in: revokes a token or signs out. That is done at most once
/// for each that was made, and so it is bounded without being counted.
pub(crate) fn takes_back(method: &Method, path: &str) -> bool {
    *method == Method::DELETE && (path == SESSION || path.starts_with("/api/v1/tokens/"))
}

/// Whether a request brings what may be a token, in its head or to sign in with.
fn brings(request: &Request) -> bool {
    let signs_in = request.method() == Method::POST && request.uri().path() == SESSION;
    signs_in || bearer::of(request.headers()) != Err(NoBearer::Missing)
}

impl Drop for RequestLine {
    fn drop(&mut self) {
        if !self.is_told() {
            return;
        }
        let Self {
            method, path, bytes, ..
        } = &*self;
        let left_out = self.app.ration.left_out();
        let ms = self.began.elapsed().as_millis();
        let (caller, status) = (self.caller(), self.status.map_or(0, |status| status.as_u16()));
        let (origin, audit) = (self.origin(), self.is_change());
        let ending = match &self.broken {
            _ if self.whole => String::new(),
            Some(problem) => format!(", cut short: {problem}"),
            None => ", cut short".to_owned(),
        };
        let others = match left_out {
            0 => String::new(),
            count => format!("; {count} lines before it are left out, for too many came"),
        };
        let id = self.id.to_str().unwrap_or_default();
        tracing::info!(
            request_id = id, %method, path, status, bytes, ms = ms as u64, actor = caller, whole = self.whole, audit, left_out,
            "{caller}{origin} {method} {path} {status} {bytes} B {ms} ms{ending}{others}"
        );
    }
}

/// The outermost middleware: gives the request its id, the response its headers, and the journal its line.
pub(crate) async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers().get(REQUEST_ID));
    let mut line = RequestLine::begin(app, &request, id.clone());
    request.headers_mut().insert(REQUEST_ID, id.clone());
    request.extensions_mut().insert(line.actor.clone());
    let mut response = next.run(request.map(|body| Body::new(Drained::new(body)))).await;
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    line.status = Some(response.status());
    // hyper does not ask for the body that an answer to HEAD would have.
    line.whole = line.method == Method::HEAD || response.body().is_end_stream();
    response.map(|inner| Body::new(Observed { inner, line }))
}

/// The client's own id if it is short and harmless in a log, else a fresh one.
fn request_id(given: Option<&HeaderValue>) -> HeaderValue {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let sound =
        |value: &&HeaderValue| (1..=64).contains(&value.len()) && value.as_bytes().iter().all(harmless);
    given.filter(sound).cloned().unwrap_or_else(|| {
        // Only a name for a line in the log: without randomness it is less unique, and that is all.
        let number = getrandom::u64().unwrap_or_default();
        HeaderValue::try_from(format!("{number:016x}")).unwrap_or_else(|_| HeaderValue::from_static("none"))
    })
}

/// The beginning of a path as a log may hold it: clients may write any UTF-8, and thus what a terminal takes for a
/// command, and the journal hides lines with such characters. Who revokes a token by its text, or has it in an address,
/// has not asked for it to be kept.
fn shown(path: &str) -> String {
    let harmless = |c: char| {
        if is_plain(c) {
            c
        } else {
            char::REPLACEMENT_CHARACTER
        }
    };
    redacted(path).chars().take(200).map(harmless).collect()
}

struct Observed {
    inner: Body,
    line: RequestLine,
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(pin!(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => self.line.bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(error)) => self.line.broken = Some(error.to_string()),
            None => (),
        }
        // hyper does not ask again after a body that says itself that it has ended.
        self.line.whole = frame.is_none() || self.inner.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inherited_name_of_the_journals_stream_is_not_believed() {
        use std::os::unix::fs::MetadataExt;
        let file = tempfile::tempfile().unwrap();
        let of_file = file.metadata().unwrap();
        assert!(is_journals(
            &file,
            &format!("{}:{}", of_file.dev(), of_file.ino())
        ));
        assert!(!is_journals(
            &file,
            &format!("{}:{}", of_file.dev(), of_file.ino() + 1)
        ));
        assert!(!is_journals(&file, ""));
    }

    #[test]
    fn no_path_steers_a_terminal_or_floods_the_log() {
        assert_eq!(shown("/v1/\u{9b}2Jé\u{202e}x"), "/v1/\u{fffd}2Jé\u{fffd}x");
        assert_eq!(shown(&"é".repeat(300)).chars().count(), 200);
    }

    #[test]
    fn no_path_shows_a_token_also_where_it_is_cut() {
        let token = format!("hearth_{}", "a".repeat(43));
        assert_eq!(
            shown(&format!("/api/v1/tokens/{token}")),
            "/api/v1/tokens/hearth_…"
        );
        let long = format!("/{}/{token}", "x".repeat(180));
        assert!(shown(&long).ends_with("/hearth_…"));
    }

    #[test]
    fn a_clients_id_is_kept_only_if_it_is_harmless() {
        let kept = HeaderValue::from_static("req-1.a_B");
        assert_eq!(request_id(Some(&kept)), kept);
        for bad in ["", "a b", "a\"b", &"x".repeat(65)] {
            let fresh = request_id(Some(&HeaderValue::from_str(bad).unwrap()));
            assert_eq!(fresh.len(), 16, "{bad}");
        }
        assert_ne!(request_id(None), request_id(None));
    }
}
