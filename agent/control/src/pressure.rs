//! The law that answers a lack of memory: how far the engine gives memory up ([`PressureLevel`]), and with how small a
//! context it comes back where that did not do.
//!
//! What shows a lack is the time that tasks lose to it (`/proc/pressure/memory`), and how little is available. Weights are
//! pages of files and count as available, so that a model which fills the memory is no lack as long as nobody waits for
//! its pages. Where tasks do wait and much is available, it is for such pages, and an engine that refuses or ends would
//! only read them once more: time that is lost leads beyond [`PressureLevel::Park`] only where less than
//! [`LITTLE_AVAILABLE`] is available.
//!
//! - **Up** one level at a time, and only after the level before has had [`SETTLE_USEC`] to help; the engine is ended only
//!   after [`LAST_SETTLE_USEC`], for whoever asks next waits for it to load.
//! - **Down** one level at a time, each after [`CALM_USEC`] in which less was lost than would have held the level.
//!   What holds a level is half of what leads to it, so that what its own effect takes away does not undo it.
//! - **A smaller context.** Each time that the engine is ended, it comes back with half the context, at least
//!   [`LEAST_CONTEXT`] tokens; after [`LONG_CALM_USEC`] without any lack with twice as much, until it has what it was set
//!   up for.
//!
//! A reading that is missing counts as calm: it raises no level, and a level that it alone would hold falls in time.
//! Elsewhere Hearth takes what it cannot read for the worst; but here to refuse is itself the harm, an engine that refuses
//! because a file cannot be read would do so for good, and where memory does run out, the kernel ends the engine first
//! and systemd starts it again.

use machine::{BootTime, PressureDecision, PressureLevel, PressureSample, PressureSeen};

/// How long a level must have lasted before the next one, in microseconds.
pub const SETTLE_USEC: u64 = 2_000_000;
/// The same before the engine is ended.
pub const LAST_SETTLE_USEC: u64 = 10_000_000;
/// How long a level must have been needless before it is left, in microseconds.
pub const CALM_USEC: u64 = 10_000_000;
/// How long there must have been no lack at all before the context grows again, in microseconds.
pub const LONG_CALM_USEC: u64 = 600_000_000;
/// Tokens of a sequence as the engine is set up if nobody says otherwise (`inferd serve --context`): of them the first
/// smaller context is half where the engine has not told how many it has.
pub const WHOLE_CONTEXT: u32 = 4096;
/// Per cent of the memory: where less is available, whoever waits for memory waits for what others have taken.
pub const LITTLE_AVAILABLE: f32 = 12.0;
/// The smallest context: less holds no question with its answer.
pub const LEAST_CONTEXT: u32 = 512;

/// Between two looks while an engine runs, and while none does, in microseconds.
const PACE_USEC: u64 = 1_000_000;
const REST_USEC: u64 = 5_000_000;

/// What leads to a level. One of the three suffices, but beyond [`PressureLevel::Park`] the first two only with
/// [`LITTLE_AVAILABLE`].
#[derive(Clone, Copy, Debug)]
struct Threshold {
    level: PressureLevel,
    /// Per cent of the time in which some task waits.
    some: f32,
    /// The same in which all wait.
    full: f32,
    /// `MemAvailable`, per cent of `MemTotal`.
    available: f32,
}

/// A task that waits a tenth of its time is what Android's `lmkd` kills for on its smallest devices (`psi_partial_stall_ms`:
/// 70 to 200 ms a second), and what `systemd-oomd` kills for is ten times that. Here nobody is killed for it, so the first
/// steps come earlier. Of memory an eighth is what the engine itself leaves others; below that others have taken it.
const THRESHOLDS: [Threshold; 4] = [
    threshold(PressureLevel::Trim, 5.0, 1.0, 8.0),
    threshold(PressureLevel::Park, 10.0, 4.0, 5.0),
    threshold(PressureLevel::Refuse, 20.0, 10.0, 3.0),
    threshold(PressureLevel::Shrink, 40.0, 20.0, 2.0),
];
/// What holds a level: this part of the lost time that leads to it, or this multiple of what is available.
const HOLD: f32 = 0.5;
const HOLD_AVAILABLE: f32 = 1.25;

/// The law and what it remembers.
#[derive(Clone, Debug, Default)]
pub struct PressureLaw {
    level: PressureLevel,
    context: Option<u32>,
    /// The context that was in force when it was first halved.
    whole: u32,
    /// When the level was last another.
    changed_at: BootTime,
    /// Since when the level has been needless.
    calm_since: Option<BootTime>,
    /// Since when there has been no lack, or the context last grew.
    well_since: Option<BootTime>,
    last: Option<PressureSample>,
}

impl PressureLaw {
    /// Decides. Samples come in the order of their time; one that is not later than the one before changes nothing.
    pub fn step(&mut self, sample: &PressureSample) -> PressureDecision {
        let now = sample.at_usec;
        let before = self.last.as_ref();
        if before.is_some_and(|before| now <= before.at_usec) {
            return self.decision(sample, PressureSeen::default());
        }
        let seen = seen(sample, before);
        self.last = Some(sample.clone());
        self.follow(now, &seen, sample);
        self.grow(now);
        self.decision(sample, seen)
    }

    /// One level up or down, if it is time to.
    fn follow(&mut self, now: BootTime, seen: &PressureSeen, sample: &PressureSample) {
        let most = if sample.engine_runs {
            PressureLevel::Shrink
        } else {
            PressureLevel::Refuse
        };
        if self.level > most {
            // The engine has ended, which is what this level was for.
            return self.change(most, now);
        }
        let wanted = level(seen, 1.0, 1.0).min(most);
        let held = level(seen, HOLD, HOLD_AVAILABLE);
        if held >= self.level {
            self.calm_since = None;
        }
        if wanted > self.level {
            self.rise(now, sample.context);
        } else if held < self.level {
            self.fall(now);
        }
    }

    fn rise(&mut self, now: BootTime, context: Option<u32>) {
        let next = above(self.level);
        let settle = match next {
            PressureLevel::Trim => 0,
            PressureLevel::Shrink => LAST_SETTLE_USEC,
            _ => SETTLE_USEC,
        };
        if lasted(self.changed_at, now) < settle {
            return;
        }
        self.change(next, now);
        if next == PressureLevel::Shrink {
            self.halve(context);
        }
    }

    /// The next engine has half of the context that is in force: of what it tells, or of what it is allowed if that is
    /// less.
    fn halve(&mut self, told: Option<u32>) {
        let least = told.into_iter().chain(self.context).min();
        let in_force = least.unwrap_or(WHOLE_CONTEXT);
        if self.context.is_none() {
            self.whole = in_force;
        }
        self.context = Some((in_force / 2).max(LEAST_CONTEXT));
    }

    fn fall(&mut self, now: BootTime) {
        let since = *self.calm_since.get_or_insert(now);
        if lasted(since, now) >= CALM_USEC {
            self.change(below(self.level), now);
        }
    }

    fn change(&mut self, level: PressureLevel, now: BootTime) {
        self.level = level;
        self.changed_at = now;
        self.calm_since = None;
    }

    /// The context grows again after a long time without any lack.
    fn grow(&mut self, now: BootTime) {
        if self.level > PressureLevel::None {
            self.well_since = None;
            return;
        }
        let since = *self.well_since.get_or_insert(now);
        if lasted(since, now) < LONG_CALM_USEC {
            return;
        }
        self.well_since = Some(now);
        let more = self.context.map(|context| context.saturating_mul(2));
        self.context = more.filter(|context| *context < self.whole);
    }

    fn decision(&self, sample: &PressureSample, seen: PressureSeen) -> PressureDecision {
        let matters = sample.engine_runs || self.level > PressureLevel::None;
        let wait = if matters { PACE_USEC } else { REST_USEC };
        PressureDecision {
            level: self.level,
            context: self.context,
            seen,
            wake_at: BootTime(sample.at_usec.0.saturating_add(wait)),
        }
    }
}

const fn threshold(level: PressureLevel, some: f32, full: f32, available: f32) -> Threshold {
    Threshold {
        level,
        some,
        full,
        available,
    }
}

/// The highest level that a reading reaches, its thresholds taken so many times.
fn level(seen: &PressureSeen, lost: f32, available: f32) -> PressureLevel {
    let is_left_less = |than: f32| seen.available.is_some_and(|left| left < than * available);
    let is_lost = |threshold: &Threshold| {
        seen.some.is_some_and(|some| some >= threshold.some * lost)
            || seen.full.is_some_and(|full| full >= threshold.full * lost)
    };
    let reaches = |threshold: &&Threshold| {
        let counts = threshold.level <= PressureLevel::Park || is_left_less(LITTLE_AVAILABLE);
        counts && is_lost(threshold) || is_left_less(threshold.available)
    };
    let highest = THRESHOLDS.iter().rev().find(reaches);
    highest.map_or(PressureLevel::None, |threshold| threshold.level)
}

fn seen(sample: &PressureSample, before: Option<&PressureSample>) -> PressureSeen {
    let share = |total: fn(&PressureSample) -> Option<u64>| {
        let before = before?;
        let lost = total(sample)?.checked_sub(total(before)?)?;
        let elapsed = lasted(before.at_usec, sample.at_usec);
        Some(percent(lost, elapsed).min(100.0))
    };
    let memory = &sample.memory;
    PressureSeen {
        some: share(|sample| Some(sample.stall.as_ref()?.some.total_usec.0)),
        full: share(|sample| Some(sample.stall.as_ref()?.full.as_ref()?.total_usec.0)),
        available: memory
            .mem_available
            .zip(memory.mem_total.filter(|total| total.0 > 0))
            .map(|(available, total)| percent(available.0, total.0)),
    }
}

fn percent(part: u64, whole: u64) -> f32 {
    (part as f64 / whole as f64 * 100.0) as f32
}

fn lasted(since: BootTime, now: BootTime) -> u64 {
    now.0.saturating_sub(since.0)
}

fn above(level: PressureLevel) -> PressureLevel {
    match level {
        PressureLevel::None => PressureLevel::Trim,
        PressureLevel::Trim => PressureLevel::Park,
        PressureLevel::Park => PressureLevel::Refuse,
        PressureLevel::Refuse | PressureLevel::Shrink => PressureLevel::Shrink,
    }
}

fn below(level: PressureLevel) -> PressureLevel {
    match level {
        PressureLevel::None | PressureLevel::Trim => PressureLevel::None,
        PressureLevel::Park => PressureLevel::Trim,
        PressureLevel::Refuse => PressureLevel::Park,
        PressureLevel::Shrink => PressureLevel::Refuse,
    }
}
