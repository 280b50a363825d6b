//! What the engine and the gateway tell hearthd, and what hearthd answers the engine: packets of fixed size over
//! `SOCK_SEQPACKET`, little-endian. Who speaks is told by the door: each socket belongs to one user.

use machine::{BootTime, EngineSample, Phase};

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

/// The engine sends at every change of phase or depth, and at least this often while it works, in milliseconds.
pub const REPORT_INTERVAL_MS: u64 = 250;

const RECORD_MAGIC: [u8; 8] = *b"HRTHPHA\x01";
const ORDER_MAGIC: [u8; 8] = *b"HRTHORD\x01";
const ALL_SLOTS: u32 = u32::MAX;

/// A packet that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Not as long as such a packet is; its length.
    Length(usize),
    /// Another kind of packet, or another version.
    Magic,
    /// No such phase; the number.
    Phase(u32),
    /// A rate that is negative or no number.
    Rate,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Length(length) => write!(f, "{length} bytes is not the packet's length"),
            Self::Magic => f.write_str("the packet is of another kind or version"),
            Self::Phase(number) => write!(f, "there is no phase {number}"),
            Self::Rate => f.write_str("the rate is negative or no number"),
        }
    }
}

impl std::error::Error for Malformed {}

/// What the engine is doing.
///
/// | bytes | what |
/// |---|---|
/// | 0–7 | `HRTHPHA` and the version, 1 |
/// | 8–11 | phase: 0 idle, 1 loading, 2 prefill, 3 decode |
/// | 12–15 | requests waiting |
/// | 16–19 | sequences being answered |
/// | 20–23 | tokens in the KV cache of the longest |
/// | 24–31 | tokens run since the start |
/// | 32–39 | tokens generated since the start |
/// | 40–47 | the model's tag, 0 for none |
/// | 48–51 | tokens generated per second, f32; 0 for unknown |
/// | 52–55 | nought |
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PhaseRecord {
    /// What the engine is busy with.
    pub phase: Phase,
    /// Requests that wait for a slot.
    pub queue_depth: u32,
    /// Sequences that are being answered.
    pub active: u32,
    /// Tokens in the KV cache of the longest active sequence.
    pub kv_tokens: u32,
    /// Tokens run through the model since the engine started.
    pub progress: u64,
    /// Tokens generated since the engine started.
    pub generated: u64,
    /// Tells models apart; 0 while none is loaded.
    pub model: u64,
    /// Tokens generated per second since the record before; 0 if unknown.
    pub tokens_per_second: f32,
}

impl PhaseRecord {
    /// The packet's length.
    pub const LENGTH: usize = 56;

    /// As a packet.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut packet = [0; Self::LENGTH];
        packet[..8].copy_from_slice(&RECORD_MAGIC);
        let words = [number(self.phase), self.queue_depth, self.active, self.kv_tokens];
        for (place, word) in packet[8..24].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let counters = [self.progress, self.generated, self.model];
        for (place, counter) in packet[24..48].chunks_exact_mut(8).zip(counters) {
            place.copy_from_slice(&counter.to_le_bytes());
        }
        packet[48..52].copy_from_slice(&self.tokens_per_second.to_le_bytes());
        packet
    }

    /// From a packet.
    ///
    /// # Errors
    /// [`Malformed`] if it is of another length, kind or version, or if its phase or its rate is none.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let packet = sized::<{ Self::LENGTH }>(packet, RECORD_MAGIC)?;
        let tokens_per_second = f32::from_le_bytes(bytes(packet, 48));
        if !(tokens_per_second.is_finite() && tokens_per_second >= 0.0) {
            return Err(Malformed::Rate);
        }
        Ok(Self {
            phase: phase(u32::from_le_bytes(bytes(packet, 8)))?,
            queue_depth: u32::from_le_bytes(bytes(packet, 12)),
            active: u32::from_le_bytes(bytes(packet, 16)),
            kv_tokens: u32::from_le_bytes(bytes(packet, 20)),
            progress: u64::from_le_bytes(bytes(packet, 24)),
            generated: u64::from_le_bytes(bytes(packet, 32)),
            model: u64::from_le_bytes(bytes(packet, 40)),
            tokens_per_second,
        })
    }

    /// As a part of a sample.
    pub fn received(&self, at: BootTime) -> EngineSample {
        EngineSample {
            at_usec: at,
            phase: self.phase,
            queue_depth: self.queue_depth,
            active: self.active,
            progress: self.progress,
            generated: self.generated,
            model: self.model,
            tokens_per_second: (self.tokens_per_second > 0.0).then_some(self.tokens_per_second),
            kv_tokens: self.kv_tokens,
        }
    }
}

/// What hearthd wants of the engine, sent back on the connection that the records come by.
///
/// Bytes 0–7 are `HRTHORD` and the version, 1; 8–11 the most sequences at once, all bits set for no limit; 12–15 nought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineOrder {
    /// Sequences it may answer at once, at least 1; `None`: as many as it was set up for.
    pub slots: Option<u32>,
}

impl EngineOrder {
    /// The packet's length.
    pub const LENGTH: usize = 16;

    /// As a packet.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut packet = [0; Self::LENGTH];
        packet[..8].copy_from_slice(&ORDER_MAGIC);
        packet[8..12].copy_from_slice(&self.slots.unwrap_or(ALL_SLOTS).to_le_bytes());
        packet
    }

    /// From a packet.
    ///
    /// # Errors
    /// [`Malformed`] if it is of another length, kind or version.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let packet = sized::<{ Self::LENGTH }>(packet, ORDER_MAGIC)?;
        let slots = u32::from_le_bytes(bytes(packet, 8));
        Ok(Self {
            slots: (slots != ALL_SLOTS).then_some(slots.max(1)),
        })
    }
}

fn number(phase: Phase) -> u32 {
    match phase {
        Phase::Idle => 0,
        Phase::Loading => 1,
        Phase::Prefill => 2,
        Phase::Decode => 3,
    }
}

fn phase(number: u32) -> Result<Phase, Malformed> {
    match number {
        0 => Ok(Phase::Idle),
        1 => Ok(Phase::Loading),
        2 => Ok(Phase::Prefill),
        3 => Ok(Phase::Decode),
        other => Err(Malformed::Phase(other)),
    }
}

fn sized<const LENGTH: usize>(packet: &[u8], magic: [u8; 8]) -> Result<&[u8; LENGTH], Malformed> {
    let sized: &[u8; LENGTH] = packet.try_into().map_err(|_| Malformed::Length(packet.len()))?;
    if sized[..8] == magic {
        Ok(sized)
    } else {
        Err(Malformed::Magic)
    }
}

/// `N` bytes from a place that lies within the packet.
fn bytes<const N: usize>(packet: &[u8], at: usize) -> [u8; N] {
    let mut taken = [0; N];
    taken.copy_from_slice(&packet[at..at + N]);
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> PhaseRecord {
        PhaseRecord {
            phase: Phase::Decode,
            queue_depth: 1,
            active: 2,
            kv_tokens: 3,
            progress: 1 << 40,
            generated: 5,
            model: u64::MAX,
            tokens_per_second: 7.5,
        }
    }

    #[test]
    fn what_is_sent_is_received() {
        assert_eq!(PhaseRecord::decode(&record().encode()), Ok(record()));
        for slots in [None, Some(1), Some(7)] {
            let order = EngineOrder { slots };
            assert_eq!(EngineOrder::decode(&order.encode()), Ok(order));
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let packet = record().encode();
        assert_eq!(&packet[..12], b"HRTHPHA\x01\x03\0\0\0");
        assert_eq!(packet[24..32], (1u64 << 40).to_le_bytes());
        assert_eq!(packet[48..56], [0, 0, 0xf0, 0x40, 0, 0, 0, 0]);
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let good = record().encode();
        assert_eq!(PhaseRecord::decode(&good[..55]), Err(Malformed::Length(55)));
        assert_eq!(PhaseRecord::decode(&[0; 56]), Err(Malformed::Magic));
        let mut bad = good;
        bad[8] = 4;
        assert_eq!(PhaseRecord::decode(&bad), Err(Malformed::Phase(4)));
        for rate in [-1.0, f32::NAN, f32::INFINITY] {
            let mut bad = good;
            bad[48..52].copy_from_slice(&rate.to_le_bytes());
            assert_eq!(PhaseRecord::decode(&bad), Err(Malformed::Rate));
        }
        assert_eq!(EngineOrder::decode(&good), Err(Malformed::Length(56)));
    }

    #[test]
    fn an_order_for_no_slot_at_all_is_one_for_one() {
        let order = EngineOrder { slots: Some(0) };
        assert_eq!(
            EngineOrder::decode(&order.encode()),
            Ok(EngineOrder { slots: Some(1) })
        );
    }

    #[test]
    fn an_unknown_rate_is_null_in_the_sample() {
        let mut unknown = record();
        unknown.tokens_per_second = 0.0;
        assert_eq!(unknown.received(BootTime(9)).tokens_per_second, None);
        assert_eq!(record().received(BootTime(9)).tokens_per_second, Some(7.5));
    }
}
