//! Tells hearthd that a request has come, so that the clock is up before the engine is even awake.
//!
//! No request waits for it or fails by it: what cannot be said at once is not said.

use api::phase::ARRIVAL;
use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket},
};
use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// The way to hearthd.
#[derive(Debug)]
pub(crate) struct Arrivals {
    socket: PathBuf,
    link: Mutex<Link>,
}

#[derive(Debug, Default)]
struct Link {
    own: Option<OwnedFd>,
    /// Whether the log knows that hearthd cannot be told.
    told: bool,
}

impl Arrivals {
    /// By a socket of packets.
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            link: Mutex::default(),
        }
    }

    /// Says that a request has come.
    pub(crate) fn announce(&self) {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        match self.say(&mut link.own) {
            Ok(()) if link.told => {
                tracing::info!("hearthd is told of requests again");
                link.told = false;
            }
            Err(error) if !link.told => {
                tracing::warn!(
                    "hearthd cannot be told of requests ({}: {error}); they are passed on without",
                    self.socket.display()
                );
                link.told = true;
            }
            Ok(()) | Err(_) => (),
        }
    }

    /// By the connection there is, or, if hearthd has left that, by a new one.
    fn say(&self, own: &mut Option<OwnedFd>) -> nix::Result<()> {
        if let Some(open) = own {
            match packet(open) {
                // It has not read the others yet, and those say the same.
                Ok(()) | Err(Errno::EAGAIN) => return Ok(()),
                Err(_) => *own = None,
            }
        }
        let fresh = self.connect()?;
        packet(&fresh)?;
        *own = Some(fresh);
        Ok(())
    }

    fn connect(&self) -> nix::Result<OwnedFd> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let own = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        connect(own.as_raw_fd(), &UnixAddr::new(&self.socket)?)?;
        Ok(own)
    }
}

fn packet(own: &OwnedFd) -> nix::Result<()> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    send(own.as_raw_fd(), &ARRIVAL, flags).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{Backlog, bind, listen, recv};
    use std::{fs, os::unix::net::UnixListener, path::Path};

    fn hearthd(path: &Path) -> UnixListener {
        let own = socket(
            AddressFamily::Unix,
            SockType::SeqPacket,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .unwrap();
        bind(own.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
        listen(&own, Backlog::new(1).unwrap()).unwrap();
        own.into()
    }

    /// The next packet; none is an end.
    fn heard(link: &impl AsRawFd) -> Vec<u8> {
        let mut room = [0; 99];
        let length = recv(link.as_raw_fd(), &mut room, MsgFlags::MSG_DONTWAIT).unwrap();
        room[..length].to_vec()
    }

    #[test]
    fn each_request_is_told_by_one_connection_until_hearthd_leaves_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arrival.sock");
        let arrivals = Arrivals::new(path.clone());
        arrivals.announce();
        assert!(arrivals.link.lock().unwrap().told, "nobody is there");
        for _ in 0..2 {
            let listener = hearthd(&path);
            arrivals.announce();
            arrivals.announce();
            let (link, _) = listener.accept().unwrap();
            assert_eq!([heard(&link), heard(&link)], [ARRIVAL, ARRIVAL]);
            assert!(!arrivals.link.lock().unwrap().told);
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_hearthd_that_does_not_listen_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arrival.sock");
        let listener = hearthd(&path);
        let arrivals = Arrivals::new(path);
        for _ in 0..10_000 {
            arrivals.announce();
        }
        assert!(!arrivals.link.lock().unwrap().told);
        drop(listener);
    }
}
