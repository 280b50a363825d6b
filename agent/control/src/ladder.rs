//! The ladder: what is done when the clock alone does not hold the heat, one rung after another, and undone in the same
//! order. [`machine::Rung`] names them.

use crate::sensors::Proof;
use alloc::{format, string::String, vec::Vec};
use machine::{EngineLimits, KiloHertz, Note, Rung};

/// Over the target by this much, in K, with the clock at its floor, is too hot.
const TOO_HOT: f64 = 2.0;
/// Below the target by this much, in K, is cool enough to undo a step.
const COOL: f64 = 3.0;
/// A clock that could fall by what undoing a quota will cost, and by this much more, is room enough to undo it.
const ROOM: f64 = 1.05;
/// What undoing any other step is taken to cost, as a factor.
const LEAST_COST: f64 = 1.3;
/// A temperature that falls faster than this, in K/s, is on its way: no further step.
const FALLING: f64 = -0.1;
/// One that rises faster than this, in K/s, is not cool enough to undo a step.
const RISING: f64 = 0.3;
/// Seconds that it must be too hot for the next step.
const CLIMB: f64 = 3.0;
/// The same when the plug is near.
const CLIMB_URGENT: f64 = 0.5;
/// Seconds that it must be cool to undo one.
const DESCEND: f64 = 5.0;
/// The same for letting the engine run again, which costs most when it was wrong.
const RESTART: f64 = 20.0;
/// Seconds without a cap after which the clock is called free again.
const FREE: f64 = 3.0;
/// Less than this much below the firmware's critical temperature the machine is powered off, in K.
const LAST_MARGIN: f64 = 3.0;
/// How far ahead is looked for that, in seconds, and for urgency.
const AHEAD: f64 = 1.0;
const AHEAD_URGENT: f64 = 5.0;
/// How much nearer than looking ahead reaches a reading itself must be, in K.
const NEAR: f64 = 3.0;
/// Samples, and seconds from the first of them, that must agree on powering off.
const CONFIRMATIONS: u32 = 3;
const CONFIRMED_AFTER: f64 = 0.4;
/// A reading that falls faster than this, in K/s, and has by this much, in K, is on its way back: the clock does.
const FALL_RATE: f64 = 1.0;
const FALLEN: f64 = 0.5;
/// So near to the critical temperature, in K, even that is not waited for.
const NO_WAITING: f64 = 1.0;
/// Shares of all processors that the engine is rationed to, in per cent, step by step.
const QUOTAS: [u32; 4] = [75, 50, 30, 15];
/// Steps: the quotas, fewer slots, engine stopped.
const SLOTS_STEP: usize = QUOTAS.len() + 1;
const STOP_STEP: usize = QUOTAS.len() + 2;

/// What the ladder is told at one instant. Temperatures in °C.
#[derive(Clone, Debug)]
pub(crate) struct Heat {
    /// Seconds since the step before.
    pub(crate) dt: f64,
    /// The assumed temperature.
    pub(crate) temperature: f64,
    /// How fast it rises, in K/s.
    pub(crate) slope: f64,
    /// The temperature to hold.
    pub(crate) target: f64,
    /// Where the firmware pulls the plug.
    pub(crate) critical: Option<f64>,
    /// The same by sensors that have ever moved: nothing beyond the clock is done for one that merely stands.
    pub(crate) lived: Option<f64>,
    /// The sensor that is nearest to where the firmware pulls the plug by it.
    pub(crate) proof: Option<Proof>,
    /// The clock that heat leaves to the hottest policy, if not all.
    pub(crate) cap: Option<KiloHertz>,
    /// The share of full power that is permitted, and the one that the lowest clock costs.
    pub(crate) permitted: f64,
    pub(crate) floor: f64,
    /// Whether the temperature is only what it was last: no step is undone on a guess, and none is the last resort.
    pub(crate) blind: bool,
    /// Logical processors.
    pub(crate) processors: u32,
}

/// Where on the ladder we are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ladder {
    /// Steps beyond the clock.
    step: usize,
    capped: bool,
    /// Seconds for which no cap has been there.
    free: f64,
    /// Seconds for which it has been too hot, or cool enough.
    hot: f64,
    cool: f64,
    /// How many samples in a row have shown the critical approach, for how many seconds, and the hottest reading
    /// of them, less what it might have fallen since.
    approach: (u32, f64, f64),
    power_off: Option<String>,
}

impl Ladder {
    /// Climbs or descends by at most one step, and says so.
    pub(crate) fn step(&mut self, heat: &Heat) -> Vec<Note> {
        let mut notes = Vec::new();
        notes.extend(self.cap(heat));
        notes.extend(self.last_resort(heat));
        let lived = heat.lived.unwrap_or(heat.target);
        let too_hot = heat.permitted <= heat.floor && lived > heat.target + TOO_HOT && heat.slope > FALLING;
        let roomy = heat.permitted >= heat.floor * ROOM * self.cost() && lived < heat.target + TOO_HOT;
        let cool = roomy || (lived < heat.target - COOL && heat.slope < RISING);
        self.hot = if too_hot { self.hot + heat.dt } else { 0.0 };
        self.cool = if cool && !heat.blind {
            self.cool + heat.dt
        } else {
            0.0
        };
        if self.hot >= climb_after(heat) && self.step < STOP_STEP {
            self.step += 1;
            self.hot = 0.0;
            notes.push(self.note(heat, "at the lowest clock"));
        } else if self.step > 0 && self.cool >= self.descend_after() {
            self.step -= 1;
            self.cool = 0.0;
            notes.push(self.note(heat, "cool again"));
        }
        notes
    }

    /// The rung.
    pub(crate) fn rung(&self) -> Rung {
        match self.step {
            _ if self.power_off.is_some() => Rung::PowerOff,
            0 if self.capped => Rung::ClockCap,
            0 => Rung::Free,
            SLOTS_STEP => Rung::FewerSlots,
            STOP_STEP.. => Rung::EngineStopped,
            _ => Rung::CpuQuota,
        }
    }

    /// Why the machine must be powered off.
    pub(crate) fn power_off(&self) -> Option<&str> {
        self.power_off.as_deref()
    }

    /// What is left to the engine.
    pub(crate) fn limits(&self, processors: u32) -> EngineLimits {
        let quota = QUOTAS.get(self.step.min(QUOTAS.len()).wrapping_sub(1));
        EngineLimits {
            cpu_quota_percent: quota.map(|share| (share * processors.clamp(1, 100_000)).max(5)),
            slots: (self.step >= SLOTS_STEP).then_some(1),
            stopped: self.step >= STOP_STEP || self.power_off.is_some(),
        }
    }

    /// Whether the next look must not wait.
    pub(crate) fn tense(&self) -> bool {
        self.hot > 0.0 || self.approach.0 > 0
    }

    /// Says when the clock is capped, and when it has not been for a while.
    fn cap(&mut self, heat: &Heat) -> Option<Note> {
        self.free = if heat.cap.is_some() {
            0.0
        } else {
            self.free + heat.dt
        };
        let step = match heat.cap {
            Some(clock) if !self.capped => format!("clock capped at {clock}"),
            None if self.capped && self.free >= FREE => "clock free again".into(),
            _ => return None,
        };
        self.capped = heat.cap.is_some();
        let reason = if heat.blind {
            "no sensor is believed".into()
        } else {
            figures(heat)
        };
        Some(Note { step, reason })
    }

    /// Powers off when a sensor that is believed and lives is, or within a second will be, next to the critical
    /// temperature, in several samples.
    fn last_resort(&mut self, heat: &Heat) -> Option<Note> {
        let near = heat.proof.as_ref().filter(|proof| is_near(proof, heat.slope));
        let Some(proof) = near else {
            self.approach = (0, 0.0, f64::MIN);
            return None;
        };
        let since = if self.approach.0 == 0 {
            0.0
        } else {
            self.approach.1 + heat.dt
        };
        let hottest = proof.reading.max(self.approach.2 - FALL_RATE * heat.dt);
        let falls = proof.reading < hottest - FALLEN && proof.reading < proof.critical - NO_WAITING;
        self.approach = (self.approach.0.saturating_add(1), since, hottest);
        if falls || self.power_off.is_some() || self.approach.0 < CONFIRMATIONS || since < CONFIRMED_AFTER {
            return None;
        }
        let reason = format!(
            "{} reads {:.1} °C and rises by {:.1} K/s; the firmware cuts power at {:.1} °C",
            proof.name, proof.reading, heat.slope, proof.critical
        );
        self.power_off = Some(reason.clone());
        Some(Note {
            step: "power off".into(),
            reason,
        })
    }

    /// By how much undoing the last step multiplies the processor time that the engine may use.
    fn cost(&self) -> f64 {
        let quota = |step: usize| {
            step.checked_sub(1)
                .map_or(100, |index| QUOTAS[index.min(QUOTAS.len() - 1)])
        };
        (f64::from(quota(self.step.saturating_sub(1))) / f64::from(quota(self.step))).max(LEAST_COST)
    }

    fn descend_after(&self) -> f64 {
        if self.step >= STOP_STEP { RESTART } else { DESCEND }
    }

    fn note(&self, heat: &Heat, why: &str) -> Note {
        let limits = self.limits(heat.processors);
        let step = match (limits.stopped, limits.slots, limits.cpu_quota_percent) {
            (true, ..) => "engine stopped".into(),
            (_, Some(slots), _) => format!("engine held to {slots} slot"),
            (_, _, Some(quota)) => format!("engine rationed to {quota} % of a processor"),
            _ => "engine free again".into(),
        };
        Note {
            step,
            reason: format!("{}, {why}", figures(heat)),
        }
    }
}

/// Whether a sensor is, or will be within a second, where the machine must be off.
fn is_near(proof: &Proof, slope: f64) -> bool {
    let limit = proof.critical - LAST_MARGIN;
    let ahead = proof.reading + AHEAD * slope.max(0.0);
    proof.reading >= limit || (ahead >= limit && proof.reading >= limit - NEAR)
}

/// How long it must be too hot for the next step: less when the plug is near.
fn climb_after(heat: &Heat) -> f64 {
    let ahead = heat.temperature + AHEAD_URGENT * heat.slope.max(0.0);
    let near = heat
        .critical
        .is_some_and(|critical| ahead > critical - 2.0 * LAST_MARGIN);
    if near { CLIMB_URGENT } else { CLIMB }
}

fn figures(heat: &Heat) -> String {
    let sign = if heat.slope < 0.0 { "falling" } else { "rising" };
    format!(
        "{:.1} °C {sign} by {:.1} K/s, target {:.1} °C",
        heat.temperature,
        heat.slope.abs(),
        heat.target
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn heat(temperature: f64, slope: f64) -> Heat {
        Heat {
            dt: 0.25,
            temperature,
            slope,
            target: 80.0,
            critical: Some(105.0),
            lived: Some(temperature),
            proof: Some(Proof {
                name: "acpitz 0".into(),
                reading: temperature,
                critical: 105.0,
            }),
            cap: Some(KiloHertz(800_000)),
            permitted: 0.1,
            floor: 0.1,
            blind: false,
            processors: 4,
        }
    }

    fn steps(ladder: &mut Ladder, seconds: f64, heat: &Heat) -> Vec<Note> {
        (0..(seconds / heat.dt) as usize)
            .flat_map(|_| ladder.step(heat))
            .collect()
    }

    #[test]
    fn every_rung_is_climbed_and_undone_one_by_one_with_figures() {
        let mut ladder = Ladder::default();
        let notes = steps(&mut ladder, 30.0, &heat(83.0, 0.4));
        let taken: Vec<&str> = notes.iter().map(|note| note.step.as_str()).collect();
        let expected = vec![
            "clock capped at 800 MHz",
            "engine rationed to 300 % of a processor",
            "engine rationed to 200 % of a processor",
            "engine rationed to 120 % of a processor",
            "engine rationed to 60 % of a processor",
            "engine held to 1 slot",
            "engine stopped",
        ];
        assert_eq!(taken, expected);
        assert_eq!(
            notes[1].reason,
            "83.0 °C rising by 0.4 K/s, target 80.0 °C, at the lowest clock"
        );
        assert_eq!(
            (ladder.rung(), ladder.limits(4).stopped),
            (Rung::EngineStopped, true)
        );
        let undone = steps(
            &mut ladder,
            60.0,
            &Heat {
                cap: None,
                ..heat(70.0, -0.2)
            },
        );
        assert_eq!(undone.len(), 7, "{undone:?}");
        assert_eq!(
            (ladder.rung(), ladder.limits(4)),
            (Rung::Free, EngineLimits::default())
        );
    }

    #[test]
    fn a_clock_with_room_undoes_too_and_one_that_falls_does_not_climb() {
        let mut ladder = Ladder::default();
        steps(&mut ladder, 4.0, &heat(83.0, 0.4));
        assert_eq!(ladder.rung(), Rung::CpuQuota);
        steps(&mut ladder, 20.0, &heat(86.0, -0.5));
        assert_eq!(ladder.limits(1).cpu_quota_percent, Some(75));
        steps(
            &mut ladder,
            6.0,
            &Heat {
                permitted: 0.15,
                ..heat(78.5, 0.0)
            },
        );
        assert_eq!(ladder.rung(), Rung::ClockCap);
    }

    #[test]
    fn the_plug_is_pulled_on_proof_only_and_on_more_than_one_sample() {
        let near = heat(102.5, 0.5);
        let mut ladder = Ladder::default();
        steps(&mut ladder, 0.25, &near);
        assert_eq!(ladder.power_off(), None);
        steps(
            &mut ladder,
            60.0,
            &Heat {
                proof: None,
                ..near.clone()
            },
        );
        assert_eq!(ladder.power_off(), None, "an assumed temperature is no proof");
        let notes = steps(&mut ladder, 1.0, &near);
        let reason = "acpitz 0 reads 102.5 °C and rises by 0.5 K/s; the firmware cuts power at 105.0 °C";
        assert_eq!(notes.last().map(|note| note.reason.as_str()), Some(reason));
        assert_eq!(
            (ladder.power_off(), ladder.rung()),
            (Some(reason), Rung::PowerOff)
        );
    }

    #[test]
    fn a_machine_found_hot_that_cools_is_not_powered_off() {
        let mut ladder = Ladder::default();
        let reading = |temperature| Heat {
            dt: 0.2,
            ..heat(temperature, -1.0)
        };
        for tenths in 0..6 {
            ladder.step(&reading(103.9 - 0.6 * f64::from(tenths)));
        }
        assert_eq!(ladder.power_off(), None);
        let stays = steps(&mut ladder, 2.0, &reading(102.5));
        assert_eq!(stays.len(), 1, "it does not fall any more: {stays:?}");
        let stays = steps(&mut Ladder::default(), 1.0, &reading(103.0));
        assert_eq!(stays.last().map(|note| note.step.as_str()), Some("power off"));
    }

    #[test]
    fn nothing_is_undone_on_a_guess() {
        let mut ladder = Ladder::default();
        steps(&mut ladder, 8.0, &heat(83.0, 0.4));
        let limits = ladder.limits(4);
        let guess = Heat {
            blind: true,
            permitted: 0.25,
            ..heat(60.0, 0.0)
        };
        assert!(steps(&mut ladder, 60.0, &guess).is_empty());
        assert_eq!(ladder.limits(4), limits);
    }

    #[test]
    fn what_merely_stands_stops_no_engine() {
        let mut ladder = Ladder::default();
        let stands = Heat {
            lived: None,
            ..heat(95.0, 0.0)
        };
        let notes = steps(&mut ladder, 60.0, &stands);
        assert_eq!(notes.len(), 1, "the clock is capped, no more: {notes:?}");
        assert_eq!(ladder.limits(4), EngineLimits::default());
    }

    #[test]
    fn near_the_plug_steps_follow_faster() {
        let mut ladder = Ladder::default();
        steps(&mut ladder, 4.0, &heat(97.0, 1.0));
        assert_eq!(ladder.rung(), Rung::EngineStopped);
    }

    proptest! {
        /// Between cool enough and too hot nothing changes, whichever step was taken before.
        #[test]
        fn nothing_changes_inside_the_hysteresis(
            before in 0.0..30.0_f64,
            inside in proptest::collection::vec((77.0..82.0_f64, -2.0..2.0_f64, 0.0..0.13_f64), 1..200),
        ) {
            let mut ladder = Ladder::default();
            steps(&mut ladder, before, &heat(83.0, 0.4));
            let limits = ladder.limits(4);
            for (temperature, slope, permitted) in inside {
                ladder.step(&Heat { permitted, ..heat(temperature, slope) });
                prop_assert_eq!(ladder.limits(4), limits);
            }
        }
    }
}
