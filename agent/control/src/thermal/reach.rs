//! How far heat can get before the next look: learned from how the machine has warmed when work came.

use crate::share::Drawn;

/// What a machine is taken for that has shown nothing yet, the fastest of small coolers: how much full power warms
/// the sensor in the first two seconds, in K, and how fast from then on, in K/s.
const UNKNOWN: Rise = Rise {
    jump: 20.0,
    slope: 12.0,
};
/// Shares of processor time at which an episode of work begins and ends.
const BEGIN: f64 = 0.5;
const END: f64 = 0.3;
/// Seconds of rest before an episode from which something is learned: else it begins while the die still cools.
const RESTED: f64 = 5.0;
/// Seconds into an episode when the jump is over, and when the slope is known.
const JUMPED: f64 = 2.0;
const KNOWN: f64 = 8.0;
/// Episodes that must agree before a machine is taken for slower than [`UNKNOWN`].
const EPISODES: usize = 3;
/// The least share of full power that an episode is taken to have drawn.
const LEAST_FELT: f64 = 0.1;
/// The least that a die is hotter than its sink under full power, in K.
const LEAST_JUMP: f64 = 8.0;
/// What is seen is taken for this much less than what may come.
const CAUTION: f64 = 1.5;

/// A warming: at once, in K, then steadily, in K/s; both under full power.
#[derive(Clone, Copy, Debug)]
struct Rise {
    jump: f64,
    slope: f64,
}

/// What has been learned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reach {
    /// The last episodes, newest first.
    seen: [Option<Rise>; EPISODES],
    episode: Option<Episode>,
    /// The temperature before, in °C.
    before: Option<f64>,
    /// For how many seconds little has been drawn.
    rested: f64,
}

/// Work that has come.
#[derive(Clone, Copy, Debug)]
struct Episode {
    /// Whether something is learned from it.
    teaches: bool,
    seconds: f64,
    /// The temperature it began at, in °C, and the hottest since.
    began: f64,
    hottest: f64,
    /// The most that was drawn, as far as it is felt, in shares of full power.
    felt: f64,
    /// The temperature after the jump.
    jumped: f64,
}

impl Reach {
    /// Takes in a temperature in °C.
    pub(super) fn step(&mut self, dt: f64, temperature: f64, drawn: Drawn) {
        self.rested = if drawn.busy < END {
            self.rested + dt
        } else {
            self.rested
        };
        let before = self.before.replace(temperature).unwrap_or(temperature);
        let Some(episode) = &mut self.episode else {
            if drawn.busy > BEGIN {
                self.episode = Some(Episode {
                    teaches: self.rested >= RESTED,
                    seconds: dt,
                    began: before,
                    hottest: before,
                    felt: LEAST_FELT,
                    jumped: before,
                });
            }
            return;
        };
        self.rested = 0.0;
        let before = episode.seconds;
        episode.seconds += dt;
        let after = episode.seconds;
        let passed = |mark: f64| before < mark && after >= mark;
        episode.hottest = episode.hottest.max(temperature);
        episode.felt = episode.felt.max(drawn.felt);
        if episode.teaches && passed(JUMPED) {
            episode.jumped = temperature;
            let jump = (episode.hottest - episode.began) / episode.felt;
            self.seen.rotate_right(1);
            self.seen[0] = Some(Rise { jump, ..UNKNOWN });
        }
        if let (true, Some(rise)) = (episode.teaches && passed(KNOWN), &mut self.seen[0]) {
            rise.slope = (temperature - episode.jumped).max(0.0) / (after - JUMPED) / episode.felt;
        }
        if drawn.busy < END {
            self.episode = None;
        }
    }

    /// In how many seconds full power could use up half of a gap in K to the target; never less than nothing.
    pub(super) fn seconds(&self, gap: f64) -> f64 {
        let rise = self.rise();
        ((gap - rise.jump) / (2.0 * rise.slope)).max(0.0)
    }

    /// How much full power warms at once, in K, as far as is known.
    pub(super) fn jump(&self) -> f64 {
        self.rise().jump.max(LEAST_JUMP)
    }

    fn rise(&self) -> Rise {
        let learned = self.seen.iter().flatten();
        let worst = learned.fold(
            Rise {
                jump: 0.0,
                slope: 0.1,
            },
            |worst, rise| Rise {
                jump: worst.jump.max(CAUTION * rise.jump),
                slope: worst.slope.max(CAUTION * rise.slope),
            },
        );
        if self.seen.iter().all(Option::is_some) {
            return worst;
        }
        Rise {
            jump: worst.jump.max(UNKNOWN.jump),
            slope: worst.slope.max(UNKNOWN.slope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(reach: &mut Reach, jump: f64, slope: f64) {
        for (share, seconds) in [(0.0, 10), (1.0, 12)] {
            for second in 0..seconds {
                let temperature = 40.0 + share * (jump + slope * f64::from(second));
                reach.step(
                    1.0,
                    temperature,
                    Drawn {
                        now: share,
                        felt: share,
                        busy: share,
                        lately: share,
                    },
                );
            }
        }
    }

    #[test]
    fn a_machine_is_slow_only_when_it_has_shown_it_three_times() {
        let mut reach = Reach::default();
        assert!(reach.seconds(40.0) < 1.0);
        for _ in 0..2 {
            work(&mut reach, 8.0, 0.2);
            assert!(reach.seconds(40.0) < 1.0);
        }
        work(&mut reach, 8.0, 0.2);
        assert!(reach.seconds(40.0) > 5.0, "{reach:?}");
        assert_eq!(reach.seconds(5.0), 0.0);
    }

    #[test]
    fn a_fast_one_is_believed_at_once() {
        let mut reach = Reach::default();
        let before = reach.seconds(60.0);
        work(&mut reach, 30.0, 10.0);
        assert!(reach.seconds(60.0) < before);
    }
}
