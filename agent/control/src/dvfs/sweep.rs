//! The lowest clock that holds decode's speed, learned for each set of conditions by trials.
//!
//! Downwards in growing strides while trials hold, then halving between the last that held and the last that failed.
//! What was learned is verified now and then, ever more seldom while it holds; and at once when the speed falls under it.

use super::meter::{Meter, Speed};
use super::trial::{Trial, Verdict, enough};
use alloc::vec::Vec;
use machine::{BootTime, EngineSample};

/// Time until the first verification, and the longest between two.
const FIRST_INTERVAL_USEC: u64 = 30_000_000;
const LONGEST_INTERVAL_USEC: u64 = 600_000_000;
/// Speed that falls is looked into no more often than this.
const SUSPICION_USEC: u64 = 15_000_000;
/// Sets of conditions that are remembered; the one longest unused is forgotten.
const MOST_FINDINGS: usize = 32;
/// The strides of the first trial and of later ones, in levels: a trial far too low costs time.
const FIRST_STRIDE: usize = 2;
const LONGEST_STRIDE: usize = 3;

/// What a finding holds for: when any of it changes, decode may be bound by something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conditions {
    model: u64,
    active: u32,
    /// Fourfoldings of the KV cache's depth from 512 tokens.
    depth: u32,
    /// The highest level there is.
    ceiling: usize,
}

impl Conditions {
    /// Those of a record, under a ceiling.
    pub(super) fn of(engine: &EngineSample, ceiling: usize) -> Self {
        Self {
            model: engine.model,
            active: engine.active,
            depth: (engine.kv_tokens / 512 + 1).ilog2().div_ceil(2),
            ceiling,
        }
    }

    /// How different others are; `None` if nothing can be concluded from them.
    fn distance(&self, other: &Self) -> Option<u32> {
        let related = self.model == other.model && self.ceiling == other.ceiling;
        related.then(|| self.active.abs_diff(other.active) * 100 + self.depth.abs_diff(other.depth))
    }
}

/// What the machine shows while it decodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    /// When.
    pub(super) now: BootTime,
    /// The newest record.
    pub(super) engine: &'a EngineSample,
    /// The package's energy counter in µJ, where there is one.
    pub(super) energy: Option<u64>,
    /// The level that the processor really runs, as far as its driver tells.
    pub(super) running: Option<usize>,
}

#[derive(Clone, Debug)]
struct Finding {
    conditions: Conditions,
    /// The lowest level that held.
    level: usize,
    /// The highest that did not.
    failed: Option<usize>,
    /// Whether that failed by little.
    nearly: bool,
    /// A level that is likely, from similar conditions.
    guess: Option<usize>,
    stride: usize,
    due: BootTime,
    interval: u64,
    verified: BootTime,
    expected: Option<Speed>,
    trial: Option<Trial>,
    used: BootTime,
}

/// All that was learned.
#[derive(Clone, Debug, Default)]
pub(super) struct Sweep {
    findings: Vec<Finding>,
    current: Option<Conditions>,
    hold: Meter,
    paused: bool,
}

impl Sweep {
    /// The engine does something else than decode.
    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    /// The level to decode at. Nothing is measured while the ceiling is not steady.
    pub(super) fn step(
        &mut self,
        shown: Shown<'_>,
        conditions: Conditions,
        steady: bool,
        loss: f64,
    ) -> usize {
        if !steady {
            self.paused = true;
            let likely = self.likely(&conditions).unwrap_or(conditions.ceiling);
            return likely.min(conditions.ceiling);
        }
        let resumed = core::mem::take(&mut self.paused) || self.current != Some(conditions);
        self.current = Some(conditions);
        let index = self.find(shown.now, conditions);
        let Some(finding) = self.findings.get_mut(index) else {
            return conditions.ceiling;
        };
        finding.used = shown.now;
        if resumed {
            self.hold = Meter::begin(shown.now);
            if let Some(trial) = &mut finding.trial {
                trial.interrupt(shown.now);
            }
        }
        finding.step(shown, loss, &mut self.hold)
    }

    /// What similar conditions have taught, whatever the ceiling was.
    fn likely(&self, conditions: &Conditions) -> Option<usize> {
        let similar = |finding: &&Finding| {
            let other = finding.conditions;
            other.model == conditions.model && other.active == conditions.active
        };
        self.findings
            .iter()
            .filter(similar)
            .max_by_key(|finding| finding.used)
            .map(|finding| finding.level)
    }

    /// The place of the finding for some conditions, a new one if there is none.
    fn find(&mut self, now: BootTime, conditions: Conditions) -> usize {
        if let Some(index) = self
            .findings
            .iter()
            .position(|finding| finding.conditions == conditions)
        {
            return index;
        }
        let nearest = self
            .findings
            .iter()
            .filter_map(|finding| Some((conditions.distance(&finding.conditions)?, finding)))
            .min_by_key(|(distance, _)| *distance);
        let known = nearest.map(|(_, finding)| (finding.level, finding.failed));
        let known = known.filter(|(level, _)| *level < conditions.ceiling);
        let (guess, failed) = known.map_or((None, None), |(level, failed)| (Some(level), failed));
        let oldest = self
            .findings
            .iter()
            .enumerate()
            .min_by_key(|(_, finding)| finding.used);
        if let (true, Some((index, _))) = (self.findings.len() >= MOST_FINDINGS, oldest) {
            self.findings.swap_remove(index);
        }
        self.findings.push(Finding {
            conditions,
            level: conditions.ceiling,
            failed,
            nearly: false,
            guess,
            stride: FIRST_STRIDE,
            due: now,
            interval: FIRST_INTERVAL_USEC,
            verified: now,
            expected: None,
            trial: None,
            used: now,
        });
        self.findings.len() - 1
    }
}

impl Finding {
    fn step(&mut self, shown: Shown<'_>, loss: f64, hold: &mut Meter) -> usize {
        let now = shown.now;
        let mut reference = None;
        if let Some(trial) = &mut self.trial {
            let Some(verdict) = trial.step(now, shown.engine, shown.energy, loss) else {
                return trial.level();
            };
            reference = trial.reference();
            let candidate = trial.candidate();
            self.trial = None;
            *hold = Meter::begin(now);
            self.conclude(now, candidate, verdict);
        } else {
            hold.record(shown.engine);
            self.suspect(now, loss, hold);
        }
        if let Some(candidate) = self.next(now, shown.running) {
            let depth = shown.engine.kv_tokens;
            let trial = Trial::begin(now, self.conditions.ceiling, candidate, reference, depth);
            let level = trial.level();
            self.trial = Some(trial);
            return level;
        }
        self.level
    }

    /// Has the speed fallen since the level was found good?
    fn suspect(&mut self, now: BootTime, loss: f64, hold: &mut Meter) {
        let Some(speed) = hold.speed().filter(|speed| enough(hold, speed, loss)) else {
            return;
        };
        *hold = Meter::begin(now);
        let slower = |expected: &Speed| {
            speed.seconds > expected.seconds * (1.0 + 2.0 * loss.max(0.01) + speed.error + expected.error)
        };
        let waited = now.0.saturating_sub(self.verified.0) >= SUSPICION_USEC;
        if waited && self.expected.as_ref().is_some_and(slower) {
            self.due = now;
        }
    }

    /// The level to try next; `None` while there is nothing to find out.
    fn next(&mut self, now: BootTime, running: Option<usize>) -> Option<usize> {
        if let Some(guess) = self.guess {
            return Some(guess);
        }
        let floor = self.failed.map_or(0, |failed| failed + 1);
        if self.level > floor {
            let halfway = (self.level - floor).div_ceil(2);
            let stride = if self.failed.is_some() {
                halfway
            } else {
                self.stride
            };
            // A processor at its power limit runs less than it is asked for: what lies between holds for certain.
            let above = running.filter(|_| self.failed.is_none() && self.level == self.conditions.ceiling);
            let from = above.map_or(self.level, |running| running.min(self.level));
            return Some(from.saturating_sub(stride).max(floor));
        }
        if now < self.due {
            return None;
        }
        if self.level < self.conditions.ceiling {
            return Some(self.level);
        }
        // Nothing below the full clock held: after a while it is worth another look.
        self.failed = None;
        self.stride = 1;
        self.settle(now);
        self.level.checked_sub(1)
    }

    fn conclude(&mut self, now: BootTime, candidate: usize, verdict: Verdict) {
        self.verified = now;
        let verified = self.guess.is_none() && candidate == self.level;
        match verdict {
            Verdict::Unclear => {
                self.settle(now);
                self.guess = None;
                return;
            }
            Verdict::Holds(speed) => {
                self.level = candidate;
                self.expected = Some(speed);
                self.stride = if self.guess.is_some() {
                    1
                } else {
                    (self.stride + 1).min(LONGEST_STRIDE)
                };
                if verified && (self.nearly || self.interval >= LONGEST_INTERVAL_USEC) {
                    // One level lower once more: the machine may bear it now, or noise had tipped the balance.
                    self.failed = None;
                    self.stride = 1;
                }
                self.guess = None;
            }
            Verdict::Fails | Verdict::Hopeless => {
                self.nearly = verdict == Verdict::Fails;
                self.failed = Some(self.failed.map_or(candidate, |failed| failed.max(candidate)));
                self.guess = None;
                self.expected = None;
                if verified || candidate >= self.level {
                    self.level = (candidate + 1).min(self.conditions.ceiling);
                    self.guess = (self.level < self.conditions.ceiling).then_some(self.level);
                }
                self.interval = FIRST_INTERVAL_USEC;
            }
        }
        self.settle(now);
    }

    fn settle(&mut self, now: BootTime) {
        self.due = BootTime(now.0.saturating_add(self.interval));
        self.interval = self.interval.saturating_mul(2).min(LONGEST_INTERVAL_USEC);
    }
}
