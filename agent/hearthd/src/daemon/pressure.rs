//! A lack of memory while there is work: the law, and when it looks.

use control::{LITTLE_AVAILABLE, PressureLaw};
use machine::{BootTime, PressureDecision, PressureSample};

/// For so long after memory was short somebody may still be ended for it, in microseconds.
const RECENT_USEC: u64 = 10_000_000;

/// Decides, and keeps what it decided last.
#[derive(Debug, Default)]
pub(crate) struct Relief {
    law: PressureLaw,
    decision: PressureDecision,
    /// Whether an engine ran when the law last looked.
    engine_runs: bool,
    /// When little memory was last available.
    short_at: Option<BootTime>,
}

impl Relief {
    /// Whether the law wants to look: its time has come, or the engine has come or gone since it last did.
    pub(crate) fn is_due(&self, now: BootTime, engine_runs: bool) -> bool {
        now >= self.decision.wake_at || engine_runs != self.engine_runs
    }

    /// Decides. Returns the decision before.
    pub(crate) fn step(&mut self, sample: &PressureSample) -> PressureDecision {
        self.engine_runs = sample.engine_runs;
        let decision = self.law.step(sample);
        // Lost time alone may come of the engine's own limit, at which it waits for its own pages.
        if decision
            .seen
            .available
            .is_some_and(|left| left < LITTLE_AVAILABLE)
        {
            self.short_at = Some(sample.at_usec);
        }
        std::mem::replace(&mut self.decision, decision)
    }

    /// Whether the machine is short of memory, or was a moment ago.
    pub(crate) fn was_short(&self, now: BootTime) -> bool {
        let is_recent = |at: BootTime| now.0.saturating_sub(at.0) <= RECENT_USEC;
        self.short_at.is_some_and(is_recent)
    }

    /// The last decision.
    pub(crate) fn decision(&self) -> &PressureDecision {
        &self.decision
    }

    /// When the law wants to look at the latest.
    pub(crate) fn wake_at(&self) -> BootTime {
        self.decision.wake_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{Bytes, Memory};

    #[test]
    fn memory_is_short_where_little_is_available_and_for_a_moment_after() {
        let mut relief = Relief::default();
        let mut look = |at_usec, available| {
            relief.step(&PressureSample {
                at_usec: BootTime(at_usec),
                memory: Memory {
                    mem_total: Some(Bytes(1000)),
                    mem_available: Some(Bytes(available)),
                    ..Memory::default()
                },
                ..PressureSample::default()
            });
            (
                relief.was_short(BootTime(at_usec)),
                relief.was_short(BootTime(at_usec + RECENT_USEC + 1)),
            )
        };
        assert_eq!(look(1, 500), (false, false));
        assert_eq!(look(2, 100), (true, false));
        assert_eq!(look(3, 500), (true, false));
    }

    #[test]
    fn the_law_looks_when_its_time_comes_and_when_the_engine_comes_or_goes() {
        let mut relief = Relief::default();
        assert!(relief.is_due(BootTime(0), false));
        relief.step(&PressureSample {
            at_usec: BootTime(5),
            ..PressureSample::default()
        });
        assert!(!relief.is_due(BootTime(6), false));
        assert!(relief.is_due(BootTime(6), true));
        assert!(relief.is_due(relief.wake_at(), false));
    }
}
