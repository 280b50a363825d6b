//! The sockets by which requests come.

use anyhow::{Context, bail};
use listenfd::ListenFd;
use nix::{
    errno::Errno,
    sys::socket::{setsockopt, sockopt},
};
use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

const PORT: u16 = 8080;
const BACKLOG: u32 = 128;
/// What the kernel may hold of an answer that a client does not take. It bounds the kernel's memory over all
/// connections, and makes the engine wait for a client that reads slowly.
const SEND_BUFFER: u32 = 64 << 10;
/// The name that the socket unit gives the local socket (`FileDescriptorName=`).
const LOCAL: &str = "local";

/// Listens on the network: on the addresses given, else on port 8080 of all of this machine's.
pub(crate) fn network(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    if addresses.is_empty() {
        return Ok(vec![everywhere()?]);
    }
    let bind = |address: &SocketAddr| tcp(*address).with_context(|| format!("cannot listen on {address}"));
    addresses.iter().map(bind).collect()
}

fn everywhere() -> anyhow::Result<TcpListener> {
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    match tcp(v6) {
        Err(error) if lacks_v6(&error) => tcp(v4).with_context(|| format!("cannot listen on {v4}")),
        outcome => outcome.with_context(|| format!("cannot listen on {v6}")),
    }
}

/// The kernel has no IPv6, or it is switched off for all interfaces.
fn lacks_v6(error: &io::Error) -> bool {
    let codes = [Errno::EAFNOSUPPORT, Errno::EADDRNOTAVAIL].map(|code| code as i32);
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()
    } else {
        TcpSocket::new_v4()
    }?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The local socket: at a path, or inherited from systemd, or none.
pub(crate) fn local(path: Option<&PathBuf>) -> anyhow::Result<Option<UnixListener>> {
    match path {
        Some(path) => unix(path)
            .map(Some)
            .with_context(|| format!("cannot listen on {}", path.display())),
        None => inherited(),
    }
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

fn inherited() -> anyhow::Result<Option<UnixListener>> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut sockets = ListenFd::from_env();
    let Some(place) = place_of(LOCAL, &names, sockets.len()) else {
        if sockets.len() > 0 {
            bail!("none of the inherited sockets is named {LOCAL:?} (LISTEN_FDNAMES={names:?})");
        }
        return Ok(None);
    };
    let socket = sockets
        .take_unix_listener(place)
        .context("the inherited local socket cannot be used")?;
    let Some(socket) = socket else { return Ok(None) };
    socket.set_nonblocking(true)?;
    Ok(Some(UnixListener::from_std(socket)?))
}

fn place_of(name: &str, names: &str, count: usize) -> Option<usize> {
    names.split(':').take(count).position(|found| found == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inherited_socket_is_found_by_its_name() {
        assert_eq!(place_of(LOCAL, "http:local", 2), Some(1));
        assert_eq!(place_of(LOCAL, "http:local", 1), None);
        assert_eq!(place_of(LOCAL, "", 1), None);
        assert_eq!(place_of(LOCAL, "local", 0), None);
    }

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
