//! Memory that is given back while the machine is quiet: the law, when it looks, and what has come of it.

use api::memory::Reclaiming;
use control::{MemoryGoal, Reclaimer};
use linux::Reclaimed;
use machine::{BootTime, Bytes, MemorySample, Reclaim};

/// The control groups that are asked: all services, and systemd itself. They are there from the boot on, so that hearthd's
/// sandbox can name their files; the kernel shares out among the units what it takes of a slice, and leaves each its
/// `MemoryMin=`. Who is logged in on the appliance has no slice of his own, but is in that of the service that let him in.
pub(crate) const RECLAIMED: [&str; 2] = ["system.slice", "init.scope"];

/// Decides, and counts.
#[derive(Debug)]
pub(crate) struct ReclaimLaw {
    law: Reclaimer,
    decision: Reclaim,
    /// Since when it was quiet when the law last looked.
    quiet_since: Option<BootTime>,
    asked: u64,
    yielded: u64,
}

impl ReclaimLaw {
    /// One that has decided nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            law: Reclaimer::new(MemoryGoal::default()),
            decision: Reclaim::default(),
            quiet_since: None,
            asked: 0,
            yielded: 0,
        }
    }

    /// Whether the law wants to look: its time has come, or the engine has begun or ended something.
    pub(crate) fn is_due(&self, now: BootTime, quiet_since: Option<BootTime>) -> bool {
        now >= self.decision.wake_at || quiet_since != self.quiet_since
    }

    /// Decides. Returns the decision before.
    pub(crate) fn step(&mut self, sample: &MemorySample) -> Reclaim {
        self.quiet_since = sample.quiet_since_usec;
        let decision = self.law.step(sample);
        std::mem::replace(&mut self.decision, decision)
    }

    /// The last decision.
    pub(crate) fn decision(&self) -> &Reclaim {
        &self.decision
    }

    /// What has come of a request.
    pub(crate) fn note(&mut self, done: &Reclaimed) {
        if done.problem.is_none() {
            self.asked = self.asked.saturating_add(done.request.bytes.0);
            self.yielded = self.yielded.saturating_add(yielded(done));
        }
    }

    /// For people.
    pub(crate) fn status(&self) -> Reclaiming {
        Reclaiming {
            state: self.decision.state,
            asked: Bytes(self.asked),
            yielded: Bytes(self.yielded),
        }
    }

    /// What is aimed at.
    pub(crate) fn goal(&self) -> MemoryGoal {
        self.law.goal()
    }

    /// When the law wants to look at the latest.
    pub(crate) fn wake_at(&self) -> BootTime {
        self.decision.wake_at
    }
}

/// What a group held less afterwards, in bytes.
fn yielded(done: &Reclaimed) -> u64 {
    let (before, after) = (done.before.unwrap_or_default(), done.after.unwrap_or_default());
    match done.after {
        Some(_) => before.0.saturating_sub(after.0),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::ReclaimRequest;

    fn done(before: Option<u64>, after: Option<u64>, problem: Option<&str>) -> Reclaimed {
        Reclaimed {
            request: ReclaimRequest {
                cgroup: "user.slice".to_owned(),
                bytes: Bytes(100),
                swappiness: None,
            },
            before: before.map(Bytes),
            after: after.map(Bytes),
            problem: problem.map(str::to_owned),
        }
    }

    #[test]
    fn only_what_is_known_to_be_gone_counts_as_yielded() {
        let mut law = ReclaimLaw::new();
        for (before, after, problem) in [
            (Some(90), Some(30), None),
            (Some(30), Some(40), None),
            (Some(30), None, None),
            (None, Some(30), None),
            (Some(90), Some(0), Some("is gone")),
        ] {
            law.note(&done(before, after, problem));
        }
        let status = law.status();
        assert_eq!((status.asked, status.yielded), (Bytes(400), Bytes(60)));
    }

    #[test]
    fn the_law_looks_when_its_time_comes_and_when_the_engine_does_something() {
        let mut law = ReclaimLaw::new();
        assert!(law.is_due(BootTime(0), None));
        law.step(&MemorySample {
            at_usec: BootTime(5),
            ..MemorySample::default()
        });
        assert!(!law.is_due(BootTime(6), None));
        assert!(law.is_due(BootTime(6), Some(BootTime(6))));
        assert!(law.is_due(law.wake_at(), None));
    }
}
