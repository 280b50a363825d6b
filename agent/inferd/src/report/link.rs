//! The connection to hearthd: packets that never block.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as Socket;
use std::path::Path;

use api::phase::EngineOrder;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket};
use tokio::net::UnixStream;

/// A connection. Of a `UnixStream` it has the way of waiting only: each read and write is one whole packet.
pub(super) struct Link(UnixStream);

impl Link {
    /// Connects without waiting. A full backlog is an error like any other.
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let own = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        connect(own.as_raw_fd(), &UnixAddr::new(path)?)?;
        UnixStream::from_std(Socket::from(own)).map(Self)
    }

    /// Sends a packet. Whether there was room for it, as the kernel knows: tokio knows only what it has waited for.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<bool> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(self.0.as_raw_fd(), packet, flags) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The next order.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when hearthd has gone, [`io::ErrorKind::InvalidData`] for what is no order.
    pub(super) async fn order(&self) -> io::Result<EngineOrder> {
        let mut packet = [0; EngineOrder::LENGTH + 1];
        match receive(&self.0, &mut packet).await? {
            [] => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has gone")),
            packet => {
                EngineOrder::decode(packet).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }
}

/// The next packet, cut to the room there is; empty at the end.
pub(super) async fn receive<'a>(socket: &UnixStream, room: &'a mut [u8]) -> io::Result<&'a [u8]> {
    loop {
        socket.readable().await?;
        match socket.try_read(room) {
            Ok(length) => return Ok(&room[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
