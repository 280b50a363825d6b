//! What the engine and the gateway tell hearthd, and what hearthd answers the engine: packets of fixed size over
//! `SOCK_SEQPACKET`, little-endian. Who speaks is told by the door: each socket belongs to one user.

mod name;
mod order;
mod record;

pub use name::ModelName;
pub use order::{EngineOrder, MOST_QUARANTINED};
pub use record::PhaseRecord;

/// Where the engine sends [`PhaseRecord`]s and receives [`EngineOrder`]s; its user's alone.
pub const PHASE_SOCKET: &str = "/run/hearth/phase.sock";
/// Where the gateway sends [`ARRIVAL`]s; its user's alone.
pub const ARRIVAL_SOCKET: &str = "/run/hearth/arrival.sock";
/// The names of the two as systemd hands them to hearthd.
pub const PHASE_FD_NAME: &str = "phase";
/// See [`PHASE_FD_NAME`].
pub const ARRIVAL_FD_NAME: &str = "arrival";

/// The gateway's one packet: a request has come, the engine will soon be busy.
pub const ARRIVAL: [u8; 8] = *b"HRTHARR\x01";

/// The engine sends at every change of phase or depth, and at least this often while it works, in milliseconds. It
/// answers each order with a record, too: hearthd can ask whether it is alive.
pub const REPORT_INTERVAL_MS: u64 = 250;

/// How long the engine waits for hearthd's first order before it loads its first model, in milliseconds.
pub const FIRST_ORDER_MS: u64 = 500;

/// A packet that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Not as long as such a packet is; its length.
    Length(usize),
    /// Another kind of packet, or another version.
    Magic,
    /// No such phase; the number.
    Phase(u32),
    /// No such state; the number.
    State(u32),
    /// No such level of pressure; the number.
    Pressure(u32),
    /// A rate that is negative or no number.
    Rate,
    /// A name that is not UTF-8 followed by zeros.
    Name,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Length(length) => write!(f, "{length} bytes is not the packet's length"),
            Self::Magic => f.write_str("the packet is of another kind or version"),
            Self::Phase(number) => write!(f, "there is no phase {number}"),
            Self::State(number) => write!(f, "there is no state {number}"),
            Self::Pressure(number) => write!(f, "there is no level of pressure {number}"),
            Self::Rate => f.write_str("the rate is negative or no number"),
            Self::Name => f.write_str("the model's name is not UTF-8 followed by zeros"),
        }
    }
}

impl std::error::Error for Malformed {}

/// Writes numbers and bytes one behind the other into a packet that has room for all.
struct Pen<'p> {
    rest: &'p mut [u8],
}

impl<'p> Pen<'p> {
    fn new(packet: &'p mut [u8]) -> Self {
        Self { rest: packet }
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let rest = std::mem::take(&mut self.rest);
        let (place, rest) = rest.split_at_mut(bytes.len());
        place.copy_from_slice(bytes);
        self.rest = rest;
        self
    }

    fn u32(&mut self, number: u32) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn u64(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }
}

/// Reads what a [`Pen`] wrote from a packet of the right length.
struct Eye<'p> {
    rest: &'p [u8],
}

impl<'p> Eye<'p> {
    /// Behind the eight bytes that tell kind and version of a packet of that length.
    fn new(packet: &'p [u8], length: usize, magic: [u8; 8]) -> Result<Self, Malformed> {
        if packet.len() != length {
            return Err(Malformed::Length(packet.len()));
        }
        let mut eye = Self { rest: packet };
        if eye.bytes() == magic {
            Ok(eye)
        } else {
            Err(Malformed::Magic)
        }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let (place, rest) = self.rest.split_at(N);
        self.rest = rest;
        let mut taken = [0; N];
        taken.copy_from_slice(place);
        taken
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }
}
