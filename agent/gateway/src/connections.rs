//! Connections: how many, how long, and how they end.

use crate::{caller::Peer, slots::Slots};
use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use std::{io, pin::pin, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::sleep,
};
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
/// What a connection too many is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\
    Connection: close\r\n\r\n";

/// Serves connections until it is told to stop.
#[derive(Clone)]
pub(crate) struct Connections {
    router: Router,
    stopping: CancellationToken,
    running: TaskTracker,
}

impl Connections {
    /// Serves by a router.
    pub(crate) fn new(router: Router) -> Self {
        Self {
            router,
            stopping: CancellationToken::new(),
            running: TaskTracker::new(),
        }
    }

    /// Takes connections from the network.
    pub(crate) async fn accept_network(self, listener: TcpListener) {
        let slots = Slots::new(MOST_NETWORK, MOST_FROM_ONE);
        while let Some(accepted) = self.stopping.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, address)) => match prepare(&stream) {
                    Ok(()) => self.admit(
                        stream,
                        Peer::Network(address.ip().to_canonical()),
                        &slots,
                        try_write_tcp,
                    ),
                    Err(error) => tracing::debug!("{address} is gone already: {error}"),
                },
                Err(error) => pause(&error).await,
            }
        }
    }

    /// Takes connections from users of this machine.
    pub(crate) async fn accept_local(self, listener: UnixListener) {
        let slots = Slots::new(MOST_LOCAL, MOST_LOCAL);
        while let Some(accepted) = self.stopping.run_until_cancelled(listener.accept()).await {
            match accepted.and_then(|(stream, _)| Ok((stream.peer_cred()?.uid(), stream))) {
                Ok((uid, stream)) => self.admit(stream, Peer::Local { uid }, &slots, UnixStream::try_write),
                Err(error) => pause(&error).await,
            }
        }
    }

    /// Stops taking connections and lets running answers finish; tells whether they did in time.
    pub(crate) async fn stop(self, patience: Duration) -> bool {
        self.stopping.cancel();
        self.running.close();
        tokio::time::timeout(patience, self.running.wait()).await.is_ok()
    }

    fn admit<S>(&self, stream: S, peer: Peer, slots: &Slots, refuse: fn(&S, &[u8]) -> io::Result<usize>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(slot) = slots.take(peer.address()) else {
            // Told once, without waiting: whoever does not take it learns it from the closing.
            if let Err(error) = refuse(&stream, FULL) {
                tracing::debug!("{peer:?} was not told that all connections are taken: {error}");
            }
            return;
        };
        let (router, stopping) = (self.router.clone(), self.stopping.clone());
        self.running.spawn(async move {
            serve(stream, peer, router, stopping).await;
            drop(slot);
        });
    }
}

async fn serve<S>(stream: S, peer: Peer, router: Router, stopping: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let outcome = match stopping.run_until_cancelled(connection.as_mut()).await {
        Some(outcome) => outcome,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!("connection from {peer:?} ended: {error}");
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

fn try_write_tcp(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    stream.try_write(bytes)
}

/// Out of descriptors or memory: others must end first, and asking again at once would only burn the processor.
async fn pause(error: &io::Error) {
    tracing::warn!("cannot take a connection: {error}");
    sleep(Duration::from_millis(100)).await;
}
