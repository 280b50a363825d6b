//! One request at a time to the gateway, over its local socket or the network.

use crate::{
    endpoint::Endpoint,
    screen::{self, WARN},
    trust::Trust,
    upload::Upload,
};
use anyhow::Context;
use api::{openai::ErrorBody, rest::Problem};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{self, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use serde::{Serialize, de::DeserializeOwned};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(10);
/// By which the gateway knows a request that is sent again.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The largest answer that is taken whole.
const LARGEST: usize = 16 << 20;

/// Why there is no answer. Each tells what was tried, and the way out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody takes the connection. Its cause is told before the way out; as a `source` it would be told again after it.
    #[error("cannot connect to {endpoint}: {cause}{}", way_out(endpoint, cause))]
    Connect { endpoint: Endpoint, cause: io::Error },
    /// Who takes it cannot show that it is the appliance that was meant.
    #[error("no trusted connection to {endpoint}: {problem}")]
    Untrusted { endpoint: Endpoint, problem: String },
    /// The connection broke, or what came is not HTTP.
    #[error("{endpoint} hung up")]
    Broken {
        endpoint: Endpoint,
        source: hyper::Error,
    },
    /// It says nothing any more, though it should: the line is dead, or it is.
    #[error("{endpoint} has said nothing for {} s", silence.as_secs())]
    Silent { endpoint: Endpoint, silence: Duration },
    /// The gateway refused.
    #[error("{endpoint}: {message} ({status}){}", remedy(*status))]
    Refused {
        endpoint: Endpoint,
        status: StatusCode,
        message: String,
    },
    /// What came is not what was agreed.
    #[error("{endpoint} answers {path} with something else than expected: {problem}")]
    Unexpected {
        endpoint: Endpoint,
        path: String,
        problem: String,
    },
}

impl ClientError {
    /// Whether it may go better the next time: the line is broken, or the gateway is starting.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            // Whoever may not connect now may not in a minute either.
            Self::Connect { cause, .. } => cause.kind() != io::ErrorKind::PermissionDenied,
            Self::Broken { .. } | Self::Silent { .. } => true,
            Self::Refused { status, .. } => {
                *status == StatusCode::SERVICE_UNAVAILABLE || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Untrusted { .. } | Self::Unexpected { .. } => false,
        }
    }
}

fn way_out(endpoint: &Endpoint, cause: &io::Error) -> &'static str {
    use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    match (endpoint, cause.kind()) {
        (Endpoint::Socket(_), PermissionDenied) => "; run it as root or join the group hearth-admin",
        (Endpoint::Socket(_), NotFound | ConnectionRefused) => {
            "; on the appliance see \"systemctl status hearth-gateway\", from elsewhere give --host https://NAME"
        }
        _ => "",
    }
}

fn remedy(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "; set HEARTH_TOKEN to a valid token",
        StatusCode::FORBIDDEN => "; use a token with a higher role",
        _ => "",
    }
}

/// An answer whose status is a good one, with the connection it comes by.
pub(crate) struct Reply {
    /// The head and the body.
    pub(crate) response: Response<Incoming>,
    connection: AbortOnDropHandle<()>,
}

/// An answer that was taken whole, also one without a body.
pub(crate) struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// The text of a header.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What a request may carry.
pub(crate) type Payload = UnsyncBoxBody<Bytes, io::Error>;

/// Headers of a request beside those that all have.
pub(crate) type Headers<'a> = &'a [(HeaderName, &'a str)];

/// A body, and its type.
type Typed = (Payload, &'static str);

/// A body of JSON.
pub(crate) fn json_payload(json: Vec<u8>) -> Typed {
    let body = Full::new(Bytes::from(json)).map_err(|never| match never {});
    (body.boxed_unsync(), "application/json")
}

/// Speaks to one gateway.
pub(crate) struct Client {
    endpoint: Endpoint,
    token: Option<HeaderValue>,
    trust: Trust,
}

impl Client {
    /// A client of the gateway there, with the value of the `Authorization` header if there is one, and what to believe of
    /// certificates.
    pub(crate) fn new(endpoint: Endpoint, token: Option<HeaderValue>, trust: Trust) -> Self {
        Self {
            endpoint,
            token,
            trust,
        }
    }

    /// GET.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.whole(Method::GET, path, Bytes::new()).await
    }

    /// GET of what tells its own state in its body, whatever the status.
    pub(crate) async fn look<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let Reply { response, connection } = self.sent(Method::GET, path, &[], None).await?;
        let body = self.collect(path, response.into_body()).await?;
        drop(connection);
        serde_json::from_slice(&body).map_err(|error| self.unexpected(path, error))
    }

    /// DELETE.
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.whole(Method::DELETE, path, Bytes::new()).await
    }

    /// POST of JSON.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        json: Vec<u8>,
    ) -> Result<T, ClientError> {
        self.whole(Method::POST, path, json.into()).await
    }

    /// POST of JSON that begins or makes something. Where the connection is lost before the answer it is sent once more, with
    /// the same key: the gateway answers as it would have, and does nothing twice.
    pub(crate) async fn begin<T: DeserializeOwned>(&self, path: &str, json: Vec<u8>) -> anyhow::Result<T> {
        let key = getrandom::u64().context("the kernel gives no random number")?;
        let key = format!("{key:016x}");
        let headers = [(IDEMPOTENCY_KEY, key.as_str())];
        let send = || {
            let payload = (!json.is_empty()).then(|| json_payload(json.clone()));
            self.call(Method::POST, path, &headers, payload)
        };
        let answer = match send().await {
            Err(ClientError::Broken { .. }) => send().await?,
            answer => answer?,
        };
        Ok(self.read(path, &answer)?)
    }

    /// PUT of JSON.
    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, json: Vec<u8>) -> Result<T, ClientError> {
        self.whole(Method::PUT, path, json.into()).await
    }

    /// PATCH of JSON.
    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        json: Vec<u8>,
    ) -> Result<T, ClientError> {
        self.whole(Method::PATCH, path, json.into()).await
    }

    /// POST of JSON, answered as it comes.
    pub(crate) async fn stream(&self, path: &str, json: Vec<u8>) -> Result<Reply, ClientError> {
        self.send(Method::POST, path, json.into()).await
    }

    /// GET, answered as it comes.
    pub(crate) async fn follow(&self, path: &str) -> Result<Reply, ClientError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Any request, of whose answer more than the body counts.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        payload: Option<Typed>,
    ) -> Result<Answer, ClientError> {
        let Reply { response, connection } = self.exchange(method, path, headers, payload).await?;
        let (head, body) = response.into_parts();
        let body = self.collect(path, body).await?;
        drop(connection);
        let headers = head.headers;
        Ok(Answer { headers, body })
    }

    /// GET of text.
    pub(crate) async fn text(&self, path: &str) -> Result<String, ClientError> {
        let Answer { body, .. } = self.call(Method::GET, path, &[], None).await?;
        String::from_utf8(body.into()).map_err(|error| self.unexpected(path, error))
    }

    /// Reads what is there, and puts in its place what becomes of it. Who has changed it meanwhile is not overwritten: the
    /// gateway refuses it.
    pub(crate) async fn change<T: DeserializeOwned, N: Serialize, R: DeserializeOwned>(
        &self,
        path: &str,
        becomes: impl FnOnce(T) -> N,
    ) -> Result<R, ClientError> {
        let answer = self.call(Method::GET, path, &[], None).await?;
        let new = becomes(self.read(path, &answer)?);
        let new = serde_json::to_vec(&new).map_err(|error| self.unexpected(path, error))?;
        let tag = answer.header(&header::ETAG);
        let headers: Vec<_> = tag.into_iter().map(|tag| (header::IF_MATCH, tag)).collect();
        let answer = self.call(Method::PUT, path, &headers, Some(json_payload(new)));
        self.read(path, &answer.await?)
    }

    /// What an answer's body says.
    pub(crate) fn read<T: DeserializeOwned>(&self, path: &str, answer: &Answer) -> Result<T, ClientError> {
        serde_json::from_slice(&answer.body).map_err(|error| self.unexpected(path, error))
    }

    /// Whether the gateway is asked over the network, and not on its own machine.
    pub(crate) fn is_afar(&self) -> bool {
        matches!(self.endpoint, Endpoint::Network { .. })
    }

    /// PUT of files, answered as it comes.
    pub(crate) async fn upload(&self, path: &str, files: Upload) -> Result<Reply, ClientError> {
        let payload = (files.boxed_unsync(), "application/octet-stream");
        self.exchange(Method::PUT, path, &[], Some(payload)).await
    }

    /// An error about this gateway's answer.
    pub(crate) fn unexpected(&self, path: &str, problem: impl ToString) -> ClientError {
        ClientError::Unexpected {
            endpoint: self.endpoint.clone(),
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }

    /// An error about the connection to this gateway.
    pub(crate) fn broken(&self, source: hyper::Error) -> ClientError {
        ClientError::Broken {
            endpoint: self.endpoint.clone(),
            source,
        }
    }

    /// An error about this gateway's silence.
    pub(crate) fn silent(&self, silence: Duration) -> ClientError {
        ClientError::Silent {
            endpoint: self.endpoint.clone(),
            silence,
        }
    }

    async fn whole<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        json: Bytes,
    ) -> Result<T, ClientError> {
        let payload = (!json.is_empty()).then(|| json_payload(json.into()));
        let answer = self.call(method, path, &[], payload).await?;
        self.read(path, &answer)
    }

    async fn collect(&self, path: &str, body: Incoming) -> Result<Bytes, ClientError> {
        let whole = Limited::new(body, LARGEST).collect().await;
        whole
            .map(|whole| whole.to_bytes())
            .map_err(|error| self.unexpected(path, error))
    }

    async fn send(&self, method: Method, path: &str, json: Bytes) -> Result<Reply, ClientError> {
        let payload = (!json.is_empty()).then(|| json_payload(json.into()));
        self.exchange(method, path, &[], payload).await
    }

    /// Sends a request with a payload of a type, or without one.
    async fn sent(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        payload: Option<Typed>,
    ) -> Result<Reply, ClientError> {
        let (mut sender, connection) = self.connect().await?;
        let request = self.request(method, path, headers, payload)?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|source| self.broken(source))?;
        Ok(Reply { response, connection })
    }

    /// The same, where only a good status is an answer.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        payload: Option<Typed>,
    ) -> Result<Reply, ClientError> {
        let reply = self.sent(method, path, headers, payload).await?;
        if reply.response.status().is_success() {
            Ok(reply)
        } else {
            Err(self.refusal(path, reply).await)
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        payload: Option<Typed>,
    ) -> Result<Request<Payload>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.endpoint.authority());
        if let Some((_, kind)) = &payload {
            request = request.header(header::CONTENT_TYPE, *kind);
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if let (Endpoint::Network { .. }, Some(token)) = (&self.endpoint, &self.token) {
            request = request.header(header::AUTHORIZATION, token);
        }
        let empty = || Full::default().map_err(|never| match never {}).boxed_unsync();
        let body = payload.map_or_else(empty, |(body, _)| body);
        request.body(body).map_err(|error| self.unexpected(path, error))
    }

    async fn connect(&self) -> Result<(SendRequest<Payload>, AbortOnDropHandle<()>), ClientError> {
        let failed = |cause| ClientError::Connect {
            endpoint: self.endpoint.clone(),
            cause,
        };
        let late = |_| failed(io::ErrorKind::TimedOut.into());
        match &self.endpoint {
            Endpoint::Socket(path) => {
                let stream = timeout(CONNECTING, UnixStream::connect(path))
                    .await
                    .map_err(late)?;
                self.shake_hands(stream.map_err(failed)?).await
            }
            Endpoint::Network { tls, host, port } => {
                let stream = timeout(CONNECTING, dial(host, *port)).await;
                let stream = stream.map_err(late)?.map_err(failed)?;
                if !tls {
                    self.warn_of_plain_text(&stream).map_err(failed)?;
                    return self.shake_hands(stream).await;
                }
                let trusted = self.trust.shake_hands(stream, host, *port);
                let trusted = timeout(CONNECTING, trusted).await.map_err(late)?;
                let untrusted = |problem: anyhow::Error| ClientError::Untrusted {
                    endpoint: self.endpoint.clone(),
                    problem: format!("{problem:#}"),
                };
                self.shake_hands(trusted.map_err(untrusted)?).await
            }
        }
    }

    fn warn_of_plain_text(&self, stream: &TcpStream) -> io::Result<()> {
        if self.token.is_some() && !stream.peer_addr()?.ip().to_canonical().is_loopback() {
            screen::tell(format_args!(
                "{WARN}hearth: the token travels unencrypted; use a network that you trust{WARN:#}"
            ));
        }
        Ok(())
    }

    async fn shake_hands<S>(
        &self,
        stream: S,
    ) -> Result<(SendRequest<Payload>, AbortOnDropHandle<()>), ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        // Its error reaches whoever waits for the answer or reads it.
        let task = tokio::spawn(async { drop(connection.await) });
        Ok((sender, AbortOnDropHandle::new(task)))
    }

    async fn refusal(&self, path: &str, reply: Reply) -> ClientError {
        let status = reply.response.status();
        match self.collect(path, reply.response.into_body()).await {
            Ok(body) => {
                let message = screen::one_line(&explanation(&body));
                ClientError::Refused {
                    endpoint: self.endpoint.clone(),
                    status,
                    message,
                }
            }
            Err(error) => error,
        }
    }
}

/// Connects. The kernel asks from then on whether the other end is still there, so that a line that is dead (a laptop
/// that has slept, a cable that was pulled) fails within 40 s: who waits for an answer sends nothing that would tell.
async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    setsockopt(&stream, sockopt::KeepAlive, &true)?;
    setsockopt(&stream, sockopt::TcpKeepIdle, &15)?;
    setsockopt(&stream, sockopt::TcpKeepInterval, &5)?;
    setsockopt(&stream, sockopt::TcpKeepCount, &5)?;
    Ok(stream)
}

/// What the body of a refusal says, in whichever of the two shapes.
fn explanation(body: &[u8]) -> String {
    let problem = serde_json::from_slice::<Problem>(body).map(|problem| problem.detail);
    let openai = || serde_json::from_slice::<ErrorBody>(body).map(|body| body.error.message);
    problem
        .or_else(|_| openai())
        .unwrap_or_else(|_| "no explanation came".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::getsockopt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_line_that_is_dead_is_noticed_by_the_kernel() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = dial("127.0.0.1", listener.local_addr().unwrap().port())
            .await
            .unwrap();
        assert!(getsockopt(&stream, sockopt::KeepAlive).unwrap());
        let [idle, interval, count] = [
            getsockopt(&stream, sockopt::TcpKeepIdle),
            getsockopt(&stream, sockopt::TcpKeepInterval),
            getsockopt(&stream, sockopt::TcpKeepCount),
        ]
        .map(Result::unwrap);
        assert_eq!(idle + interval * count, 40);
    }

    #[test]
    fn both_shapes_of_refusal_are_understood() {
        let problem = br#"{"type":"/problems/x","title":"X","status":404,"detail":"gone"}"#;
        assert_eq!(explanation(problem), "gone");
        let openai = br#"{"error":{"message":"full","type":"server_error","param":null,"code":null}}"#;
        assert_eq!(explanation(openai), "full");
        assert_eq!(explanation(b"<html>"), "no explanation came");
    }

    #[test]
    fn who_may_not_connect_is_not_let_wait_for_it() {
        let is_passing = |kind: io::ErrorKind| {
            let endpoint = Endpoint::Socket("/run/x".into());
            let cause = kind.into();
            ClientError::Connect { endpoint, cause }.is_passing()
        };
        assert!(!is_passing(io::ErrorKind::PermissionDenied));
        assert!(
            is_passing(io::ErrorKind::ConnectionRefused),
            "a gateway that starts anew"
        );
    }

    #[test]
    fn errors_tell_the_way_out() {
        let connect = |endpoint, kind: io::ErrorKind| {
            ClientError::Connect {
                endpoint,
                cause: kind.into(),
            }
            .to_string()
        };
        let socket = Endpoint::Socket("/run/x".into());
        assert!(connect(socket.clone(), io::ErrorKind::PermissionDenied).contains("hearth-admin"));
        assert!(connect(socket.clone(), io::ErrorKind::NotFound).contains("--host"));
        let refused = ClientError::Refused {
            endpoint: socket,
            status: StatusCode::UNAUTHORIZED,
            message: "no".into(),
        };
        assert!(refused.to_string().contains("HEARTH_TOKEN"));
    }
}
