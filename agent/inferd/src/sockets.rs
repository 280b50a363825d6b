//! What inferd listens on.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixListener};

use crate::door::Socket;

/// Sockets to accept connections on.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) unix: Vec<UnixListener>,
    pub(crate) tcp: Option<TcpListener>,
}

impl Sockets {
    /// All of them.
    pub(crate) fn all(self) -> Vec<Socket> {
        let unix = self.unix.into_iter().map(Socket::Unix);
        unix.chain(self.tcp.map(Socket::Tcp)).collect()
    }
}

/// Takes the sockets that were handed over, and opens one at `listen` if that is given.
pub(crate) async fn open(listen: Option<SocketAddr>) -> Result<Sockets> {
    let mut sockets = Sockets::default();
    let mut inherited = ListenFd::from_env();
    for index in 0..inherited.len() {
        let socket = inherited
            .take_unix_listener(index)
            .with_context(|| format!("inherited descriptor {index} is not a listening Unix socket"))?;
        if let Some(socket) = socket {
            socket
                .set_nonblocking(true)
                .context("cannot make an inherited socket non-blocking")?;
            sockets
                .unix
                .push(UnixListener::from_std(socket).context("cannot use an inherited socket")?);
        }
    }
    if let Some(address) = listen {
        let socket = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        tracing::info!("listening on http://{}", socket.local_addr().unwrap_or(address));
        sockets.tcp = Some(socket);
    }
    ensure!(
        !sockets.unix.is_empty() || sockets.tcp.is_some(),
        "nothing to listen on: start inferd by its systemd socket, or give --listen ADDR"
    );
    Ok(sockets)
}
