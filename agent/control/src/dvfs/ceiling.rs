//! How high the clock can go at all: heat and firmware may allow less than is asked for, and what is measured then says
//! nothing about the full clock.

use super::levels::Levels;
use machine::{BootTime, Sample};

/// A write needs a moment until the next sample shows it.
const WRITE_USEC: u64 = 500_000;
/// A ceiling that has stood for so long counts as steady.
const STEADY_USEC: u64 = 2_000_000;

/// The ceiling at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The highest level that is really to be had.
    pub(super) level: usize,
    /// Whether it has stood long enough to measure under it.
    pub(super) steady: bool,
}

/// What is known of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ceiling {
    level: Option<usize>,
    changed: BootTime,
    asked: u64,
    asked_since: BootTime,
}

impl Ceiling {
    /// Looks at a sample. `top` is the highest level that the profile allows.
    pub(super) fn step(&mut self, sample: &Sample, levels: &Levels, top: usize) -> Seen {
        let level = self.look(sample, levels).min(top);
        if self.level.is_some_and(|before| before != level) {
            self.changed = sample.at_usec;
        }
        self.level = Some(level);
        let stood = sample.at_usec.0.saturating_sub(self.changed.0);
        let never = self.changed == BootTime::default();
        Seen {
            level,
            steady: never || stood >= STEADY_USEC,
        }
    }

    fn look(&self, sample: &Sample, levels: &Levels) -> usize {
        let reference = levels.reference();
        let policy = sample.policies.iter().find(|policy| Some(policy.id) == reference);
        let Some(policy) = policy else {
            return levels.top();
        };
        let firmware = policy
            .bios_limit
            .map_or(levels.top(), |limit| levels.under(limit.0));
        let waited = sample.at_usec.0.saturating_sub(self.asked_since.0) >= WRITE_USEC;
        let held_back = match policy.scaling_max_freq {
            // Less than was asked for: that is all there is.
            Some(seen) if waited && seen.0.saturating_add(1000) < self.asked => levels.under(seen.0),
            // As much as was asked for, and that was as much as was thought possible: there may be more.
            Some(_) if waited && self.level.is_none_or(|level| levels.under(self.asked) >= level) => {
                levels.top()
            }
            // Nothing can be told: less was asked for than was thought possible.
            _ => self.level.unwrap_or(levels.top()),
        };
        firmware.min(held_back)
    }

    /// Remembers what the fastest policy is asked to keep below, in kHz.
    pub(super) fn asked(&mut self, now: BootTime, clock: u64) {
        if clock != self.asked {
            self.asked = clock;
            self.asked_since = now;
        }
    }
}
