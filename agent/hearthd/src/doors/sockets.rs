//! The two listening sockets: systemd's, or in development hearthd's own.

use anyhow::{Context, ensure};
use api::phase::{ARRIVAL_FD_NAME, PHASE_FD_NAME};
use listenfd::ListenFd;
use nix::libc;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use tracing::warn;

/// Sockets of `SOCK_SEQPACKET`. The standard library's listener knows only streams by name, but accepts, reads and
/// writes any kind: one `read` takes one packet.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// The engine's.
    pub(crate) phase: Option<UnixListener>,
    /// The gateway's.
    pub(crate) arrival: Option<UnixListener>,
}

impl Sockets {
    /// Those that systemd hands over, told by `$LISTEN_FDNAMES`; see `sd_listen_fds(3)`.
    pub(crate) fn inherited() -> anyhow::Result<Self> {
        let named =
            sd_notify::listen_fds_with_names().context("cannot take the sockets that were handed over")?;
        let names: Vec<String> = named.map(|(_, name)| name).collect();
        let mut handed = ListenFd::from_env();
        let mut sockets = Self::default();
        for (index, name) in names.iter().enumerate() {
            let taken = handed.take_custom(index, libc::AF_UNIX, libc::SOCK_SEQPACKET, "seqpacket socket");
            let taken: Option<OwnedFd> =
                taken.with_context(|| format!("the socket {name:?} is of no use"))?;
            sockets.place(name, taken.map(UnixListener::from));
        }
        Ok(sockets)
    }

    fn place(&mut self, name: &str, listener: Option<UnixListener>) {
        match name {
            PHASE_FD_NAME => self.phase = listener,
            ARRIVAL_FD_NAME => self.arrival = listener,
            other => warn!(name = other, "closing the socket {other:?}, which nobody knows"),
        }
    }

    /// Makes `phase.sock` and `arrival.sock` in a folder, for its user alone. Ones that are left over are replaced.
    pub(crate) fn bound(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            phase: Some(bound(&folder.join("phase.sock"))?),
            arrival: Some(bound(&folder.join("arrival.sock"))?),
        })
    }

    /// Whether there is none at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.phase.is_none() && self.arrival.is_none()
    }
}

fn bound(path: &Path) -> anyhow::Result<UnixListener> {
    let made = clear(path).and_then(|()| make(path));
    made.with_context(|| format!("cannot make the socket {}", path.display()))
}

fn clear(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(found) => {
            let is_socket = std::os::unix::fs::FileTypeExt::is_socket(&found.file_type());
            ensure!(is_socket, "something else is there");
            Ok(fs::remove_file(path)?)
        }
    }
}

fn make(path: &Path) -> anyhow::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    bind(made.as_raw_fd(), &UnixAddr::new(path)?)?;
    // Before it listens nobody can connect.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listen(&made, Backlog::new(8)?)?;
    Ok(UnixListener::from(made))
}
