//! What is remembered of one control group: how it bore the last bite, and what it is left with.

use super::{BITE, CRUMB, is_felt, later};
use alloc::string::{String, ToString};
use machine::{BootTime, Bytes, CgroupLoad, MicroSeconds, Pages};

/// Refaults that count as none, in pages: whoever wakes for a moment touches that many that it had not touched for long.
const FEW_REFAULTS: u64 = 64;
/// A bite that this part of it comes back from was too much, and one that yields less than this part yields nothing.
const PART: u64 = 8;
/// The smallest page that there is: of larger ones more come back than is reckoned with here.
const PAGE: u64 = 4096;
/// Caution after a bite that was felt, as a factor of what it was, and its lowest value.
const BACK_OFF: f64 = 0.5;
const MOST_CAUTIOUS: f64 = 1.0 / 16.0;
/// Caution after a bite that was not felt.
const RECOVERY: f64 = 1.1;
/// The first pause before what a group was left with is put to the test again, in microseconds. Each further one is twice
/// as long; each test that is passed halves it.
const FIRST_PAUSE_USEC: u64 = 60_000_000;

/// A group's readings at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instant {
    at: BootTime,
    current: Option<Bytes>,
    swappable: Option<Bytes>,
    stalled: Option<MicroSeconds>,
    refaults: Option<Pages>,
}

/// A control group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) path: String,
    /// What was asked of it in the last step, in bytes.
    pub(super) taken: u64,
    last: Option<Instant>,
    /// Whether it has told everything since the last step, and nothing was felt.
    calm: bool,
    /// The factor by which its shares are smaller.
    caution: f64,
    /// What it is left with of what can go to swap, in bytes, and until when.
    kept: Option<(u64, BootTime)>,
    pause_usec: u64,
}

impl Instant {
    pub(super) fn new(at: BootTime, load: &CgroupLoad) -> Self {
        Self {
            at,
            current: load.current,
            swappable: load.swappable,
            stalled: load.stalled_usec,
            refaults: load.refaults,
        }
    }

    /// Whether memory was missed since an earlier instant, after so much was taken; `None` if that is not known.
    fn missed(&self, before: &Self, taken: u64) -> Option<bool> {
        let stalled = self.stalled?.0.checked_sub(before.stalled?.0)?;
        let refaults = self.refaults?.0.checked_sub(before.refaults?.0)?;
        let many = refaults > FEW_REFAULTS && refaults.saturating_mul(PAGE) > taken / PART;
        Some(is_felt(stalled, self.at.0.saturating_sub(before.at.0)) || many)
    }

    /// What a group holds less of what can go to swap than at an earlier instant, in bytes. Pages of files do not count: a
    /// kernel that gave those instead has made nothing available.
    fn yielded(&self, before: &Self) -> Option<u64> {
        Some(before.swappable?.0.saturating_sub(self.swappable?.0))
    }
}

impl Group {
    pub(super) fn new(path: &str) -> Self {
        Self {
            path: path.to_string(),
            taken: 0,
            last: None,
            calm: false,
            caution: 1.0,
            kept: None,
            pause_usec: FIRST_PAUSE_USEC,
        }
    }

    /// Takes note of what has become of the last bite. What happens while it is not quiet is nobody's fault.
    pub(super) fn learn(&mut self, now: Instant, felt: bool, quiet: bool) {
        let before = self.last.replace(now);
        let missed = before.and_then(|before| now.missed(&before, self.taken));
        self.calm = missed == Some(false);
        let (Some(before), true) = (before, self.taken > 0 && quiet) else {
            return;
        };
        if felt || missed != Some(false) {
            self.back_off(now.at, before.swappable);
        } else if now
            .yielded(&before)
            .is_none_or(|yielded| yielded < self.taken / PART)
        {
            self.back_off(now.at, now.swappable);
        } else {
            self.recover(now.at);
        }
    }

    /// How much may be taken of it now, in bytes.
    pub(super) fn bite(&self, load: &CgroupLoad, now: BootTime, share: f64) -> u64 {
        let (Some(current), Some(floor), Some(swappable), true) =
            (load.current, load.floor, load.swappable, self.calm)
        else {
            return 0;
        };
        let kept = self
            .kept
            .filter(|(_, until)| now < *until)
            .map_or(0, |(kept, _)| kept);
        let above_floor = current.0.saturating_sub(floor.0);
        let most = above_floor.min(swappable.0.saturating_sub(kept)).min(BITE.0);
        // However cautious: without a crumb nobody would learn that more can be had again.
        let part = (swappable.0 as f64 * share * self.caution) as u64;
        most.min(part.max(CRUMB.0))
    }

    /// It is left with as much as it had when all was well.
    fn back_off(&mut self, now: BootTime, well: Option<Bytes>) {
        self.caution = (self.caution * BACK_OFF).max(MOST_CAUTIOUS);
        self.kept = Some((well.map_or(u64::MAX, |well| well.0), later(now, self.pause_usec)));
        self.pause_usec = self.pause_usec.saturating_mul(2);
    }

    fn recover(&mut self, now: BootTime) {
        self.caution = (self.caution * RECOVERY).min(1.0);
        // A test that was passed: more can be had again.
        if self.kept.take_if(|(_, until)| now >= *until).is_some() {
            self.pause_usec = (self.pause_usec / 2).max(FIRST_PAUSE_USEC);
        }
    }
}
