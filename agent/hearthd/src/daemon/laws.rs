//! The control laws, and what is kept of what they decided.

use api::power::Step;
use control::Controller;
use machine::{BootTime, Capabilities, Decision, Sample, Tuning, Wishes};
use std::collections::VecDeque;

/// Steps of the ladder that are kept for people to see.
const KEPT_STEPS: usize = 32;

/// Decides, and remembers the last decision and the last steps.
#[derive(Debug)]
pub(crate) struct Laws {
    controller: Controller,
    /// The machine as the laws know it.
    found: Capabilities,
    tuning: Tuning,
    decision: Decision,
    steps: VecDeque<Step>,
}

impl Laws {
    /// Laws for a machine, which have decided nothing yet.
    pub(crate) fn new(found: Capabilities, tuning: Tuning) -> Self {
        Self {
            controller: Controller::new(found.clone(), tuning.clone()),
            found,
            tuning,
            decision: Decision::default(),
            steps: VecDeque::new(),
        }
    }

    /// The machine as it is now. Returns whether that is news.
    pub(crate) fn meet(&mut self, found: &Capabilities, tuning: impl FnOnce() -> Tuning) -> bool {
        let is_news = *found != self.found;
        if is_news {
            self.found.clone_from(found);
            self.tuning = tuning();
            self.controller
                .set_machine(self.found.clone(), self.tuning.clone());
        }
        is_news
    }

    /// People want something else.
    pub(crate) fn heed(&mut self, wishes: &Wishes) {
        self.controller.set_wishes(wishes.clone());
    }

    /// Decides.
    pub(crate) fn step(&mut self, sample: &Sample) -> &Decision {
        self.decision = self.controller.step(sample);
        for note in &self.decision.notes {
            if self.steps.len() == KEPT_STEPS {
                self.steps.pop_front();
            }
            self.steps.push_back(Step {
                at_usec: sample.at_usec.0,
                note: note.clone(),
            });
        }
        &self.decision
    }

    /// The last decision.
    pub(crate) fn decision(&self) -> &Decision {
        &self.decision
    }

    /// What is known of this kind of machine.
    pub(crate) fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// The last steps, newest last.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.steps.iter().cloned().collect()
    }

    /// When to step again at the latest.
    pub(crate) fn wake_at(&self) -> BootTime {
        self.decision.wake_at
    }
}
