//! The law that gives memory back while the machine is quiet.
//!
//! The kernel leaves memory where it lies until somebody needs it. Between answers nobody does, and what a program wrote
//! once at its start stays for weeks. So the law takes a little from each control group ([`machine::ReclaimRequest`]: by
//! `memory.reclaim`), looks whether anybody misses it, and goes on until no more is used than is aimed at. The idea is
//! senpai's; it is `memory.reclaim` and not a lowered `memory.high`, as a limit that is left behind would throttle
//! whoever wakes.
//!
//! - **When.** Only after nobody has wanted anything of the engine for [`SETTLE_USEC`]. While the engine works, or while it is
//!   not known whether it does, nothing is taken of anybody.
//! - **What.** Pages that can go to swap. `used` is `MemTotal − MemAvailable`, and pages of files count as available as they
//!   are: to drop them frees nothing by that measure, and costs reading them again. A kernel that gives them all the same
//!   has yielded nothing. Without room in swap there is nothing to take.
//! - **How much.** A share of a group's swappable memory each second; never below its floor, never more than a bite
//!   ([`BITE`]), since whoever carries it out waits for the compression.
//! - **How far.** Stalled time and refaults are what it costs. As soon as either shows, or a bite yields nothing, the group
//!   is left with what it had before, its shares are halved, and it is put to the test again only after a pause that
//!   doubles each time. So where nothing changes, ever less is written to zram: some bites a day.
//!
//! A reading that is missing means that the law takes nothing of the group it concerns, or of any.

mod group;

use alloc::{string::ToString, vec::Vec};
use group::{Group, Instant};
use machine::{
    BootTime, Bytes, CgroupLoad, MemorySample, MicroSeconds, Reclaim, ReclaimRequest, ReclaimState,
};

/// How long it must have been quiet, in microseconds: a conversation goes on within seconds.
pub const SETTLE_USEC: u64 = 5_000_000;
/// The most that is taken of a group at once.
pub const BITE: Bytes = Bytes(4 << 20);
/// Less than this is not worth a request.
pub const CRUMB: Bytes = Bytes(128 << 10);
/// The share of lost time that counts as felt: senpai's, a thousandth.
pub const FELT: f64 = 0.001;

/// The share of its swappable memory that a group gives at once, above the limit and below it.
const SHARES: [f64; 2] = [0.10, 0.03];
/// As few pages of files as may be: only what nobody can read again counts as used.
const SWAPPINESS: u8 = 200;
/// Between two bites, in microseconds.
const PACE_USEC: u64 = 1_000_000;
/// Between two looks while there is nothing to do, in microseconds.
const REST_USEC: u64 = 10_000_000;

/// How much memory may be used while the machine is quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryGoal {
    /// What is aimed at. Below it nothing is taken.
    pub aim: Bytes,
    /// What may be used at most. Above it larger shares are taken.
    pub limit: Bytes,
}

impl Default for MemoryGoal {
    /// What an idle appliance is to use: 120 MB are aimed at, 200 MB are the limit.
    fn default() -> Self {
        Self {
            aim: Bytes(120_000_000),
            limit: Bytes(200_000_000),
        }
    }
}

/// The law and what it remembers of each group.
#[derive(Clone, Debug, Default)]
pub struct Reclaimer {
    goal: MemoryGoal,
    groups: Vec<Group>,
    /// When it was stepped last, and the time that was lost until then.
    last: Option<(BootTime, Option<MicroSeconds>)>,
}

impl Reclaimer {
    /// A law that has seen nothing yet.
    pub fn new(goal: MemoryGoal) -> Self {
        Self {
            goal,
            ..Self::default()
        }
    }

    /// What is aimed at.
    pub fn goal(&self) -> MemoryGoal {
        self.goal
    }

    /// Decides. Samples come in the order of their time; one that is not later than the one before takes nothing.
    pub fn step(&mut self, sample: &MemorySample) -> Reclaim {
        let now = sample.at_usec;
        if self.last.is_some_and(|(before, _)| now <= before) {
            return nothing(ReclaimState::Unknown, now, PACE_USEC);
        }
        let felt = self.felt(sample);
        self.learn(sample, felt);
        let decision = self.decide(sample, felt);
        self.note(&decision);
        decision
    }

    /// Whether the machine as a whole has lost time to a lack of memory since the last step; `None` if that is not known.
    fn felt(&mut self, sample: &MemorySample) -> Option<bool> {
        let (before, lost) = self.last.replace((sample.at_usec, sample.stalled_usec))?;
        let stalled = sample.stalled_usec?.0.checked_sub(lost?.0)?;
        Some(is_felt(stalled, sample.at_usec.0 - before.0))
    }

    /// What has become of the last bites. Groups that are gone are forgotten.
    fn learn(&mut self, sample: &MemorySample, felt: Option<bool>) {
        let quiet = settled(sample) == Some(0);
        let mut before = core::mem::take(&mut self.groups);
        self.groups = sample
            .cgroups
            .iter()
            .map(|load| {
                let at = before.iter().position(|group| group.path == load.path);
                let mut group = at.map_or_else(|| Group::new(&load.path), |at| before.swap_remove(at));
                group.learn(Instant::new(sample.at_usec, load), felt.unwrap_or(false), quiet);
                group
            })
            .collect();
    }

    fn decide(&self, sample: &MemorySample, felt: Option<bool>) -> Reclaim {
        let now = sample.at_usec;
        let budget = match self.budget(sample, felt) {
            Ok(budget) => budget,
            Err((state, wait_usec)) => return nothing(state, now, wait_usec),
        };
        let requests = self.bites(sample, budget);
        if requests.is_empty() {
            return nothing(ReclaimState::Spent, now, REST_USEC);
        }
        Reclaim {
            requests,
            state: ReclaimState::Reclaiming,
            wake_at: later(now, PACE_USEC),
        }
    }

    /// How much may be taken of all groups together, in bytes; or why nothing, and for how many microseconds.
    fn budget(&self, sample: &MemorySample, felt: Option<bool>) -> Result<u64, (ReclaimState, u64)> {
        match settled(sample) {
            None => return Err((ReclaimState::Waiting, REST_USEC)),
            Some(0) => {}
            Some(left) => return Err((ReclaimState::Waiting, left)),
        }
        let unknown = (ReclaimState::Unknown, PACE_USEC);
        let used = sample.memory.used().ok_or(unknown)?;
        // Of the room half stays: for what the kernel itself has to swap.
        let room = sample.memory.swap_free.ok_or(unknown)?.0 / 2;
        let felt = felt.ok_or(unknown)?;
        let over = used.0.saturating_sub(self.goal.aim.0);
        if over < CRUMB.0 {
            Err((ReclaimState::AtGoal, REST_USEC))
        } else if room < CRUMB.0 {
            Err((ReclaimState::NoSwap, REST_USEC))
        } else if felt {
            Err((ReclaimState::Spent, PACE_USEC))
        } else {
            Ok(over.min(room))
        }
    }

    /// What is taken of each group, in their order, until the budget is spent.
    fn bites(&self, sample: &MemorySample, mut budget: u64) -> Vec<ReclaimRequest> {
        let used = sample.memory.used();
        let share = if used > Some(self.goal.limit) {
            SHARES[0]
        } else {
            SHARES[1]
        };
        let mut requests = Vec::new();
        for (group, load) in self.groups.iter().zip(&sample.cgroups) {
            let bytes = group.bite(load, sample.at_usec, share).min(budget) & !0xfff;
            if bytes >= CRUMB.0 {
                budget -= bytes;
                requests.push(request(load, bytes));
            }
        }
        requests
    }

    /// Remembers what is taken, to see what comes of it.
    fn note(&mut self, decision: &Reclaim) {
        for group in &mut self.groups {
            let request = decision
                .requests
                .iter()
                .find(|request| request.cgroup == group.path);
            group.taken = request.map_or(0, |request| request.bytes.0);
        }
    }
}

/// Microseconds until it has been quiet for long enough; `None` while it is not quiet.
fn settled(sample: &MemorySample) -> Option<u64> {
    let since = sample.quiet_since_usec?;
    let lasted = sample.at_usec.0.saturating_sub(since.0);
    Some(SETTLE_USEC.saturating_sub(lasted))
}

/// Whether so much lost time within so much time is felt.
fn is_felt(stalled_usec: u64, elapsed_usec: u64) -> bool {
    stalled_usec as f64 > elapsed_usec as f64 * FELT
}

fn request(load: &CgroupLoad, bytes: u64) -> ReclaimRequest {
    ReclaimRequest {
        cgroup: load.path.to_string(),
        bytes: Bytes(bytes),
        swappiness: Some(SWAPPINESS),
    }
}

fn nothing(state: ReclaimState, now: BootTime, wait_usec: u64) -> Reclaim {
    Reclaim {
        requests: Vec::new(),
        state,
        wake_at: later(now, wait_usec),
    }
}

fn later(now: BootTime, usec: u64) -> BootTime {
    BootTime(now.0.saturating_add(usec))
}
