//! What is read and heard: the machine's files, the engine's word, the gateway's announcements.

use super::pressure::EngineShare;
use crate::interval::Interval;
use crate::view::{Alert, Alerts};
use api::agent::MIN_SAMPLE_INTERVAL_MS;
use api::phase::PhaseRecord;
use linux::Sampler;
use machine::{
    BootTime, Capabilities, EngineSample, MemoryBreakdown, MemorySample, Phase, PressureSample, Sample,
};
use std::time::Duration;

/// The newest sample answers a call for one within this time, so that no caller on the bus can keep the machine busy.
const FRESH: Duration = Duration::from_millis(MIN_SAMPLE_INTERVAL_MS);

/// How often it is looked for devices that have come or gone, as not every kernel tells; in microseconds.
const LOOK_USEC: u64 = 5_000_000;

/// Who holds memory is read at most this often, in microseconds: it takes a file for each unit.
const BREAKDOWN_USEC: u64 = 1_000_000;

/// The engine's unit.
const ENGINE: &str = "hearth-inferd.service";

/// Units whose memory is sampled. One that does not run is left out of the sample.
const WATCHED: [&str; 3] = ["hearthd.service", ENGINE, "hearth-gateway.service"];

/// The control groups of Hearth's daemons.
pub(crate) fn watched() -> Vec<String> {
    WATCHED
        .iter()
        .map(|unit| format!("system.slice/{unit}"))
        .collect()
}

/// Samples, and remembers. It asks no clock: time is given.
#[derive(Debug)]
pub(crate) struct Observer {
    sampler: Sampler,
    interval: Interval,
    alerts: Alerts,
    last: Sample,
    /// When everything is read next, not only what heat moves.
    full_at: BootTime,
    /// When it is looked next for devices that have come or gone.
    look_at: BootTime,
    /// When somebody last wanted something of the engine, or hearthd began to watch.
    wanted_at: Option<BootTime>,
    breakdown: Option<MemoryBreakdown>,
}

impl Observer {
    /// An observer that has not sampled yet.
    pub(crate) fn new(sampler: Sampler, interval: Interval) -> Self {
        Self {
            sampler,
            interval,
            alerts: Alerts::default(),
            last: Sample::default(),
            full_at: BootTime(0),
            look_at: BootTime(0),
            wanted_at: None,
            breakdown: None,
        }
    }

    /// Samples, and tells which files went bad or well since the last time. Between two samples of everything, which
    /// are as far apart as the interval says, only what heat moves is read.
    pub(crate) fn sample(&mut self, now: BootTime) -> Vec<Alert> {
        let mut sample = if now >= self.full_at {
            self.everything(now)
        } else {
            self.sampler.sample_heat(now, &self.last)
        };
        sample.engine = self.last.engine.take();
        sample.announced_at_usec = self.last.announced_at_usec;
        self.last = sample;
        self.wanted_at.get_or_insert(now);
        let found = &self.sampler.capabilities().warnings;
        self.alerts.update(now, found.iter().chain(&self.last.warnings))
    }

    fn everything(&mut self, now: BootTime) -> Sample {
        if now >= self.look_at {
            self.sampler.refresh();
            self.look_at = BootTime(now.0.saturating_add(LOOK_USEC));
        }
        let interval = self.interval.millis().saturating_mul(1000);
        self.full_at = BootTime(now.0.saturating_add(interval.min(LOOK_USEC)));
        self.sampler.sample(now)
    }

    /// The engine says what it does; `None`: it has gone.
    pub(crate) fn hear_engine(&mut self, record: Option<PhaseRecord>, now: BootTime) {
        let before = std::mem::replace(&mut self.last.engine, record.map(|record| record.received(now)));
        if [&before, &self.last.engine].into_iter().flatten().any(works) {
            self.wanted_at = Some(now);
        }
    }

    /// The gateway announces a request.
    pub(crate) fn hear_arrival(&mut self, now: BootTime) {
        self.last.announced_at_usec = Some(now);
        self.wanted_at = Some(now);
    }

    /// Since when nobody has wanted anything of the engine; `None` while it works, or runs and has not said what it does.
    pub(crate) fn quiet_since(&self) -> Option<BootTime> {
        let is_quiet = match &self.last.engine {
            Some(engine) => !works(engine),
            None => !self.last.cgroups.iter().any(|group| group.path.ends_with(ENGINE)),
        };
        self.wanted_at.filter(|_| is_quiet)
    }

    /// What the law of reclaim is told of these control groups.
    pub(crate) fn memory_sample(&self, now: BootTime, cgroups: &[&str]) -> MemorySample {
        MemorySample {
            quiet_since_usec: self.quiet_since(),
            ..self.sampler.memory_sample(now, cgroups)
        }
    }

    /// How many processors' time the engine may use; `None`: no limit, or none that can be read.
    pub(crate) fn engine_cpu_limit(&self) -> Option<f64> {
        self.sampler.cpu_limit(&format!("system.slice/{ENGINE}"))
    }

    /// Whether there is an engine that can be told something.
    pub(crate) fn engine_runs(&self) -> bool {
        self.last.engine.is_some()
    }

    /// Tokens that a sequence may have, as the engine told last.
    fn context(&self) -> Option<u32> {
        let told = self.last.engine.as_ref().map(|engine| engine.context);
        told.filter(|context| *context > 0)
    }

    /// What the law of pressure is told.
    pub(crate) fn pressure_sample(&self, now: BootTime) -> PressureSample {
        PressureSample {
            engine_runs: self.engine_runs(),
            context: self.context(),
            ..self.sampler.pressure_sample(now)
        }
    }

    /// What the engine holds of the memory, as read within the last second; `None` while it has no control group.
    pub(crate) fn engine_share(&mut self, now: BootTime) -> Option<EngineShare> {
        let path = format!("system.slice/{ENGINE}");
        let seen = self.memory_breakdown(now);
        let group = seen.cgroups.iter().find(|group| group.path == path)?;
        Some(EngineShare::new(
            group,
            self.sampler.memory_limit(&path),
            &seen.meminfo,
        ))
    }

    /// Who holds memory, as read within the last second.
    pub(crate) fn memory_breakdown(&mut self, now: BootTime) -> MemoryBreakdown {
        let fresh = |seen: &MemoryBreakdown| now.0.saturating_sub(seen.at_usec.0) < BREAKDOWN_USEC;
        let seen = self.breakdown.take().filter(fresh);
        let seen = seen.unwrap_or_else(|| self.sampler.memory_breakdown(now));
        self.breakdown.insert(seen).clone()
    }

    /// The kernel has told something: the next sample is of everything.
    pub(crate) fn look_again(&mut self) {
        self.full_at = BootTime(0);
    }

    /// Something came or went, or is other than it was.
    pub(crate) fn rediscover(&mut self) {
        self.sampler.rediscover();
        self.look_again();
    }

    /// A caller wants to know: whether the newest sample is too old to answer it. If so, the next is of everything.
    pub(crate) fn is_stale(&mut self, now: BootTime) -> bool {
        let age = Duration::from_micros(now.0.saturating_sub(self.last.at_usec.0));
        let stale = age >= FRESH;
        if stale {
            self.look_again();
        }
        stale
    }

    /// The newest sample.
    pub(crate) fn last(&self) -> &Sample {
        &self.last
    }

    /// What the machine has.
    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.sampler.capabilities()
    }

    /// The longest time between two samples.
    pub(crate) fn interval(&self) -> Interval {
        self.interval
    }

    /// Sets the longest time between two samples.
    pub(crate) fn set_interval(&mut self, interval: Interval) {
        self.interval = interval;
    }

    /// How many files cannot be read or believed.
    pub(crate) fn missing(&self) -> usize {
        self.alerts.count()
    }
}

/// Whether an engine has anything to do.
fn works(engine: &EngineSample) -> bool {
    engine.phase != Phase::Idle || engine.active > 0 || engine.queue_depth > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use linux::Tree;

    fn observer(machine: &str) -> Observer {
        let root = format!("{}/../../tests/machines/{machine}", env!("CARGO_MANIFEST_DIR"));
        Observer::new(
            Sampler::new(Tree::open(root).unwrap(), Vec::new()),
            Interval::default(),
        )
    }

    #[test]
    fn a_call_is_answered_from_a_sample_that_is_young_enough() {
        let mut observer = observer("qemu");
        observer.sample(BootTime(1_000_000));
        assert!(!observer.is_stale(BootTime(1_249_999)));
        assert!(observer.is_stale(BootTime(1_250_000)));
    }

    #[test]
    fn everything_is_read_once_an_interval_and_when_there_is_reason() {
        let mut observer = observer("n100");
        let full = |observer: &mut Observer, at: u64| {
            observer.last.memory.mem_total = None;
            observer.sample(BootTime(at));
            observer.last().memory.mem_total.is_some()
        };
        assert!(full(&mut observer, 0));
        assert!(!full(&mut observer, 4_999_999));
        assert!(full(&mut observer, 5_000_000));
        observer.look_again();
        assert!(full(&mut observer, 5_000_001));
        observer.set_interval("250".parse().unwrap());
        assert!(full(&mut observer, 20_000_000));
        assert!(full(&mut observer, 20_250_000));
    }

    #[test]
    fn a_healthy_machine_raises_nothing() {
        let mut observer = observer("n100");
        assert_eq!(observer.sample(BootTime(0)), []);
        assert_eq!(observer.missing(), 0);
    }

    #[test]
    fn bad_firmware_is_told_once() {
        let mut observer = observer("bad-firmware");
        let alerts = observer.sample(BootTime(0));
        assert!(alerts.len() > 20, "{alerts:?}");
        assert_eq!(observer.sample(BootTime(1)), []);
        assert_eq!(observer.missing(), alerts.len());
    }

    #[test]
    fn it_is_quiet_once_the_engine_is_idle_and_nothing_is_announced() {
        let record = |phase| {
            Some(PhaseRecord {
                phase,
                ..PhaseRecord::default()
            })
        };
        let mut observer = observer("qemu");
        assert_eq!(observer.quiet_since(), None, "nothing was seen yet");
        observer.sample(BootTime(3));
        assert_eq!(observer.quiet_since(), Some(BootTime(3)));
        observer.hear_engine(record(Phase::Decode), BootTime(10));
        assert_eq!(observer.quiet_since(), None);
        observer.hear_engine(record(Phase::Idle), BootTime(20));
        observer.hear_engine(record(Phase::Idle), BootTime(30));
        assert_eq!(
            observer.quiet_since(),
            Some(BootTime(20)),
            "since its first idle word"
        );
        observer.hear_arrival(BootTime(40));
        assert_eq!(observer.quiet_since(), Some(BootTime(40)));
        observer.hear_engine(record(Phase::Loading), BootTime(50));
        observer.hear_engine(None, BootTime(60));
        assert_eq!(
            observer.quiet_since(),
            Some(BootTime(60)),
            "it has gone while it worked"
        );
        observer.last.cgroups.push(machine::CgroupMemory {
            path: format!("system.slice/{ENGINE}"),
            current: None,
            peak: None,
            swap_current: None,
            anon: None,
            file: None,
        });
        assert_eq!(
            observer.quiet_since(),
            None,
            "it runs, and nobody knows what it does"
        );
    }

    #[test]
    fn the_law_of_pressure_is_told_which_context_the_engine_has() {
        let mut observer = observer("qemu");
        let mut told = |context: Option<u32>| {
            let record = context.map(|context| PhaseRecord {
                context,
                ..PhaseRecord::default()
            });
            observer.hear_engine(record, BootTime(1));
            let sample = observer.pressure_sample(BootTime(2));
            (sample.engine_runs, sample.context)
        };
        assert_eq!(told(Some(16_384)), (true, Some(16_384)));
        assert_eq!(told(Some(0)), (true, None));
        assert_eq!(told(None), (false, None));
    }

    #[test]
    fn who_holds_memory_is_read_once_a_second_at_most() {
        let mut observer = observer("qemu");
        for (now, read_at) in [(5, 5), (1_000_004, 5), (1_000_005, 1_000_005)] {
            assert_eq!(
                observer.memory_breakdown(BootTime(now)).at_usec,
                BootTime(read_at)
            );
        }
    }

    #[test]
    fn what_was_heard_is_in_every_sample_until_it_changes() {
        let mut observer = observer("qemu");
        let record = PhaseRecord {
            phase: Phase::Prefill,
            ..PhaseRecord::default()
        };
        observer.hear_arrival(BootTime(5));
        observer.hear_engine(Some(record), BootTime(7));
        for now in [8, 9] {
            observer.sample(BootTime(now));
            let heard = observer.last().engine.as_ref().unwrap();
            assert_eq!((heard.phase, heard.at_usec), (Phase::Prefill, BootTime(7)));
            assert_eq!(observer.last().announced_at_usec, Some(BootTime(5)));
        }
        observer.hear_engine(None, BootTime(10));
        observer.sample(BootTime(11));
        assert_eq!(observer.last().engine, None);
    }
}
