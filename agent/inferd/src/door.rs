//! Connections: who may come in, and for how long the door stands open.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
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
/// How long those who were let in may take to ask when nobody is let in any more.
const FIRST_WORD: Duration = Duration::from_secs(1);
/// Most bytes of a request's headers.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// What every connection needs.
pub(crate) struct Door {
    router: Router,
    life: Life,
    connections: GracefulShutdown,
    permits: Arc<Semaphore>,
    /// How many of those who were let in have not asked anything yet.
    silent: watch::Sender<usize>,
}

/// One who has not asked anything yet.
struct Silent(watch::Sender<usize>);

impl Silent {
    fn among(silent: &watch::Sender<usize>) -> Self {
        silent.send_modify(|count| *count += 1);
        Self(silent.clone())
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
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
            silent: watch::Sender::new(0),
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
        let silent = Cell::new(Some(Silent::among(&self.silent)));
        let routes = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |request| {
            drop(silent.take());
            routes.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let connection = self.connections.watch(connection);
        let present = self.life.connection();
        tokio::spawn(async move {
            let _held = (permit, present);
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended early: {error}");
            }
        });
    }

    /// Hears those who were let in, and lets running answers end, for so long at most.
    pub(crate) async fn finish(door: Arc<Self>, time: Duration) -> Result<()> {
        let door = Arc::into_inner(door).context("connections are still being accepted")?;
        tracing::info!(connections = door.connections.count(), "stopping");
        // A connection on which nothing was read yet would be closed, and with it go a request that is on its way.
        let mut silent = door.silent.subscribe();
        let are_heard = silent.wait_for(|count| *count == 0);
        if timeout(FIRST_WORD, are_heard).await.is_err() {
            tracing::debug!("some have connected and ask nothing");
        }
        if timeout(time, door.connections.shutdown()).await.is_err() {
            tracing::warn!("answers were cut off: they did not end in {} s", time.as_secs());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::task::{JoinHandle, yield_now};

    use super::*;
    use crate::life::{KeepAlive, Limits};

    /// Somebody who was let in, at a door that is being closed.
    async fn let_in_last() -> (UnixStream, JoinHandle<Result<()>>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("door");
        let listener = UnixListener::bind(&path).unwrap();
        let life = Life::new(Limits {
            keep_alive: KeepAlive::Ever,
            exit: KeepAlive::Ever,
        });
        let router = Router::new().route("/", get(|| async { "heard" }));
        let door = Arc::new(Door::new(router, life.clone()));
        let accepting = Accepting::start(&door, vec![Socket::Unix(listener)]);
        let client = UnixStream::connect(&path).await.unwrap();
        life.met().await;
        accepting.stop().await;
        let closing = tokio::spawn(Door::finish(door, Duration::from_secs(60)));
        // The connection hears of it.
        for _ in 0..10 {
            yield_now().await;
        }
        (client, closing)
    }

    #[tokio::test]
    async fn who_was_let_in_is_answered_although_he_asks_late() {
        let (mut client, closing) = let_in_last().await;
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("heard"),
            "{answer}"
        );
        closing.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_let_in_and_asks_nothing_is_not_waited_for_long() {
        let (mut client, closing) = let_in_last().await;
        let begun = tokio::time::Instant::now();
        closing.await.unwrap().unwrap();
        assert!(begun.elapsed() <= 2 * FIRST_WORD);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "it was hung up");
    }
}
