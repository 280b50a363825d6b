//! Connections: who may come in, and for how long the door stands open.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::life::Life;

/// Connections that are open at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 128;
/// How long a client may take to send its headers.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Most bytes of a request's headers.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// What every connection needs.
pub(crate) struct Door {
    router: Router,
    life: Life,
    connections: GracefulShutdown,
    permits: Arc<Semaphore>,
}

/// What is listened on.
pub(crate) enum Socket {
    /// Inherited.
    Unix(UnixListener),
    /// Opened here.
    Tcp(TcpListener),
}

/// The open door.
pub(crate) struct Accepting {
    tasks: JoinSet<Socket>,
    close: watch::Sender<bool>,
}

impl Accepting {
    /// Accepts connections from now on.
    pub(crate) fn start(door: &Arc<Door>, sockets: Vec<Socket>) -> Self {
        let (close, closing) = watch::channel(false);
        let accept = |socket| accept(Arc::clone(door), socket, closing.clone());
        let tasks = sockets.into_iter().map(accept).collect();
        Self { tasks, close }
    }

    /// Accepts none any more. All that were accepted are counted by then; others wait in the kernel's queue.
    pub(crate) async fn stop(self) -> Vec<Socket> {
        self.close.send_replace(true);
        self.tasks.join_all().await
    }
}

async fn accept(door: Arc<Door>, mut socket: Socket, mut closing: watch::Receiver<bool>) -> Socket {
    loop {
        // Waiting for a connection can be given up without losing one: it is either taken, or not.
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return socket,
            () = door.welcome_next(&mut socket) => {}
        }
    }
}

impl Door {
    /// Before these routes.
    pub(crate) fn new(router: Router, life: Life) -> Self {
        Self {
            router,
            life,
            connections: GracefulShutdown::new(),
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }

    async fn welcome_next(&self, socket: &mut Socket) {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return;
        };
        match socket {
            Socket::Unix(socket) => self.welcome(Listener::accept(socket).await.0, permit),
            Socket::Tcp(socket) => self.welcome(Listener::accept(socket).await.0, permit),
        }
    }

    fn welcome(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        permit: OwnedSemaphorePermit,
    ) {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(self.router.clone()),
            );
        let connection = self.connections.watch(connection);
        let present = self.life.connection();
        tokio::spawn(async move {
            let _held = (permit, present);
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended early: {error}");
            }
        });
    }

    /// Lets running answers end, for so long at most.
    pub(crate) async fn finish(door: Arc<Self>, time: Duration) -> Result<()> {
        let door = Arc::into_inner(door).context("connections are still being accepted")?;
        tracing::info!(connections = door.connections.count(), "stopping");
        if timeout(time, door.connections.shutdown()).await.is_err() {
            tracing::warn!("answers were cut off: they did not end in {} s", time.as_secs());
        }
        Ok(())
    }
}
