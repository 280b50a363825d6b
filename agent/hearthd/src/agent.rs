//! The daemon's state: what was found, what was read last, and when to read next.

use crate::alerts::{Alerts, Change};
use crate::interval::Interval;
use crate::published::Published;
use api::agent::MIN_SAMPLE_INTERVAL_MS;
use linux::Sampler;
use machine::{BootTime, Capabilities, Sample};
use std::time::Duration;

/// The newest sample answers a call for one within this time, so that no caller on the bus can keep the machine busy.
const FRESH: Duration = Duration::from_millis(MIN_SAMPLE_INTERVAL_MS);

/// Units whose memory is sampled. One that does not run is left out of the sample.
const WATCHED: [&str; 3] = [
    "hearthd.service",
    "hearth-inferd.service",
    "hearth-gateway.service",
];

/// The control groups of Hearth's daemons.
pub(crate) fn watched() -> Vec<String> {
    WATCHED
        .iter()
        .map(|unit| format!("system.slice/{unit}"))
        .collect()
}

/// Samples, and remembers. It asks no clock: time is given.
#[derive(Debug)]
pub(crate) struct Agent {
    sampler: Sampler,
    interval: Interval,
    alerts: Alerts,
    last: Sample,
}

impl Agent {
    /// An agent that has not sampled yet.
    pub(crate) fn new(sampler: Sampler, interval: Interval) -> Self {
        Self {
            sampler,
            interval,
            alerts: Alerts::default(),
            last: Sample::default(),
        }
    }

    /// Samples, and tells which files went bad or well since the last time.
    pub(crate) fn sample(&mut self, now: BootTime) -> Vec<Change> {
        self.sampler.refresh();
        self.last = self.sampler.sample(now);
        let found = &self.sampler.capabilities().warnings;
        self.alerts.update(found.iter().chain(&self.last.warnings))
    }

    /// Whether the newest sample is too old to answer a call for one.
    pub(crate) fn is_stale(&self, now: BootTime) -> bool {
        let age = Duration::from_micros(now.0.saturating_sub(self.last.at_usec.0));
        age >= FRESH
    }

    /// The newest sample.
    pub(crate) fn last(&self) -> &Sample {
        &self.last
    }

    /// What the machine has.
    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.sampler.capabilities()
    }

    /// The time between two samples.
    pub(crate) fn interval(&self) -> Interval {
        self.interval
    }

    /// Sets the time between two samples.
    pub(crate) fn set_interval(&mut self, interval: Interval) {
        self.interval = interval;
    }

    /// What the bus shows.
    pub(crate) fn published(&self) -> Published {
        Published::new(self.interval, &self.last, self.alerts.count())
    }

    /// One line for `systemctl status`.
    pub(crate) fn status(&self) -> String {
        let seconds = self.interval.duration().as_secs_f64();
        let missing = match self.alerts.count() {
            0 => "everything can be read".to_owned(),
            1 => "1 file cannot be read or believed".to_owned(),
            count => format!("{count} files cannot be read or believed"),
        };
        format!("Sampling every {seconds} s; {missing}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linux::Tree;

    fn agent(machine: &str) -> Agent {
        let root = format!("{}/../../tests/machines/{machine}", env!("CARGO_MANIFEST_DIR"));
        Agent::new(
            Sampler::new(Tree::open(root).unwrap(), Vec::new()),
            Interval::default(),
        )
    }

    #[test]
    fn a_call_is_answered_from_a_sample_that_is_young_enough() {
        let mut agent = agent("qemu");
        agent.sample(BootTime(1_000_000));
        assert!(!agent.is_stale(BootTime(1_249_999)));
        assert!(agent.is_stale(BootTime(1_250_000)));
    }

    #[test]
    fn a_healthy_machine_raises_nothing() {
        let mut agent = agent("n100");
        assert_eq!(agent.sample(BootTime(0)), []);
        assert_eq!(agent.status(), "Sampling every 5 s; everything can be read");
    }

    #[test]
    fn bad_firmware_is_told_once() {
        let mut agent = agent("bad-firmware");
        let changes = agent.sample(BootTime(0));
        assert!(changes.len() > 20, "{changes:?}");
        assert_eq!(agent.sample(BootTime(1)), []);
        assert_eq!(agent.published().warning_count as usize, changes.len());
    }
}
