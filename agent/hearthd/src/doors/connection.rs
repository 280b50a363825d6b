//! One speaker's connection: packets in, packets out.

use api::phase::PhaseRecord;
use futures_util::FutureExt;
use nix::sys::socket::{MsgFlags, recv};
use std::future::pending;
use std::io;
use std::os::fd::AsRawFd;
use tokio::net::{UnixListener, UnixStream};

/// The most packets, or speakers, that are passed over for a newer one before the newest so far is taken.
const MOST_AT_ONCE: usize = 256;

/// Longer than any packet, so that one too long is seen to be.
const BUFFER: usize = PhaseRecord::LENGTH + 1;

/// The last packet of those that wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    bytes: [u8; BUFFER],
    length: usize,
}

impl Packet {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A connection that was accepted. Its packets are taken by `try_read` alone: a read as from a stream would take a
/// short packet for the last one.
#[derive(Debug)]
pub(super) struct Connection(UnixStream);

impl Connection {
    /// Waits for a speaker, and takes the newest of those that have come: each takes the place of the one before.
    pub(super) async fn accept(listener: &UnixListener) -> io::Result<Self> {
        let (mut newest, _) = listener.accept().await?;
        for _ in 0..MOST_AT_ONCE {
            match listener.accept().now_or_never() {
                Some(Ok((stream, _))) => newest = stream,
                // Nobody else waits, or the one who does is for the next time, with the error if it comes again.
                Some(Err(_)) | None => break,
            }
        }
        Ok(Self(newest))
    }

    /// The process that has connected, as the kernel tells it.
    pub(super) fn process(&self) -> Option<u32> {
        let peer = self.0.peer_cred().ok()?;
        u32::try_from(peer.pid()?).ok()
    }

    /// The newest packet that waits now, if any does: what a speaker has said before it hung up, or another came. The
    /// kernel is asked, as the runtime may not know of it yet.
    pub(super) fn rest(&self) -> Option<Packet> {
        let mut newest = None;
        for _ in 0..MOST_AT_ONCE {
            let mut bytes = [0; BUFFER];
            match recv(self.0.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
                Ok(0) | Err(_) => break,
                Ok(length) => newest = Some(Packet { bytes, length }),
            }
        }
        newest
    }

    /// Waits for a packet and takes the newest of those that have come; `None` once the speaker has hung up.
    pub(super) async fn newest(&self) -> io::Result<Option<Packet>> {
        loop {
            self.0.readable().await?;
            match take(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                taken => return taken,
            }
        }
    }

    /// Sends a packet as soon as there is room for it.
    pub(super) async fn send(&self, packet: &[u8]) -> io::Result<()> {
        loop {
            self.0.writable().await?;
            match self.0.try_write(packet) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent.map(drop),
            }
        }
    }
}

/// Waits for a speaker's newest packet, for ever while there is no speaker.
pub(super) async fn newest(speaker: Option<&Connection>) -> io::Result<Option<Packet>> {
    match speaker {
        Some(speaker) => speaker.newest().await,
        None => pending().await,
    }
}

fn take(stream: &UnixStream) -> io::Result<Option<Packet>> {
    let mut newest: Option<Packet> = None;
    for _ in 0..MOST_AT_ONCE {
        let mut bytes = [0; BUFFER];
        match stream.try_read(&mut bytes) {
            // Hung up, and after the newest packet that fact comes again.
            Ok(0) => return Ok(newest),
            Ok(length) => newest = Some(Packet { bytes, length }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return newest.map_or(Err(error), |packet| Ok(Some(packet))),
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream as StdStream;

    #[tokio::test]
    async fn what_was_said_before_a_speaker_went_is_there_at_once() {
        let (mut speaker, listener) = StdStream::pair().unwrap();
        listener.set_nonblocking(true).unwrap();
        let connection = Connection(UnixStream::from_std(listener).unwrap());
        assert!(connection.rest().is_none());
        speaker.write_all(b"last").unwrap();
        drop(speaker);
        assert_eq!(connection.rest().unwrap().bytes(), b"last");
        assert!(connection.rest().is_none());
    }
}
