//! What one sensor has done so far, and whether that makes it worth believing.
//!
//! A verdict is reached from the past: the reading that comes with it is weighed, not judged. So a hotter reading in the
//! same state is never the reason to believe less heat.

use super::listing::Listed;
use machine::Distrust;

/// How much power may vary, in shares of full power times seconds, while a reading stands still; for a sensor that
/// tells whole degrees, and in proportion less for a finer one. Even a large cooler shows 0.3 of full power for 7 s by
/// more than a degree.
const STILL_EXPOSURE: f64 = 2.0;
/// Changes of power smaller than this share are not expected to show, for a sensor of whole degrees and for the finest.
const UNSEEN: f64 = 0.15;
const UNSEEN_FINEST: f64 = 0.04;
/// The least time in seconds that a reading must stand still to be called frozen.
const STILL_SECONDS: f64 = 2.0;
/// Seconds after which a reading that stands still is worth a test.
const TEST_AFTER: f64 = 30.0;
/// The finest steps that are reckoned with, in K: a tenth, as ACPI tells.
const FINEST: f64 = 0.1;
/// How near to a trip point a reading must be to be taken for it, in K.
const ON_TRIP: f64 = 0.5;
/// Seconds that a reading must stand on a trip point to be taken for it.
const TRIP_SECONDS: f64 = 3.0;
/// How fast a reading may fall while power does not, in K, and K/s. Faster means that the reading is wrong.
const FALL: f64 = 10.0;
const FALL_PER_SECOND: f64 = 20.0;
/// How much colder than another sensor of the same processor one may be, in K, and for how many seconds.
const APART: f64 = 45.0;
const APART_SECONDS: f64 = 30.0;
/// How far a living sensor must move while one that never moved stands, in K, and in K times seconds beyond that.
const UNSHARED: f64 = 3.0;
const UNSHARED_EXPOSURE: f64 = 120.0;
/// The most by which a lost sensor is taken to have been hotter than the others, in K.
const LARGEST_OFFSET: f64 = 20.0;

/// What the rest of the machine does while a sensor is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// Seconds since the sample before.
    pub(super) dt: f64,
    /// The share of full power, as late as a sensor shows it.
    pub(super) felt: f64,
    /// Whether power has fallen so far that a temperature may fall as it likes.
    pub(super) relieved: bool,
}

/// The hottest of the processor's other sensors, in °C.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside {
    /// Of those that are believed.
    pub(super) believed: Option<f64>,
    /// Of those that have ever moved, too.
    pub(super) living: Option<f64>,
}

/// One sensor's past.
#[derive(Clone, Debug)]
pub(super) struct Track {
    /// The last reading.
    pub(super) last: Option<f64>,
    /// The last temperature that was assumed of it alone.
    held: Option<f64>,
    /// Why it is not believed.
    pub(super) distrust: Option<Distrust>,
    /// How much hotter than the others it was when it last moved, in K.
    pub(super) offset: f64,
    /// Whether it has ever moved.
    pub(super) moved: bool,
    still: Still,
    /// For how many seconds it has been much colder than living ones, or, having never moved, much hotter.
    apart: f64,
    /// The smallest change it has told, in K, from [`FINEST`] to 1.
    finest: f64,
    /// Grows when it was called frozen and then moved: a slow sensor.
    patience: f64,
}

/// How long a reading has not moved.
#[derive(Clone, Copy, Debug, Default)]
struct Still {
    seconds: f64,
    /// Share-seconds by which power differed from when it began.
    exposure: f64,
    /// The share drawn when it began.
    felt: f64,
    /// What a living sensor read when there first was one, and the K times seconds by which it differed since.
    living: Option<f64>,
    unshared: f64,
}

impl Track {
    /// A sensor that is seen for the first time.
    pub(super) fn new() -> Self {
        Self {
            last: None,
            held: None,
            distrust: None,
            offset: 0.0,
            moved: false,
            still: Still::default(),
            apart: 0.0,
            finest: 1.0,
            patience: 1.0,
        }
    }

    /// The reading as far as it can be true: it falls no faster than heat does while power stays. `None` without one.
    pub(super) fn weigh(&mut self, reading: Option<f64>, around: Around) -> Option<f64> {
        let reading = reading?;
        let fall = FALL + FALL_PER_SECOND * around.dt;
        let lowest = self
            .held
            .filter(|_| !around.relieved)
            .map_or(reading, |held| held - fall);
        self.held = Some(reading.max(lowest));
        self.held
    }

    /// Whether a reading that was just weighed has fallen as no cooling explains.
    pub(super) fn fell_too_fast(&self, reading: f64) -> bool {
        self.held.is_some_and(|held| held > reading + FALL)
    }

    /// Whether it has stood so long that power should vary, to see whether it still moves.
    pub(super) fn wants_test(&self) -> bool {
        self.still.seconds >= TEST_AFTER
    }

    /// Learns from the reading that was just weighed, for the next verdict.
    pub(super) fn learn(&mut self, listed: &Listed, beside: Beside, around: Around) {
        let Some(reading) = listed.reading else {
            return;
        };
        let change = self.last.map_or(0.0, |last| (reading - last).abs());
        let moves = self.last.is_some() && change > 0.0;
        if moves {
            self.stir(change, around);
            let more = |others: f64| (reading - others).clamp(0.0, LARGEST_OFFSET);
            self.offset = beside.believed.map_or(0.0, more);
        } else {
            self.rest(beside, around);
        }
        let apart = beside
            .living
            .is_some_and(|living| living - reading > APART || (!self.moved && reading - living > APART));
        self.apart = if apart { self.apart + around.dt } else { 0.0 };
        self.last = Some(reading);
        self.distrust = self.verdict(listed);
    }

    fn stir(&mut self, change: f64, around: Around) {
        if self.distrust == Some(Distrust::Frozen) {
            self.patience = (self.patience * 2.0).min(16.0);
        }
        self.moved = true;
        self.finest = self.finest.min(change).max(FINEST);
        self.still = Still {
            felt: around.felt,
            ..Still::default()
        };
    }

    fn rest(&mut self, beside: Beside, around: Around) {
        let still = &mut self.still;
        if still.seconds == 0.0 {
            still.felt = around.felt;
        }
        still.seconds += around.dt;
        let unseen = UNSEEN_FINEST + (UNSEEN - UNSEEN_FINEST) * self.finest;
        let difference = ((around.felt - still.felt).abs() - unseen).max(0.0);
        still.exposure += difference * around.dt;
        if let Some(living) = beside.living {
            let moved = (living - *still.living.get_or_insert(living)).abs();
            still.unshared += (moved - UNSHARED).max(0.0) * around.dt;
        }
    }

    fn verdict(&self, listed: &Listed) -> Option<Distrust> {
        let still = self.still;
        let was_suspect = self.distrust == Some(Distrust::Contradicted) && still.seconds > 0.0;
        if on_trip(listed) && (was_suspect || still.seconds >= TRIP_SECONDS || !self.moved) {
            return Some(Distrust::Contradicted);
        }
        let limit = STILL_EXPOSURE * self.finest * self.patience;
        let alone = !self.moved && still.unshared > UNSHARED_EXPOSURE;
        if alone || (still.seconds >= STILL_SECONDS && still.exposure > limit) {
            return Some(Distrust::Frozen);
        }
        (self.apart >= APART_SECONDS).then_some(Distrust::Contradicted)
    }
}

fn on_trip(listed: &Listed) -> bool {
    let Some(reading) = listed.reading else {
        return false;
    };
    listed.trips.iter().any(|trip| (reading - trip).abs() <= ON_TRIP)
}
