//! Connections: how many, how long, and how they end.

use crate::{
    caller::{Door, Peer},
    slots::{Slot, Slots, Turn},
    tls::Acceptor,
};
use axum::{Router, body::Body};
use bytes::Bytes;
use hyper::{
    Request,
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use std::{
    io,
    net::IpAddr,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener},
    time::{sleep, timeout},
};
use tokio_rustls::server::TlsStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

/// Connections from the network at a time.
const MOST_NETWORK: usize = 256;
/// And from one address, or one IPv6 network: many clients at once, or a proxy in front, and still no machine takes all.
const MOST_FROM_ONE: usize = 64;
/// Connections to the local socket at a time: apart, so that the network cannot keep the administrator out.
const MOST_LOCAL: usize = 32;
/// How long a request's head may take, and how long a connection may be idle between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// A request's head, and what waits in this process of an answer.
const BUFFER: usize = 16 << 10;
/// Header lines of a request.
const MOST_HEADERS: usize = 64;
/// How long the other end may leave bytes unacknowledged, or a full window unread, before it counts as gone.
const DEAD_AFTER: Duration = Duration::from_secs(60);
/// How long a connection that gives way may take to send what waits of its last answer.
const LAST_BYTES: Duration = Duration::from_millis(100);
/// What a connection too many is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\
    Connection: close\r\n\r\n";

/// Serves connections until it is told to stop.
#[derive(Clone)]
pub(crate) struct Connections {
    stopping: CancellationToken,
    running: TaskTracker,
}

impl Connections {
    /// None yet. All stop when `stopping` fires.
    pub(crate) fn new(stopping: CancellationToken) -> Self {
        Self {
            stopping,
            running: TaskTracker::new(),
        }
    }

    /// Takes connections from the network and speaks TLS with them. The slot that one takes is for its handshake, too.
    pub(crate) async fn accept_tls(self, listener: TcpListener, acceptor: Acceptor, router: Router) {
        let slots = Slots::new(MOST_NETWORK, MOST_FROM_ONE);
        while let Some((stream, address)) = self.next(&listener).await {
            let peer = Peer::Network(address);
            // Nothing can be told before the handshake.
            let Some(slot) = slots.take(peer.address()) else {
                continue;
            };
            let (this, acceptor, router) = (self.clone(), acceptor.clone(), router.clone());
            self.running.spawn(async move {
                let shaking = this.shake_hands(stream, &acceptor, peer);
                if let Some(Some(stream)) = slot.gives_way().run_until_cancelled(shaking).await {
                    serve(stream, peer, Door::Tls, router, slot, this.stopping).await;
                }
            });
        }
    }

    /// Takes connections from the network and speaks plain HTTP with them.
    pub(crate) async fn accept_plain(self, listener: TcpListener, router: Router) {
        let slots = Slots::new(MOST_NETWORK, MOST_FROM_ONE);
        while let Some((stream, address)) = self.next(&listener).await {
            let peer = Peer::Network(address);
            match slots.take(peer.address()) {
                Some(slot) => self.admit(stream, peer, Door::Plain, router.clone(), slot),
                None => tell_full(peer, stream.try_write(FULL)),
            }
        }
    }

    /// Takes connections from users of this machine.
    pub(crate) async fn accept_local(self, listener: UnixListener, router: Router) {
        let slots = Slots::new(MOST_LOCAL, MOST_LOCAL);
        while let Some(accepted) = self.stopping.run_until_cancelled(listener.accept()).await {
            let accepted = accepted.and_then(|(stream, _)| Ok((stream.peer_cred()?.uid(), stream)));
            let (peer, stream) = match accepted {
                Ok((uid, stream)) => (Peer::Local { uid }, stream),
                Err(error) => {
                    pause(&error).await;
                    continue;
                }
            };
            match slots.take(None) {
                Some(slot) => self.admit(stream, peer, Door::Local, router.clone(), slot),
                None => tell_full(peer, stream.try_write(FULL)),
            }
        }
    }

    /// The next connection from the network; `None` once it is to stop.
    async fn next(&self, listener: &TcpListener) -> Option<(TcpStream, IpAddr)> {
        loop {
            match self.stopping.run_until_cancelled(listener.accept()).await? {
                Ok((stream, address)) => match prepare(&stream) {
                    Ok(()) => return Some((stream, address.ip().to_canonical())),
                    Err(error) => tracing::debug!("{address} is gone already: {error}"),
                },
                Err(error) => pause(&error).await,
            }
        }
    }

    async fn shake_hands(
        &self,
        stream: TcpStream,
        acceptor: &Acceptor,
        peer: Peer,
    ) -> Option<TlsStream<TcpStream>> {
        let shaking = async {
            let reached_by = stream.local_addr()?.ip();
            acceptor.accept(stream, reached_by).await
        };
        let outcome = self.stopping.run_until_cancelled(shaking).await?;
        outcome
            .map_err(|error| tracing::debug!("no handshake with {peer:?}: {error}"))
            .ok()
    }

    /// Stops taking connections and lets running answers finish; tells whether they did in time.
    pub(crate) async fn stop(self, patience: Duration) -> bool {
        self.stopping.cancel();
        self.running.close();
        timeout(patience, self.running.wait()).await.is_ok()
    }

    fn admit<S>(&self, stream: S, peer: Peer, door: Door, router: Router, slot: Slot)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stopping = self.stopping.clone();
        self.running.spawn(async move {
            serve(stream, peer, door, router, slot, stopping).await;
        });
    }
}

async fn serve<S>(stream: S, peer: Peer, door: Door, router: Router, slot: Slot, stopping: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|mut request: Request<Incoming>| {
        let turn = slot.begin();
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(door);
        request.extensions_mut().insert(turn.clone());
        let answer = router.clone().call(request);
        async move {
            answer
                .await
                .map(|response| response.map(|inner| Answer { inner, _turn: turn }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = slot.gives_way().cancelled() => {
            connection.as_mut().graceful_shutdown();
            // Whoever has not even sent a whole request is not waited for.
            timeout(LAST_BYTES, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = outcome {
        tracing::debug!("connection from {peer:?} ended: {error}");
    }
}

/// A response's body: as long as it is being sent, its request is being answered.
struct Answer {
    inner: Body,
    _turn: Turn,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &20)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &10)?;
    setsockopt(stream, sockopt::TcpUserTimeout, &(DEAD_AFTER.as_millis() as u32))?;
    Ok(())
}

/// Told once, without waiting: whoever does not take it learns it from the closing.
fn tell_full(peer: Peer, outcome: io::Result<usize>) {
    if let Err(error) = outcome {
        tracing::debug!("{peer:?} was not told that all connections are taken: {error}");
    }
}

/// Out of descriptors or memory: others must end first, and asking again at once would only burn the processor.
async fn pause(error: &io::Error) {
    tracing::warn!("cannot take a connection: {error}");
    sleep(Duration::from_millis(100)).await;
}
