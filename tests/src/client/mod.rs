//! A small blocking HTTP client that shows what a test wants to see: statuses, headers, events, and how a stream ends.
//!
//! Each exchange has a connection and a runtime of its own, so that dropping a [`Stream`] is at once what a client that
//! hangs up looks like on the wire.

mod stream;
mod trust;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::openai::{ChatCompletion, ChatRequest, Content, Message};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

pub use stream::{Event, Stream};
pub use trust::Trust;

/// The longest that one answer, or one event of a stream, may take. Generous: an emulated guest is slow.
const LIMIT: Duration = Duration::from_secs(300);

/// Where a server listens.
#[derive(Clone, Debug)]
enum Address {
    Tcp(SocketAddr),
    Tls(SocketAddr, Trust),
    Unix(PathBuf),
}

/// A client of one server, with or without a token.
#[derive(Clone, Debug)]
pub struct Client {
    address: Address,
    token: Option<String>,
    accept: Option<&'static str>,
    limit: Duration,
}

impl Client {
    /// A client of a TCP address.
    pub fn tcp(address: SocketAddr) -> Self {
        Self::new(Address::Tcp(address))
    }

    /// A client of a TCP address that speaks TLS and is known by its address.
    pub fn tls(address: SocketAddr, trust: &Trust) -> Self {
        Self::new(Address::Tls(address, trust.clone()))
    }

    /// A client of a Unix socket.
    pub fn unix(path: &Path) -> Self {
        Self::new(Address::Unix(path.to_owned()))
    }

    fn new(address: Address) -> Self {
        Self {
            address,
            token: None,
            accept: None,
            limit: LIMIT,
        }
    }

    /// The same with a bearer token.
    pub fn with_token(&self, token: &str) -> Self {
        let token = Some(token.to_owned());
        Self {
            token,
            ..self.clone()
        }
    }

    /// The same that wants its answers in this form, as a browser wants a page.
    pub fn accepting(&self, form: &'static str) -> Self {
        Self {
            accept: Some(form),
            ..self.clone()
        }
    }

    /// The same with less patience: `limit` for an answer or an event.
    pub fn with_limit(&self, limit: Duration) -> Self {
        Self {
            limit,
            ..self.clone()
        }
    }

    /// `GET path`.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.exchange("GET", path, Bytes::new())
    }

    /// `POST path` with a JSON body.
    pub fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.exchange("POST", path, serde_json::to_vec(body)?.into())
    }

    /// `DELETE path`.
    pub fn delete(&self, path: &str) -> Result<Answer> {
        self.exchange("DELETE", path, Bytes::new())
    }

    /// Any method with any body.
    pub fn exchange(&self, method: &str, path: &str, body: Bytes) -> Result<Answer> {
        let (runtime, response) = self.begin(method, path, body)?;
        let (head, body) = response.into_parts();
        let body = within(&runtime, self.limit, "the answer's body", async {
            Ok(body.collect().await?.to_bytes())
        })?;
        Ok(Answer { head, body })
    }

    /// Asks without streaming; an error unless the answer is 200.
    pub fn chat(&self, request: &ChatRequest) -> Result<ChatCompletion> {
        self.post("/v1/chat/completions", request)?.expect(200)?.json()
    }

    /// Asks with streaming; an error unless the stream begins with 200.
    pub fn stream(&self, request: &ChatRequest) -> Result<Stream> {
        let request = ChatRequest {
            stream: true,
            ..request.clone()
        };
        let body = serde_json::to_vec(&request)?.into();
        let (runtime, response) = self.begin("POST", "/v1/chat/completions", body)?;
        if response.status() != 200 {
            bail!("the stream did not begin: {}", response.status());
        }
        Ok(Stream::new(runtime, response.into_body(), self.limit))
    }

    /// `GET path` of what comes in events; an error unless the stream begins with 200.
    pub fn events(&self, path: &str) -> Result<Stream> {
        let (runtime, response) = self.begin("GET", path, Bytes::new())?;
        if response.status() != 200 {
            bail!("the stream did not begin: {}", response.status());
        }
        Ok(Stream::new(runtime, response.into_body(), self.limit))
    }

    fn begin(&self, method: &str, path: &str, body: Bytes) -> Result<(Runtime, Response<Incoming>)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let request = self.request(method, path, body)?;
        let what = format!("an answer to {method} {path}");
        let response = within(&runtime, self.limit, &what, async {
            let mut sender = self.connect().await?;
            Ok(sender.send_request(request).await?)
        });
        let response = response.with_context(|| format!("{method} {path} of {:?}", self.address))?;
        Ok((runtime, response))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        match &self.address {
            Address::Tcp(address) => shake(TokioIo::new(TcpStream::connect(address).await?)).await,
            Address::Tls(address, trust) => {
                let stream = TcpStream::connect(address).await?;
                let connector = TlsConnector::from(trust.0.clone());
                shake(TokioIo::new(
                    connector.connect(address.ip().into(), stream).await?,
                ))
                .await
            }
            Address::Unix(path) => shake(TokioIo::new(UnixStream::connect(path).await?)).await,
        }
    }

    fn request(&self, method: &str, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "hearth.test");
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(form) = self.accept {
            request = request.header("accept", form);
        }
        Ok(request.body(Full::new(body))?)
    }
}

async fn shake<T>(io: TokioIo<T>) -> Result<SendRequest<Full<Bytes>>>
where
    TokioIo<T>: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(io).await?;
    // What goes wrong with the connection is told by the exchange on it.
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}

/// Runs an exchange's next part, for no longer than `limit`.
fn within<T>(
    runtime: &Runtime,
    limit: Duration,
    what: &str,
    part: impl Future<Output = Result<T>>,
) -> Result<T> {
    let limited = runtime.block_on(async { tokio::time::timeout(limit, part).await });
    limited.with_context(|| format!("waited {} s for {what}", limit.as_secs()))?
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    head: hyper::http::response::Parts,
    body: Bytes,
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// A header's value, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The body as text, whatever it holds.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).with_context(|| format!("not the JSON wanted: {}", self.text()))
    }

    /// An error that shows the body unless the status is this one.
    pub fn expect(self, status: u16) -> Result<Self> {
        if self.status() != status {
            bail!("status {} instead of {status}: {}", self.status(), self.text());
        }
        Ok(self)
    }
}

/// A greedy request for at most `tokens` tokens of an answer to one question.
pub fn greedy(model: &str, question: &str, tokens: u32) -> ChatRequest {
    ChatRequest {
        model: model.to_owned(),
        messages: vec![message("user", question)],
        max_tokens: Some(tokens),
        temperature: Some(0.0),
        ..ChatRequest::default()
    }
}

/// The same where it does not matter what is answered: one word stands for the system message of twenty tokens that the
/// model's template would add, which an emulated guest reads for ten seconds.
pub fn brief(model: &str, question: &str, tokens: u32) -> ChatRequest {
    let mut request = greedy(model, question, tokens);
    request.messages.insert(0, message("system", "Answer."));
    request
}

fn message(role: &str, text: &str) -> Message {
    Message {
        role: role.to_owned(),
        content: Content::Text(text.to_owned()),
    }
}

/// What a completion says.
pub fn said(completion: &ChatCompletion) -> Result<&str> {
    match completion.choices.first().map(|choice| &choice.message.content) {
        Some(Content::Text(text)) => Ok(text),
        other => bail!("a completion without text: {other:?}"),
    }
}
