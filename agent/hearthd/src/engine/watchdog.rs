//! The law that tells a stuck engine from a slow one. It asks no clock.
//!
//! A busy engine beats a pulse for every layer that it computes and every piece of weights that it reads. What counts
//! is how long the pulse stands still, in time that the engine could have used: a quota that leaves it a tenth of the
//! processors, or a disk that everybody waits for, makes the clock of this law run as much slower. The engine is stuck
//! when it stands still for [`PATIENCE_USEC`], or for [`SLACK`] times as long as it ever did with this model in this
//! phase and went on: so a machine that is slow by nature, an emulated one for example, is given the time that it takes.
//! What was learned ends with the run: a disk that hung once must not make the law patient for ever.
//!
//! An engine at rest beats no pulse. It is asked now and then (every order is answered by a record), and is stuck when
//! it does not answer.

use machine::{BootTime, EngineSample, Phase};
use std::collections::HashMap;

/// How long an engine of unknown speed may stand still, in microseconds of time it could have used. On the slowest machine
/// that Hearth is meant for a layer takes a few hundred milliseconds; while the process of a chat template is waited for,
/// the pulse beats every second.
const PATIENCE_USEC: u64 = 8_000_000;
/// How many times longer than ever before it may stand still.
const SLACK: u64 = 4;
/// The longest standstill that is learned from: nothing takes minutes between two pieces of work.
const LONGEST_USEC: u64 = 120_000_000;
/// The most that counts between two looks: whatever kept hearthd from looking may have kept the engine from working.
const LOOK_USEC: u64 = 1_000_000;
/// The shortest time to the next look: of a shorter one nothing may count at a small share.
const SOON_USEC: u64 = 20_000;
/// The least share of the processors' time that is believed.
const LEAST_SHARE: f64 = 0.01;
/// Speeds that are remembered; with more, all are learned anew.
const MOST_SPEEDS: usize = 64;

/// What is seen of the engine at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'s> {
    pub(crate) now: BootTime,
    /// Its newest record; `None`: it does not run, or is not to.
    pub(crate) engine: Option<&'s EngineSample>,
    /// It was asked for a record at this time, and none has come since.
    pub(crate) asked_at: Option<BootTime>,
    /// The share of the processors' time that it could use, 0 to 1.
    pub(crate) share: f64,
}

/// What the law says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// There is nothing to watch.
    Rest,
    /// All is well so far; look again at this time at the latest.
    Watch(BootTime),
    /// It is stuck.
    Stuck(Stuck),
}

/// Why it is stuck.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stuck {
    /// What it was busy with.
    pub(crate) phase: Phase,
    /// How long it has stood still, in seconds on the wall.
    pub(crate) seconds: f64,
    /// How long it may, in seconds of time that it can use.
    pub(crate) allowed: f64,
}

impl std::fmt::Display for Stuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seconds, allowed, .. } = self;
        match self.phase {
            Phase::Idle => write!(f, "it did not answer for {seconds:.1} s"),
            Phase::Loading => write!(
                f,
                "loading stood still for {seconds:.1} s, {allowed:.1} s are allowed"
            ),
            Phase::Prefill => write!(
                f,
                "prefill stood still for {seconds:.1} s, {allowed:.1} s are allowed"
            ),
            Phase::Decode => write!(
                f,
                "decode stood still for {seconds:.1} s, {allowed:.1} s are allowed"
            ),
        }
    }
}

/// What the engine did when it last gave a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sign {
    phase: Phase,
    model: u64,
    pulse: u64,
    progress: u64,
    /// Of an engine at rest: each question is a matter of its own.
    asked_at: Option<BootTime>,
}

impl Sign {
    fn of(engine: &EngineSample, asked_at: Option<BootTime>) -> Self {
        Self {
            asked_at: asked_at.filter(|_| engine.phase == Phase::Idle),
            phase: engine.phase,
            model: engine.model,
            pulse: engine.pulse,
            progress: engine.progress,
        }
    }

    fn kind(&self) -> (u64, Phase) {
        (self.model, self.phase)
    }
}

/// A standstill that goes on.
#[derive(Clone, Copy, Debug)]
struct Standstill {
    sign: Sign,
    /// When it began, for the journal.
    since: BootTime,
    /// How much of it counts.
    usec: u64,
    looked_at: BootTime,
}

/// The law, and the speeds that it has learned.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    /// The longest standstill after which the engine went on, by model and phase.
    speeds: HashMap<(u64, Phase), u64>,
    standstill: Option<Standstill>,
}

impl Watchdog {
    /// Looks at the engine.
    pub(crate) fn look(&mut self, sight: &Sight<'_>) -> Verdict {
        let Some(engine) = sight.engine else {
            *self = Self::default();
            return Verdict::Rest;
        };
        if engine.phase == Phase::Idle && sight.asked_at.is_none() {
            self.standstill = None;
            return Verdict::Rest;
        }
        let sign = Sign::of(engine, sight.asked_at);
        let fresh = Standstill {
            sign,
            since: sight.now,
            usec: 0,
            looked_at: sight.now,
        };
        let standstill = match self.standstill {
            None => fresh,
            Some(before) => {
                let usec = before.usec + counted(&before, sight);
                if before.sign == sign {
                    Standstill {
                        usec,
                        since: before.since,
                        ..fresh
                    }
                } else {
                    if before.sign.kind() == sign.kind() {
                        self.learn(sign, usec);
                    }
                    fresh
                }
            }
        };
        self.standstill = Some(standstill);
        self.judge(&standstill, sight)
    }

    fn learn(&mut self, sign: Sign, usec: u64) {
        if self.speeds.len() >= MOST_SPEEDS && !self.speeds.contains_key(&sign.kind()) {
            self.speeds.clear();
        }
        let longest = self.speeds.entry(sign.kind()).or_default();
        *longest = usec.min(LONGEST_USEC).max(*longest);
    }

    fn judge(&mut self, standstill: &Standstill, sight: &Sight<'_>) -> Verdict {
        let known = self.speeds.get(&standstill.sign.kind()).copied().unwrap_or(0);
        let allowed = PATIENCE_USEC.max(known.saturating_mul(SLACK));
        if standstill.usec < allowed {
            let left = ((allowed - standstill.usec) as f64 / share(sight)) as u64;
            let wait = left.clamp(SOON_USEC, LOOK_USEC);
            return Verdict::Watch(BootTime(sight.now.0.saturating_add(wait)));
        }
        self.standstill = None;
        Verdict::Stuck(Stuck {
            phase: standstill.sign.phase,
            seconds: sight.now.0.saturating_sub(standstill.since.0) as f64 / 1e6,
            allowed: allowed as f64 / 1e6,
        })
    }
}

/// How much of the time since the last look counts.
fn counted(before: &Standstill, sight: &Sight<'_>) -> u64 {
    let passed = sight.now.0.saturating_sub(before.looked_at.0).min(LOOK_USEC);
    (passed as f64 * share(sight)) as u64
}

fn share(sight: &Sight<'_>) -> f64 {
    if sight.share.is_finite() {
        sight.share.clamp(LEAST_SHARE, 1.0)
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests;
