//! What the engine says.

use super::{Eye, Malformed, ModelName, Pen};
use machine::{BootTime, EngineSample, EngineState, Phase};

const MAGIC: [u8; 8] = *b"HRTHPHA\x04";

/// What the engine is doing.
///
/// | bytes | what |
/// |---|---|
/// | 0–7 | `HRTHPHA` and the version, 4 |
/// | 8–11 | phase: 0 idle, 1 loading, 2 prefill, 3 decode |
/// | 12–15 | state: 0 empty, 1 loading, 2 ready, 3 parked |
/// | 16–19 | requests waiting |
/// | 20–23 | sequences being answered |
/// | 24–27 | tokens in the KV cache of the longest |
/// | 28–31 | tokens generated per second, f32; 0 for unknown |
/// | 32–39 | tokens run since the start |
/// | 40–47 | tokens generated since the start |
/// | 48–55 | pieces of work done since the start |
/// | 56–63 | bytes of memory held for idle sessions' KV |
/// | 64–71 | the model's tag, 0 for none |
/// | 72–75 | tokens that a sequence may have, 0 for unknown |
/// | 76–203 | the model's name in UTF-8, then zeros |
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PhaseRecord {
    /// What the engine is busy with.
    pub phase: Phase,
    /// Where it is in its life.
    pub state: EngineState,
    /// Requests that wait for a slot.
    pub queue_depth: u32,
    /// Sequences that are being answered.
    pub active: u32,
    /// Tokens in the KV cache of the longest active sequence.
    pub kv_tokens: u32,
    /// Tokens generated per second since the record before; 0 if unknown.
    pub tokens_per_second: f32,
    /// Tokens run through the model since the engine started.
    pub progress: u64,
    /// Tokens generated since the engine started.
    pub generated: u64,
    /// Pieces of work done since the engine started, however small: see [`EngineSample::pulse`].
    pub pulse: u64,
    /// Bytes of memory held for idle sessions' KV.
    pub kv_bytes: u64,
    /// The tag of the model that is held or being made ready; 0 for none. A file of the same name with other contents
    /// has another one.
    pub model: u64,
    /// Tokens that a sequence may have, see [`EngineSample::context`]; 0 for unknown.
    pub context: u32,
    /// That model's name.
    pub model_name: ModelName,
}

impl PhaseRecord {
    /// The packet's length.
    pub const LENGTH: usize = 204;

    /// As a packet.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut packet = [0; Self::LENGTH];
        Pen::new(&mut packet)
            .bytes(&MAGIC)
            .u32(phase_number(self.phase))
            .u32(state_number(self.state))
            .u32(self.queue_depth)
            .u32(self.active)
            .u32(self.kv_tokens)
            .bytes(&self.tokens_per_second.to_le_bytes())
            .u64(self.progress)
            .u64(self.generated)
            .u64(self.pulse)
            .u64(self.kv_bytes)
            .u64(self.model)
            .u32(self.context)
            .bytes(self.model_name.bytes());
        packet
    }

    /// From a packet.
    ///
    /// # Errors
    /// [`Malformed`] if it is of another length, kind or version, or if its phase, state, rate or name is none.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut eye = Eye::new(packet, Self::LENGTH, MAGIC)?;
        Ok(Self {
            phase: phase(eye.u32())?,
            state: state(eye.u32())?,
            queue_depth: eye.u32(),
            active: eye.u32(),
            kv_tokens: eye.u32(),
            tokens_per_second: rate(f32::from_le_bytes(eye.bytes()))?,
            progress: eye.u64(),
            generated: eye.u64(),
            pulse: eye.u64(),
            kv_bytes: eye.u64(),
            model: eye.u64(),
            context: eye.u32(),
            model_name: ModelName::read(eye.bytes())?,
        })
    }

    /// As a part of a sample.
    pub fn received(&self, at: BootTime) -> EngineSample {
        EngineSample {
            at_usec: at,
            phase: self.phase,
            state: self.state,
            queue_depth: self.queue_depth,
            active: self.active,
            progress: self.progress,
            generated: self.generated,
            pulse: self.pulse,
            model: self.model,
            model_name: self.model_name.as_str().to_owned(),
            tokens_per_second: (self.tokens_per_second > 0.0).then_some(self.tokens_per_second),
            kv_tokens: self.kv_tokens,
            context: self.context,
            kv_bytes: self.kv_bytes,
        }
    }
}

fn phase_number(phase: Phase) -> u32 {
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

fn state_number(state: EngineState) -> u32 {
    match state {
        EngineState::Empty => 0,
        EngineState::Loading => 1,
        EngineState::Ready => 2,
        EngineState::Parked => 3,
    }
}

fn state(number: u32) -> Result<EngineState, Malformed> {
    match number {
        0 => Ok(EngineState::Empty),
        1 => Ok(EngineState::Loading),
        2 => Ok(EngineState::Ready),
        3 => Ok(EngineState::Parked),
        other => Err(Malformed::State(other)),
    }
}

fn rate(rate: f32) -> Result<f32, Malformed> {
    if rate.is_finite() && rate >= 0.0 {
        Ok(rate)
    } else {
        Err(Malformed::Rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> PhaseRecord {
        PhaseRecord {
            phase: Phase::Decode,
            state: EngineState::Ready,
            queue_depth: 1,
            active: 2,
            kv_tokens: 3,
            tokens_per_second: 7.5,
            progress: 1 << 40,
            generated: 5,
            pulse: 6,
            kv_bytes: 7,
            model: u64::MAX,
            context: 2048,
            model_name: ModelName::new("tiny"),
        }
    }

    #[test]
    fn what_is_sent_is_received() {
        assert_eq!(PhaseRecord::decode(&record().encode()), Ok(record()));
        for phase in [Phase::Idle, Phase::Loading, Phase::Prefill, Phase::Decode] {
            let record = PhaseRecord { phase, ..record() };
            assert_eq!(PhaseRecord::decode(&record.encode()), Ok(record));
        }
        for state in [
            EngineState::Empty,
            EngineState::Loading,
            EngineState::Ready,
            EngineState::Parked,
        ] {
            let record = PhaseRecord { state, ..record() };
            assert_eq!(PhaseRecord::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let packet = record().encode();
        assert_eq!(&packet[..16], b"HRTHPHA\x04\x03\0\0\0\x02\0\0\0");
        assert_eq!(packet[28..32], [0, 0, 0xf0, 0x40]);
        assert_eq!(packet[32..40], (1u64 << 40).to_le_bytes());
        assert_eq!(packet[64..72], [0xff; 8]);
        assert_eq!(packet[72..76], 2048_u32.to_le_bytes());
        assert_eq!(&packet[76..81], b"tiny\0");
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let good = record().encode();
        let spoiled = |at: usize, bytes: &[u8]| {
            let mut bad = good;
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            PhaseRecord::decode(&bad)
        };
        assert_eq!(PhaseRecord::decode(&good[..203]), Err(Malformed::Length(203)));
        assert_eq!(PhaseRecord::decode(&[0; 204]), Err(Malformed::Magic));
        assert_eq!(spoiled(7, &[3]), Err(Malformed::Magic), "another version");
        assert_eq!(spoiled(8, &[4]), Err(Malformed::Phase(4)));
        assert_eq!(spoiled(12, &[4]), Err(Malformed::State(4)));
        for rate in [-1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(spoiled(28, &rate.to_le_bytes()), Err(Malformed::Rate));
        }
        assert_eq!(spoiled(203, &[1]), Err(Malformed::Name));
    }

    #[test]
    fn an_unknown_rate_is_null_in_the_sample() {
        let mut unknown = record();
        unknown.tokens_per_second = 0.0;
        assert_eq!(unknown.received(BootTime(9)).tokens_per_second, None);
        let known = record().received(BootTime(9));
        assert_eq!(known.tokens_per_second, Some(7.5));
        assert_eq!((known.state, &*known.model_name), (EngineState::Ready, "tiny"));
    }
}
