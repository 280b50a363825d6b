//! The sockets by which requests come.

use anyhow::{Context, bail};
use listenfd::ListenFd;
use nix::sys::socket::{setsockopt, sockopt};
use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

/// Connections that wait to be taken, as many as by the socket units. Where there is no room for one more, who comes is only
/// heard after the second in which TCP tries again.
const BACKLOG: u32 = 1024;
/// What the kernel may hold of an answer that a client does not take. It bounds the kernel's memory over all
/// connections, and makes the engine wait for a client that reads slowly.
const SEND_BUFFER: usize = 64 << 10;
/// The names that the socket units give the sockets (`FileDescriptorName=`).
const NAMES: [&str; 3] = [TLS, PLAIN, LOCAL];
const TLS: &str = "https";
const PLAIN: &str = "http";
const LOCAL: &str = "local";

/// The sockets by which requests come.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// For TLS.
    pub(crate) tls: Vec<TcpListener>,
    /// For plain HTTP.
    pub(crate) plain: Vec<TcpListener>,
    /// For users of this machine.
    pub(crate) local: Option<UnixListener>,
}

impl Sockets {
    /// Those inherited from systemd.
    pub(crate) fn inherited() -> anyhow::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut descriptors = ListenFd::from_env();
        let mut sockets = Self::default();
        for index in 0..descriptors.len() {
            let name = names.split(':').nth(index).unwrap_or_default();
            sockets
                .inherit(name, &mut descriptors, index)
                .with_context(|| format!("the inherited socket {name:?} cannot be used"))?;
        }
        Ok(sockets)
    }

    fn inherit(&mut self, name: &str, descriptors: &mut ListenFd, index: usize) -> anyhow::Result<()> {
        match name {
            TLS => self.tls.extend(inherited_tcp(descriptors, index)?),
            PLAIN => self.plain.extend(inherited_tcp(descriptors, index)?),
            LOCAL => self.local = inherited_unix(descriptors, index)?,
            _ => bail!("the names known here are {NAMES:?} (FileDescriptorName=)"),
        }
        Ok(())
    }

    /// Listens for TLS on an address, too.
    pub(crate) fn listen_tls(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        self.tls.push(tcp(address)?);
        Ok(())
    }

    /// Listens for plain HTTP on an address, too.
    pub(crate) fn listen_plain(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        self.plain.push(tcp(address)?);
        Ok(())
    }

    /// Listens for users of this machine at a path instead.
    pub(crate) fn listen_local(&mut self, path: &Path) -> anyhow::Result<()> {
        let listener = unix(path).with_context(|| format!("cannot listen on {}", path.display()))?;
        self.local = Some(listener);
        Ok(())
    }

    /// The port by which others reach TLS.
    pub(crate) fn tls_port(&self) -> anyhow::Result<u16> {
        let ports = self.tls.iter().map(|listener| Ok(listener.local_addr()?.port()));
        let ports = ports.collect::<io::Result<Vec<u16>>>()?;
        let usual = ports.iter().find(|port| **port == 443).or(ports.first());
        usual
            .copied()
            .context("no socket for TLS: give --listen, or start by hearth-gateway-https.socket")
    }
}

fn tcp(address: SocketAddr) -> anyhow::Result<TcpListener> {
    bind(address).with_context(|| format!("cannot listen on {address}"))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()
    } else {
        TcpSocket::new_v4()
    }?;
    socket.set_reuseaddr(true)?;
    setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn inherited_tcp(descriptors: &mut ListenFd, index: usize) -> io::Result<Option<TcpListener>> {
    let Some(listener) = descriptors.take_tcp_listener(index)? else {
        return Ok(None);
    };
    setsockopt(&listener, sockopt::SndBuf, &SEND_BUFFER)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(Some)
}

fn inherited_unix(descriptors: &mut ListenFd, index: usize) -> io::Result<Option<UnixListener>> {
    let Some(listener) = descriptors.take_unix_listener(index)? else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener).map(Some)
}

fn unix(path: &Path) -> io::Result<UnixListener> {
    // What a gateway that was killed left behind; anything but a socket is not ours to remove.
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.sock");
        drop(unix(&path).unwrap());
        unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let file = folder.path().join("file");
        fs::write(&file, "mine").unwrap();
        assert!(unix(&file).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }
}
