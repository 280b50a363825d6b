//! The laws together.

use machine::{BootTime, Capabilities, Decision, Sample, Tuning, Wishes};

/// Time between two steps while nothing happens, in microseconds.
const IDLE_STEP_USEC: u64 = 5_000_000;

/// All laws and what they remember.
#[derive(Clone, Debug)]
pub struct Controller {
    capabilities: Capabilities,
    tuning: Tuning,
    wishes: Wishes,
}

impl Controller {
    /// Laws for a machine of a kind, which have seen nothing yet.
    pub fn new(capabilities: Capabilities, tuning: Tuning) -> Self {
        Self {
            capabilities,
            tuning,
            wishes: Wishes::default(),
        }
    }

    /// Something has come or gone, or was matched anew. What was learned about what stays is kept.
    pub fn set_machine(&mut self, capabilities: Capabilities, tuning: Tuning) {
        self.capabilities = capabilities;
        self.tuning = tuning;
    }

    /// People want something else.
    pub fn set_wishes(&mut self, wishes: Wishes) {
        self.wishes = wishes;
    }

    /// Decides. Samples come in the order of their time.
    pub fn step(&mut self, sample: &Sample) -> Decision {
        let mut decision = Decision {
            profile: self.wishes.effective(sample.at_usec),
            wake_at: BootTime(sample.at_usec.0.saturating_add(IDLE_STEP_USEC)),
            ..Decision::default()
        };
        decision.thermal.target = self.wishes.target.unwrap_or(self.tuning.target);
        decision
    }
}
