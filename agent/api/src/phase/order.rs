//! What hearthd wants of the engine.

use super::{Eye, Malformed, Pen};
use machine::PressureLevel;

const MAGIC: [u8; 8] = *b"HRTHORD\x02";
/// Stands for no limit.
const UNLIMITED: u32 = u32::MAX;

/// Most models that an order names as quarantined.
pub const MOST_QUARANTINED: usize = 8;

/// What hearthd wants of the engine, sent back on the connection that the records come by: as soon as it is made, at
/// each change, and to hear whether the engine is alive. Each is answered with a record.
///
/// | bytes | what |
/// |---|---|
/// | 0–7 | `HRTHORD` and the version, 2 |
/// | 8–11 | the most sequences at once, all bits set for no limit |
/// | 12–15 | pressure: 0 none, 1 trim, 2 park, 3 refuse, 4 shrink |
/// | 16–19 | the most tokens of a sequence, all bits set for no limit |
/// | 20–23 | nought |
/// | 24–31 | the tag of the model to fall back to, 0 for none |
/// | 32–95 | tags of quarantined models, unused ones 0 |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineOrder {
    /// Sequences it may answer at once, at least 1; `None`: as many as it was set up for.
    pub slots: Option<u32>,
    /// How far it gives memory up.
    pub pressure: PressureLevel,
    /// Tokens that a sequence may have, at least 1; `None`: as many as it was set up for. Heeded when a model is loaded.
    pub context: Option<u32>,
    /// The last model that answered well and is not quarantined; 0 for none.
    pub fallback: u64,
    /// Models that are not to be loaded, 0 for none.
    pub quarantined: [u64; MOST_QUARANTINED],
}

impl EngineOrder {
    /// The packet's length.
    pub const LENGTH: usize = 96;

    /// Whether the model of that tag must not be loaded.
    pub fn quarantines(&self, model: u64) -> bool {
        model != 0 && self.quarantined.contains(&model)
    }

    /// As a packet.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut packet = [0; Self::LENGTH];
        let mut pen = Pen::new(&mut packet);
        pen.bytes(&MAGIC)
            .u32(self.slots.unwrap_or(UNLIMITED))
            .u32(pressure_number(self.pressure))
            .u32(self.context.unwrap_or(UNLIMITED))
            .u32(0)
            .u64(self.fallback);
        for tag in self.quarantined {
            pen.u64(tag);
        }
        packet
    }

    /// From a packet.
    ///
    /// # Errors
    /// [`Malformed`] if it is of another length, kind or version, or if there is no such level of pressure.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut eye = Eye::new(packet, Self::LENGTH, MAGIC)?;
        let slots = limit(eye.u32());
        let pressure = pressure(eye.u32())?;
        let context = limit(eye.u32());
        let _nought = eye.u32();
        Ok(Self {
            slots,
            pressure,
            context,
            fallback: eye.u64(),
            quarantined: std::array::from_fn(|_| eye.u64()),
        })
    }
}

/// A limit of nothing at all is one of one.
fn limit(number: u32) -> Option<u32> {
    (number != UNLIMITED).then_some(number.max(1))
}

fn pressure_number(level: PressureLevel) -> u32 {
    match level {
        PressureLevel::None => 0,
        PressureLevel::Trim => 1,
        PressureLevel::Park => 2,
        PressureLevel::Refuse => 3,
        PressureLevel::Shrink => 4,
    }
}

fn pressure(number: u32) -> Result<PressureLevel, Malformed> {
    match number {
        0 => Ok(PressureLevel::None),
        1 => Ok(PressureLevel::Trim),
        2 => Ok(PressureLevel::Park),
        3 => Ok(PressureLevel::Refuse),
        4 => Ok(PressureLevel::Shrink),
        other => Err(Malformed::Pressure(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> EngineOrder {
        EngineOrder {
            slots: Some(7),
            pressure: PressureLevel::Refuse,
            context: Some(2048),
            fallback: 5,
            quarantined: [1, 2, 0, 0, 0, 0, 0, u64::MAX],
        }
    }

    #[test]
    fn what_is_sent_is_received() {
        for order in [order(), EngineOrder::default()] {
            assert_eq!(EngineOrder::decode(&order.encode()), Ok(order));
        }
        for pressure in [
            PressureLevel::None,
            PressureLevel::Trim,
            PressureLevel::Park,
            PressureLevel::Refuse,
            PressureLevel::Shrink,
        ] {
            let order = EngineOrder { pressure, ..order() };
            assert_eq!(EngineOrder::decode(&order.encode()), Ok(order));
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let packet = order().encode();
        assert_eq!(&packet[..16], b"HRTHORD\x02\x07\0\0\0\x03\0\0\0");
        assert_eq!(&packet[16..32], b"\0\x08\0\0\0\0\0\0\x05\0\0\0\0\0\0\0");
        assert_eq!(packet[88..96], [0xff; 8]);
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let good = order().encode();
        assert_eq!(EngineOrder::decode(&good[..16]), Err(Malformed::Length(16)));
        assert_eq!(EngineOrder::decode(&[0; 96]), Err(Malformed::Magic));
        let mut bad = good;
        bad[12] = 5;
        assert_eq!(EngineOrder::decode(&bad), Err(Malformed::Pressure(5)));
    }

    #[test]
    fn an_order_for_nothing_at_all_is_one_for_one() {
        let order = EngineOrder {
            slots: Some(0),
            context: Some(0),
            ..EngineOrder::default()
        };
        let heard = EngineOrder::decode(&order.encode()).unwrap();
        assert_eq!((heard.slots, heard.context), (Some(1), Some(1)));
    }

    #[test]
    fn no_model_is_never_quarantined() {
        assert!(order().quarantines(2) && !order().quarantines(5));
        assert!(!order().quarantines(0), "0 fills the list up");
    }
}
