//! One request to inferd, over a connection of its own.
//!
//! What is tried again, and why it is safe: a connection that could not be made has carried nothing, and a request
//! that hyper hands back unsent has not been seen; both are tried again for under a second, in which systemd or a
//! developer restarts inferd. A request of which a byte may have left is never repeated: its body has been streamed
//! and is gone, and it may be what killed the engine. The client gets 502 with `Retry-After` and decides.

use super::stream::EngineStream;
use crate::intake::Intake;
use hyper::{
    Request, Response,
    body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    net::UnixStream,
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// How long the engine may be silent, before its answer begins and within it. Long prompts on slow processors take
/// minutes; OpenAI's own clients give up after ten.
const PATIENCE: Duration = Duration::from_secs(600);
/// Pauses before another attempt, in milliseconds.
const PAUSES_MS: [u64; 4] = [50, 100, 200, 400];
/// Bytes of an answer that wait in this process for a slow client.
const BUFFER: usize = 16 << 10;

/// Why inferd gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// Its socket takes no connection.
    #[error("the engine's socket {path} takes no connection: {source}")]
    Connect { path: PathBuf, source: io::Error },
    /// It hung up before it answered.
    #[error("the engine ended before it answered: {0}")]
    Lost(hyper::Error),
    /// It did not answer in time.
    #[error("the engine did not answer within {} s", .0.as_secs())]
    Silent(Duration),
}

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokenOff {
    /// inferd hung up in the middle.
    #[error("the engine ended in the middle of its answer: {0}")]
    Lost(#[from] hyper::Error),
    /// It stopped talking.
    #[error("the engine has been silent for {} s", PATIENCE.as_secs())]
    Silent,
}

/// The way to inferd.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    socket: PathBuf,
}

impl Upstream {
    /// By a Unix socket.
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The Unix socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a request. Dropping the future, or the answer, closes the connection, whereupon inferd stops working.
    pub(crate) async fn send(&self, request: Request<Intake>) -> Result<Response<Answer>, UpstreamError> {
        timeout(PATIENCE, self.attempt(request))
            .await
            .map_err(|_| UpstreamError::Silent(PATIENCE))?
    }

    async fn attempt(&self, mut request: Request<Intake>) -> Result<Response<Answer>, UpstreamError> {
        for pause in PAUSES_MS {
            let (mut sender, connection) = self.open().await?;
            let mut failure = match sender.try_send_request(request).await {
                Ok(response) => return Ok(response.map(|body| Answer::new(body, connection))),
                Err(failure) => failure,
            };
            request = match failure.take_message() {
                Some(unsent) => unsent,
                None => return Err(UpstreamError::Lost(failure.into_error())),
            };
            sleep(Duration::from_millis(pause)).await;
        }
        let source = io::ErrorKind::ConnectionAborted.into();
        Err(UpstreamError::Connect {
            path: self.socket.clone(),
            source,
        })
    }

    async fn open(&self) -> Result<(http1::SendRequest<Intake>, AbortOnDropHandle<()>), UpstreamError> {
        let stream = self.connect().await.map_err(|source| UpstreamError::Connect {
            path: self.socket.clone(),
            source,
        })?;
        let handshake = http1::Builder::new()
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(EngineStream(stream)));
        let (sender, connection) = handshake.await.map_err(UpstreamError::Lost)?;
        // Its error reaches whoever waits for the answer or reads it.
        let task = tokio::spawn(async { drop(connection.await) });
        Ok((sender, AbortOnDropHandle::new(task)))
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        for pause in PAUSES_MS {
            match UnixStream::connect(&self.socket).await {
                Err(error) if may_pass(&error) => sleep(Duration::from_millis(pause)).await,
                outcome => return outcome,
            }
        }
        UnixStream::connect(&self.socket).await
    }
}

/// Nobody listens yet, the socket is being made, or the backlog is full (EAGAIN).
fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound, WouldBlock};
    matches!(error.kind(), ConnectionRefused | NotFound | WouldBlock)
}

/// The body of inferd's answer, which holds the connection that it comes by.
#[derive(Debug)]
pub(crate) struct Answer {
    incoming: Incoming,
    patience: Pin<Box<Sleep>>,
    _connection: AbortOnDropHandle<()>,
}

impl Answer {
    fn new(incoming: Incoming, connection: AbortOnDropHandle<()>) -> Self {
        Self {
            incoming,
            patience: Box::pin(sleep(PATIENCE)),
            _connection: connection,
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
            self.patience.as_mut().reset(Instant::now() + PATIENCE);
            return Poll::Ready(frame.map(|frame| frame.map_err(BrokenOff::Lost)));
        }
        ready!(self.patience.as_mut().poll(cx));
        Poll::Ready(Some(Err(BrokenOff::Silent)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    fn absent() -> (tempfile::TempDir, Upstream) {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::new(folder.path().join("infer.sock"));
        (folder, upstream)
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_comes_back_soon_is_waited_for() {
        let (_folder, upstream) = absent();
        let socket = upstream.socket().to_owned();
        let connecting = tokio::spawn(async move { upstream.connect().await });
        sleep(Duration::from_millis(700)).await;
        assert!(!connecting.is_finished());
        let _engine = UnixListener::bind(socket).unwrap();
        connecting.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_stays_away_is_given_up_within_a_second() {
        let (_folder, upstream) = absent();
        let began = Instant::now();
        let error = upstream.connect().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}
