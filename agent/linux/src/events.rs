//! What the kernel tells by itself, over netlink: crossed trip points, firmware's limits, mains and batteries, devices
//! that come and go.
//!
//! Three sources, each of which may be missing from a kernel: kobject uevents, and of generic netlink the families
//! `thermal` (`include/uapi/linux/thermal.h`) and `acpi_event` (`drivers/acpi/event.c`, which tells `_PPC`, AC and
//! battery notifications). Joining their groups needs no capability: neither family sets flags on its groups, and both
//! protocols let anybody listen (`NL_CFG_F_NONROOT_RECV`). What is received is only a reason to look: an event's own
//! figures are not used, so that a lost or forged one costs a reading and no more.

mod family;
mod netlink;
mod notice;
mod uevent;

use crate::tree::Error;
use family::Family;
use netlink::Message;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket,
};
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// The most that one datagram can have, in bytes: the kernel's events are well below a page.
const MAX_DATAGRAM_BYTES: usize = 16 * 1024;

/// The kernel's own port. Every other one is a program's.
const KERNEL: u32 = 0;

/// The group in which the kernel tells uevents; udev repeats them in another.
const UEVENT_GROUP: u32 = 1;

/// Something that is worth a look at the machine at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelEvent {
    /// A trip point was crossed, a zone was switched on or off, or firmware changed the clock that it allows.
    Thermal {
        /// The number in `thermal_zoneN`, where the event names one.
        zone: Option<u32>,
    },
    /// A mains adapter or a battery changed.
    PowerSupply,
    /// Something that can be read came, went, or has other trip points: see [`crate::Sampler::rediscover`].
    Devices,
    /// More was told than the kernel could keep for us: look at everything.
    Lost,
}

/// Listens to the kernel. Its descriptor is ready to read whenever [`KernelEvents::next`] has something.
#[derive(Debug)]
pub struct KernelEvents {
    uevents: OwnedFd,
    /// Generic netlink, and the families that this kernel has.
    notices: Option<(OwnedFd, Vec<Family>)>,
    ready: Epoll,
    buffer: Vec<u8>,
    pending: VecDeque<KernelEvent>,
}

impl KernelEvents {
    /// Starts to listen to all that this kernel tells.
    ///
    /// # Errors
    /// [`Error::Events`] if there is no socket for uevents, which every kernel has. A family that is missing is no
    /// error: see [`KernelEvents::families`].
    pub fn open() -> Result<Self, Error> {
        let uevents = listen(SockProtocol::NetlinkKObjectUEvent, UEVENT_GROUP)
            .map_err(|errno| failed("listen to uevents among", errno))?;
        let families = family::resolve().map_err(|errno| failed("ask for the families of", errno))?;
        let notices = subscribe(families).map_err(|errno| failed("listen to families of", errno))?;
        Self::over(uevents, notices).map_err(|errno| failed("wait for", errno))
    }

    fn over(uevents: OwnedFd, notices: Option<(OwnedFd, Vec<Family>)>) -> Result<Self, Errno> {
        let ready = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        ready.add(&uevents, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        if let Some((socket, _)) = &notices {
            ready.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
        }
        Ok(Self {
            uevents,
            notices,
            ready,
            buffer: vec![0; MAX_DATAGRAM_BYTES],
            pending: VecDeque::new(),
        })
    }

    /// The names of the generic netlink families that are listened to, of `thermal` and `acpi_event`.
    pub fn families(&self) -> Vec<&'static str> {
        let families = self.notices.iter().flat_map(|(_, families)| families);
        families.map(|family| family.kind.name()).collect()
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
        while self.pending.is_empty() {
            let heard = self.hear_uevent().and_then(|one| Ok(one | self.hear_notice()?));
            if !heard.map_err(|errno| failed("receive", errno))? {
                break;
            }
        }
        Ok(self.pending.pop_front())
    }

    /// Receives one uevent, and tells whether there was one.
    fn hear_uevent(&mut self) -> Result<bool, Errno> {
        let heard = receive(&self.uevents, &mut self.buffer)?;
        match &heard {
            Heard::Datagram(bytes) => self.pending.extend(uevent::event(bytes)),
            Heard::Overrun => self.pending.push_back(KernelEvent::Lost),
            Heard::Stranger | Heard::Nothing => {}
        }
        Ok(!matches!(heard, Heard::Nothing))
    }

    /// Receives one datagram of generic netlink, and tells whether there was one.
    fn hear_notice(&mut self) -> Result<bool, Errno> {
        let Some((socket, families)) = &self.notices else {
            return Ok(false);
        };
        let heard = receive(socket, &mut self.buffer)?;
        match &heard {
            Heard::Datagram(bytes) => {
                let events = Message::all(bytes).filter_map(|message| {
                    let family = families.iter().find(|family| family.id == message.kind)?;
                    notice::event(family.kind, message.payload)
                });
                self.pending.extend(events);
            }
            Heard::Overrun => self.pending.push_back(KernelEvent::Lost),
            Heard::Stranger | Heard::Nothing => {}
        }
        Ok(!matches!(heard, Heard::Nothing))
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

/// What a socket had.
enum Heard<'b> {
    Datagram(&'b [u8]),
    /// Something that the kernel did not send.
    Stranger,
    /// The kernel threw events away, as nobody fetched them.
    Overrun,
    Nothing,
}

fn receive<'b>(socket: &OwnedFd, buffer: &'b mut [u8]) -> Result<Heard<'b>, Errno> {
    match recvfrom::<NetlinkAddr>(socket.as_raw_fd(), buffer) {
        Ok((length, Some(sender))) if sender.pid() == KERNEL => {
            Ok(buffer.get(..length).map_or(Heard::Stranger, Heard::Datagram))
        }
        Ok(_) | Err(Errno::EINTR) => Ok(Heard::Stranger),
        Err(Errno::ENOBUFS) => Ok(Heard::Overrun),
        Err(Errno::EAGAIN) => Ok(Heard::Nothing),
        Err(errno) => Err(errno),
    }
}

/// A socket on which the first 32 groups can be heard, by a bit each. Families that are registered at boot, as both are,
/// have smaller numbers.
fn listen(protocol: SockProtocol, groups: u32) -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

fn subscribe(families: Vec<Family>) -> Result<Option<(OwnedFd, Vec<Family>)>, Errno> {
    if families.is_empty() {
        return Ok(None);
    }
    let groups = families.iter().fold(0, |groups, family| groups | family.group);
    let socket = listen(SockProtocol::NetlinkGeneric, groups)?;
    Ok(Some((socket, families)))
}

fn failed(what: &'static str, errno: Errno) -> Error {
    Error::Events {
        what,
        source: errno.into(),
    }
}

#[cfg(test)]
mod tests;
