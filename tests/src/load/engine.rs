//! An engine that answers at once: what is measured behind it is the gateway.

use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

/// Events of each answer, and bytes of the text that each carries: about a token's chunk.
pub(super) const EVENTS: usize = 64;
const TEXT: usize = 180;

/// Answers everything that comes by the socket with a stream of events, as fast as they are taken.
pub(super) fn listen(socket: &Path) -> Result<()> {
    let listener = UnixListener::bind(socket)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(async |_: Request<Incoming>| {
                let answer = Response::builder().header("content-type", "text/event-stream");
                answer.body(Events::new())
            });
            // A gateway that hangs up is the clients' affair.
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(())
}

/// The body of an answer.
struct Events {
    left: usize,
    event: Bytes,
}

impl Events {
    fn new() -> Self {
        Self {
            left: EVENTS,
            event: format!("data: {}\n\n", "x".repeat(TEXT)).into(),
        }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(self.event.clone()))))
    }
}
