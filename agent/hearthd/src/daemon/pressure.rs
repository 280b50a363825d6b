//! A lack of memory while there is work: the law, and when it looks.

use control::PressureLaw;
use machine::{BootTime, PressureDecision, PressureSample};

/// Decides, and keeps what it decided last.
#[derive(Debug, Default)]
pub(crate) struct Relief {
    law: PressureLaw,
    decision: PressureDecision,
    /// Whether an engine ran when the law last looked.
    engine_runs: bool,
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
        std::mem::replace(&mut self.decision, decision)
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
