//! Which generic netlink families this kernel has, and by which numbers. Source: the kernel's
//! `include/uapi/linux/genetlink.h` and `Documentation/netlink/specs/nlctrl.yaml`.

use super::netlink::{Attribute, MESSAGE_HEADER, Message, message, push_attribute, u16_at, u32_at};
use super::{Heard, KERNEL, listen, receive};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, NetlinkAddr, SockProtocol, sendto};
use std::os::fd::{AsRawFd, OwnedFd};

/// The family that knows the others.
const CONTROLLER: u16 = 16;
/// `CTRL_CMD_GETFAMILY`, in version 1, as a `struct genlmsghdr`.
const GET_FAMILY: [u8; GENERIC_HEADER] = [3, 1, 0, 0];
const ATTR_FAMILY_ID: u16 = 1;
const ATTR_FAMILY_NAME: u16 = 2;
const ATTR_GROUPS: u16 = 7;
const ATTR_GROUP_NAME: u16 = 1;
const ATTR_GROUP_ID: u16 = 2;
/// `NLM_F_REQUEST`
const REQUEST: u16 = 1;

/// Command, version, and two bytes that are reserved.
pub(super) const GENERIC_HEADER: usize = 4;

/// The families that are listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Thermal,
    Acpi,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Thermal, Self::Acpi];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Thermal => "thermal",
            Self::Acpi => "acpi_event",
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::Thermal => "event",
            Self::Acpi => "acpi_mc_group",
        }
    }
}

/// A family that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub(super) kind: Kind,
    /// The type of its messages.
    pub(super) id: u16,
    /// The group of its events, as a bit.
    pub(super) group: u32,
}

/// Asks the kernel for each family. It answers before the question's `sendto` returns.
pub(super) fn resolve() -> Result<Vec<Family>, Errno> {
    let socket = match listen(SockProtocol::NetlinkGeneric, 0) {
        Err(Errno::EPROTONOSUPPORT) => return Ok(Vec::new()),
        socket => socket?,
    };
    let mut families = Vec::new();
    for kind in Kind::ALL {
        families.extend(ask(&socket, kind)?);
    }
    Ok(families)
}

fn ask(socket: &OwnedFd, kind: Kind) -> Result<Option<Family>, Errno> {
    let question = question(kind);
    sendto(
        socket.as_raw_fd(),
        &question,
        &NetlinkAddr::new(KERNEL, 0),
        MsgFlags::empty(),
    )?;
    let mut buffer = [0; super::MAX_DATAGRAM_BYTES];
    match receive(socket, &mut buffer)? {
        Heard::Datagram(answer) => Ok(parse(kind, answer)),
        _ => Ok(None),
    }
}

fn question(kind: Kind) -> Vec<u8> {
    let mut body = GET_FAMILY.to_vec();
    let name = [kind.name().as_bytes(), b"\0"].concat();
    push_attribute(&mut body, ATTR_FAMILY_NAME, &name);
    message(CONTROLLER, REQUEST, &body)
}

/// An answer; `None` if it is an error, as for a family that is missing, or the group's number has no bit.
fn parse(kind: Kind, answer: &[u8]) -> Option<Family> {
    let message = Message::all(answer).find(|message| message.kind == CONTROLLER)?;
    let attributes = message.payload.get(GENERIC_HEADER..)?;
    let id = u16_at(Attribute::find(attributes, ATTR_FAMILY_ID)?, 0)?;
    let groups = Attribute::all(Attribute::find(attributes, ATTR_GROUPS)?);
    let group = groups.into_iter().find_map(|group| {
        let name = Attribute::find(group.payload, ATTR_GROUP_NAME)?.strip_suffix(b"\0")?;
        let id = u32_at(Attribute::find(group.payload, ATTR_GROUP_ID)?, 0)?;
        (name == kind.group().as_bytes()).then_some(id)
    })?;
    let group = 1u32.checked_shl(group.checked_sub(1)?)?;
    // Numbers below are netlink's own messages.
    (usize::from(id) >= MESSAGE_HEADER).then_some(Family { kind, id, group })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(id: u16, group: u32) -> Vec<u8> {
        let mut other = Vec::new();
        push_attribute(&mut other, ATTR_GROUP_ID, &5u32.to_ne_bytes());
        push_attribute(&mut other, ATTR_GROUP_NAME, b"sampling\0");
        let mut wanted = Vec::new();
        push_attribute(&mut wanted, ATTR_GROUP_ID, &group.to_ne_bytes());
        push_attribute(&mut wanted, ATTR_GROUP_NAME, b"event\0");
        let mut groups = Vec::new();
        push_attribute(&mut groups, 1, &other);
        push_attribute(&mut groups, 2, &wanted);
        let mut body = vec![1, 2, 0, 0];
        push_attribute(&mut body, ATTR_FAMILY_NAME, b"thermal\0");
        push_attribute(&mut body, ATTR_FAMILY_ID, &id.to_ne_bytes());
        push_attribute(&mut body, ATTR_GROUPS, &groups);
        message(CONTROLLER, 0, &body)
    }

    #[test]
    fn a_family_is_known_by_its_numbers() {
        let family = parse(Kind::Thermal, &answer(0x18, 6)).unwrap();
        assert_eq!((family.id, family.group), (0x18, 1 << 5));
        assert_eq!(parse(Kind::Acpi, &answer(0x18, 6)), None, "it has no such group");
    }

    #[test]
    fn a_group_without_a_bit_is_not_joined() {
        for group in [0, 33, u32::MAX] {
            assert_eq!(parse(Kind::Thermal, &answer(0x18, group)), None, "{group}");
        }
        assert!(parse(Kind::Thermal, &answer(0x18, 32)).is_some());
    }

    #[test]
    fn an_error_is_no_family() {
        // NLMSG_ERROR with ENOENT.
        let error = message(2, 0, &(-2i32).to_ne_bytes());
        assert_eq!(parse(Kind::Thermal, &error), None);
        assert_eq!(parse(Kind::Thermal, &[]), None);
    }

    proptest! {
        #[test]
        fn no_answer_panics(at in 0usize..140, byte: u8, cut in 0usize..140) {
            let mut bytes = answer(0x18, 6);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(cut);
            let _ = parse(Kind::Thermal, &bytes);
        }
    }
}
