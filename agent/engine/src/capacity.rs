//! How many conversations there is memory for, and how long they may be.
//!
//! Keys and values cannot be read again from a disk, as weights can: where they do not fit, the kernel takes the weights'
//! pages for them and each token waits for the disk, or it ends the process. So what they may take at most is held against
//! the memory there is before the first is written.

use std::fmt;
use std::sync::Arc;

use kernels::kv::POSITIONS;

/// Fewer tokens than these hold no question with its answer.
const SMALLEST_CONTEXT: usize = 512;
/// This part of the memory is for what is neither weights nor sequences: the vocabulary, what is computed in between, the
/// requests.
const OTHERS_SHARE: u64 = 8;
/// Mapped weights are the kernel's to take back, so they never leave less than this part of the rest to sequences.
const LEAST_SHARE: u64 = 8;
/// Idle sessions have no more than this part of what is left for keys and values: their prompts can be read again, and
/// one that is refused for want of memory cannot.
const IDLE_SHARE: u64 = 4;
const MIB: f64 = (1_u64 << 20) as f64;

/// How many sequences there may be, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Sequences at the same time, at least one.
    pub slots: usize,
    /// Most tokens of each.
    pub context: usize,
}

/// Memory that this process may take, bytes; `None` where nobody says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What the machine has to give, before any model is loaded.
    pub available: Option<u64>,
    /// What this process and its like may not go above.
    pub limit: Option<u64>,
}

/// Says how many bytes a process may not go above, each time that it is asked: an administrator may have set another limit
/// since. By default nobody says.
#[derive(Clone)]
pub struct Limit(Arc<dyn Fn() -> Option<u64> + Send + Sync>);

impl Limit {
    /// What `read` says, `None` where nobody does.
    pub fn new(read: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Asks.
    pub(crate) fn now(&self) -> Option<u64> {
        (self.0)()
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self::new(|| None)
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limit")
    }
}

/// What a model's weights take of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Bytes in memory at a time that the kernel cannot take back.
    pub held: u64,
    /// Bytes of files that are mapped, whose pages the kernel can drop and read again.
    pub mapped: u64,
}

impl Memory {
    /// Bytes that are left for keys and values beside a model's weights: no more than half of what the machine has to
    /// give, where that is known, for others need some, too. In a sandbox the limit alone is known, and is a share of the
    /// machine's. `None`: nobody says how much memory there is.
    pub fn beside(&self, weights: Weights) -> Option<u64> {
        let all = self.available.into_iter().chain(self.limit).min()?;
        let room = (all - all / OTHERS_SHARE).saturating_sub(weights.held);
        let left = room.saturating_sub(weights.mapped).max(room / LEAST_SHARE);
        Some(self.available.map_or(left, |available| left.min(available / 2)))
    }
}

/// Bytes for keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of sequences that are being answered.
    pub sequences: u64,
    /// Of idle sessions.
    pub idle: u64,
}

impl Room {
    /// Divides so many bytes; idle sessions have no more than was wanted for them.
    pub fn divide(bytes: u64, idle: u64) -> Self {
        let idle = idle.min(bytes / IDLE_SHARE);
        Self {
            sequences: bytes - idle,
            idle,
        }
    }
}

impl Capacity {
    /// What of `wanted` fits into `room` bytes, where 64 positions of a sequence take `block` bytes. Sequences are given
    /// up first, for a request can wait for another; a conversation that does not fit can only be refused. `None`: there
    /// is no room for one of [`Self::least`].
    pub fn fitting(wanted: Self, block: usize, room: u64) -> Option<Self> {
        let blocks = usize::try_from(room / block.max(1) as u64).unwrap_or(usize::MAX);
        let slots = blocks / wanted.blocks().max(1);
        if slots > 0 {
            let slots = slots.min(wanted.slots);
            return Some(Self { slots, ..wanted });
        }
        let context = blocks.saturating_mul(POSITIONS);
        let one = Self { slots: 1, context };
        (context >= wanted.least().context).then_some(one)
    }

    /// The least that is of use: one conversation of 512 tokens, or of all that was wanted.
    pub fn least(&self) -> Self {
        let context = self.context.min(SMALLEST_CONTEXT);
        Self { slots: 1, context }
    }

    /// Bytes of keys and values when all sequences are full.
    pub fn bytes(&self, block: usize) -> u64 {
        [self.slots, self.blocks(), block]
            .into_iter()
            .fold(1, |bytes: u64, factor| bytes.saturating_mul(factor as u64))
    }

    /// Blocks of 64 positions of a sequence.
    fn blocks(&self) -> usize {
        self.context.div_ceil(POSITIONS)
    }
}

/// Bytes, or that nobody says how many, for messages.
pub(crate) struct Mebibytes(pub(crate) Option<u64>);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{:.1} MiB", bytes as f64 / MIB),
            None => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;

    fn held(held: u64) -> Weights {
        Weights { held, mapped: 0 }
    }

    fn mapped(mapped: u64) -> Weights {
        Weights { held: 0, mapped }
    }

    fn memory(available: u64, limit: u64) -> Memory {
        Memory {
            available: (available > 0).then_some(available),
            limit: (limit > 0).then_some(limit),
        }
    }

    #[test]
    fn what_the_weights_leave_is_for_sequences_and_no_more_than_half() {
        let both = Weights {
            held: GIB,
            mapped: GIB,
        };
        for (memory, weights, room) in [
            (memory(8 * GIB, 0), mapped(GIB), 4 * GIB),
            (memory(8 * GIB, 0), mapped(6 * GIB), GIB),
            (memory(8 * GIB, 3 * GIB), mapped(GIB), 1664 * MIB),
            (memory(0, 3 * GIB), mapped(GIB), 1664 * MIB),
            (memory(0, 3 * GIB), both, 640 * MIB),
            // Weights that fit nowhere are read again and again; what is held in memory is not to be had.
            (memory(8 * GIB, 0), mapped(20 * GIB), 896 * MIB),
            (memory(8 * GIB, 0), held(20 * GIB), 0),
            (memory(0, 400 * MIB), held(300 * MIB), 50 * MIB),
        ] {
            assert_eq!(memory.beside(weights), Some(room), "{memory:?} {weights:?}");
        }
        assert_eq!(Memory::default().beside(mapped(GIB)), None);
    }

    #[test]
    fn idle_sessions_have_a_quarter_at_most() {
        let divided = |bytes, idle| {
            let room = Room::divide(bytes, idle);
            (room.sequences, room.idle)
        };
        assert_eq!(divided(4 * GIB, 256 * MIB), (4 * GIB - 256 * MIB, 256 * MIB));
        assert_eq!(divided(400 * MIB, 256 * MIB), (300 * MIB, 100 * MIB));
        assert_eq!(divided(400 * MIB, 0), (400 * MIB, 0));
    }

    #[test]
    fn sequences_are_given_up_before_their_length() {
        let wanted = Capacity {
            slots: 4,
            context: 4096,
        };
        let fitting = |mib: u64| {
            let fitting = Capacity::fitting(wanted, 1 << 20, mib << 20)?;
            Some((fitting.slots, fitting.context))
        };
        for (room, expected) in [
            (1000, Some((4, 4096))),
            (256, Some((4, 4096))),
            (255, Some((3, 4096))),
            (64, Some((1, 4096))),
            (63, Some((1, 63 * 64))),
            (8, Some((1, 512))),
            (7, None),
            (0, None),
        ] {
            assert_eq!(fitting(room), expected, "{room} MiB");
        }
    }

    #[test]
    fn a_model_of_short_conversations_needs_no_more_than_those() {
        let wanted = Capacity {
            slots: 2,
            context: 100,
        };
        let one = Capacity { slots: 1, ..wanted };
        assert_eq!(Capacity::fitting(wanted, 10, 39), Some(one));
        assert_eq!(Capacity::fitting(wanted, 10, 19), None);
    }

    proptest! {
        #[test]
        fn what_is_chosen_fits_and_is_no_more_than_was_wanted(
            slots in 1_usize..65,
            context in 1_usize..1_048_577,
            block in 1_usize..1 << 34,
            room: u64,
        ) {
            let wanted = Capacity { slots, context };
            match Capacity::fitting(wanted, block, room) {
                Some(chosen) => {
                    prop_assert!(chosen.bytes(block) <= room);
                    prop_assert!((1..=slots).contains(&chosen.slots) && chosen.context <= context);
                    prop_assert!(chosen.context >= wanted.least().context);
                }
                None => prop_assert!(wanted.least().bytes(block) > room),
            }
        }
    }
}
