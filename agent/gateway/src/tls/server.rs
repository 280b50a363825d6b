//! The handshake.

use super::{Identity, TlsError};
use nix::unistd::gethostname;
use rustls::{ServerConfig, crypto::ring, server::NoServerSessionStorage};
use std::{io, net::IpAddr, sync::Arc, time::Duration};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How long a handshake may take. Its four flights take well under a second over the slowest network.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What waits in this process, encrypted or to be, for a client that reads slowly.
const BUFFER: usize = 16 << 10;

/// Shakes hands with clients in the name of an identity.
#[derive(Clone)]
pub(crate) struct Acceptor {
    identity: Arc<Identity>,
    acceptor: TlsAcceptor,
}

impl Acceptor {
    /// With TLS 1.2 and 1.3 and rustls' own choice and order of cipher suites, which are all of forward secrecy.
    ///
    /// HTTP/1.1 is all that is offered: the limits on connections are then the limits on requests at a time, and a client
    /// that reads slowly holds back the engine by TCP's own window. HTTP/2 would have both inside a connection.
    pub(crate) fn new(identity: Arc<Identity>) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth();
        let mut config = builder.with_cert_resolver(identity.clone());
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Sessions are resumed by tickets under a key that changes every six hours; nothing is kept for them here.
        config.ticketer = ring::Ticketer::new()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let acceptor = Arc::new(config).into();
        Ok(Self { identity, acceptor })
    }

    /// Shakes hands with a client that has come by this address of ours.
    pub(crate) async fn accept<S>(&self, stream: S, reached_by: IpAddr) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let hostname = gethostname()?;
        let now = OffsetDateTime::now_utc();
        self.identity
            .prepare(&hostname.to_string_lossy(), Some(reached_by), now)
            .inspect_err(|error| tracing::error!("nobody can connect by TLS: {error}"))
            .map_err(io::Error::other)?;
        let limited = |connection: &mut rustls::ServerConnection| connection.set_buffer_limit(Some(BUFFER));
        timeout(HANDSHAKE, self.acceptor.accept_with(stream, limited)).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::{io::AsyncReadExt, time::Instant};

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_shake_hands_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Arc::new(Identity::open(folder.path(), "hearth").unwrap());
        let acceptor = Acceptor::new(identity).unwrap();
        let (mut client, server) = tokio::io::duplex(64);
        let began = Instant::now();
        let error = acceptor
            .accept(server, Ipv4Addr::LOCALHOST.into())
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), began.elapsed()),
            (io::ErrorKind::TimedOut, HANDSHAKE)
        );
        assert_eq!(
            client.read(&mut [0; 8]).await.unwrap(),
            0,
            "hung up without a word"
        );
    }
}
