//! Netlink's framing: messages in a datagram, and attributes in a message. Source: the kernel's
//! `userspace-api/netlink/intro.rst`. Whatever lengths are told, nothing is read beyond the bytes that are there, and
//! each step goes at least one header on.

/// The header: length, type, flags, sequence number and port.
pub(super) const MESSAGE_HEADER: usize = 16;
/// Length and type.
const ATTRIBUTE_HEADER: usize = 4;
/// Two bits of an attribute's type say how it is laid out.
const TYPE_MASK: u16 = 0x3fff;

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'b> {
    /// Its type: of generic netlink the family.
    pub(super) kind: u16,
    pub(super) payload: &'b [u8],
}

impl<'b> Message<'b> {
    /// All messages up to the first that is malformed.
    pub(super) fn all(mut datagram: &'b [u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let length = usize::try_from(u32_at(datagram, 0)?).ok()?;
            let kind = u16_at(datagram, 4)?;
            let payload = datagram.get(MESSAGE_HEADER..length)?;
            datagram = after(datagram, length);
            Some(Self { kind, payload })
        })
    }
}

/// One attribute of a message, or of another attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attribute<'b> {
    pub(super) kind: u16,
    pub(super) payload: &'b [u8],
}

impl<'b> Attribute<'b> {
    /// All attributes up to the first that is malformed.
    pub(super) fn all(mut bytes: &'b [u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let length = usize::from(u16_at(bytes, 0)?);
            let kind = u16_at(bytes, 2)? & TYPE_MASK;
            let payload = bytes.get(ATTRIBUTE_HEADER..length)?;
            bytes = after(bytes, length);
            Some(Self { kind, payload })
        })
    }

    /// The payload of the first attribute of a kind.
    pub(super) fn find(bytes: &'b [u8], kind: u16) -> Option<&'b [u8]> {
        let mut all = Self::all(bytes);
        all.find_map(|attribute| (attribute.kind == kind).then_some(attribute.payload))
    }
}

/// What follows an element of this length: elements begin at multiples of four.
fn after(bytes: &[u8], length: usize) -> &[u8] {
    bytes.get(length.next_multiple_of(4)..).unwrap_or_default()
}

/// Appends an attribute.
pub(super) fn push_attribute(message: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    let length = u16::try_from(ATTRIBUTE_HEADER + payload.len()).unwrap_or(u16::MAX);
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(payload);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// A message with its header.
pub(super) fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(MESSAGE_HEADER + payload.len()).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(MESSAGE_HEADER + payload.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.resize(MESSAGE_HEADER, 0);
    message.extend(payload);
    message
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_framed_is_found() {
        let mut body = Vec::new();
        push_attribute(&mut body, 2, b"thermal\0");
        push_attribute(&mut body, 1, &[7]);
        push_attribute(&mut body, 3, &[]);
        let mut datagram = message(16, 1, &body);
        datagram.extend(message(17, 0, &[]));
        let messages: Vec<_> = Message::all(&datagram).collect();
        assert_eq!(messages.iter().map(|m| m.kind).collect::<Vec<_>>(), [16, 17]);
        assert_eq!(Attribute::find(messages[0].payload, 1), Some(&[7u8][..]));
        assert_eq!(Attribute::find(messages[0].payload, 3), Some(&[][..]));
        assert_eq!(Attribute::find(messages[0].payload, 4), None);
    }

    #[test]
    fn lengths_that_lie_end_it() {
        let mut short = message(16, 0, &[]);
        short[0] = 15;
        assert_eq!(Message::all(&short).count(), 0, "shorter than a header");
        let mut long = message(16, 0, &[1, 2, 3]);
        long[0] += 1;
        assert_eq!(Message::all(&long).count(), 0, "longer than the datagram");
        assert_eq!(Attribute::all(&[0, 0, 1, 0]).count(), 0);
        assert_eq!(Attribute::all(&[3, 0, 1, 0]).count(), 0);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_all_ends(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Message::all(&bytes).count() <= bytes.len() / MESSAGE_HEADER);
            prop_assert!(Attribute::all(&bytes).count() <= bytes.len() / ATTRIBUTE_HEADER);
        }

        #[test]
        fn no_small_lengths_panic(words in prop::collection::vec(0u32..40, 0..60)) {
            let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
            for message in Message::all(&bytes) {
                for attribute in Attribute::all(message.payload) {
                    prop_assert!(Attribute::all(attribute.payload).count() <= bytes.len() / ATTRIBUTE_HEADER);
                }
            }
        }
    }
}
