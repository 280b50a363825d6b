//! The law, on a made-up clock.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;
const QUARTER: u64 = SECOND / 4;
const PATIENCE: u64 = PATIENCE_USEC;

/// An engine, the law that watches it, and a clock.
#[derive(Default)]
struct Rig {
    law: Watchdog,
    now: u64,
    engine: EngineSample,
    share: f64,
    asked_at: Option<BootTime>,
}

impl Rig {
    fn new(phase: Phase) -> Self {
        Self {
            engine: EngineSample {
                phase,
                model: 7,
                ..EngineSample::default()
            },
            share: 1.0,
            ..Self::default()
        }
    }

    fn look(&mut self) -> Verdict {
        self.law.look(&Sight {
            now: BootTime(self.now),
            engine: Some(&self.engine),
            asked_at: self.asked_at,
            share: self.share,
        })
    }

    /// Looks every quarter of a second for so long. When it is found stuck, if it is: after how long.
    fn watch(&mut self, usec: u64) -> Option<u64> {
        let (begin, end) = (self.now, self.now + usec);
        while self.now < end {
            self.now = end.min(self.now + QUARTER);
            if matches!(self.look(), Verdict::Stuck(_)) {
                return Some(self.now - begin);
            }
        }
        None
    }

    fn beat(&mut self) {
        self.engine.pulse += 1;
        assert!(!matches!(self.look(), Verdict::Stuck(_)));
    }
}

#[test]
fn an_engine_that_stands_still_is_stuck_in_every_phase_but_rest() {
    for phase in [Phase::Loading, Phase::Prefill, Phase::Decode] {
        let mut rig = Rig::new(phase);
        rig.beat();
        assert_eq!(rig.watch(100 * SECOND), Some(PATIENCE), "{phase:?}");
    }
    let mut rig = Rig::new(Phase::Idle);
    assert_eq!(rig.watch(100 * SECOND), None);
    assert_eq!(rig.look(), Verdict::Rest);
}

#[test]
fn an_engine_at_rest_that_does_not_answer_is_stuck() {
    let mut rig = Rig::new(Phase::Idle);
    rig.asked_at = Some(BootTime(0));
    rig.look();
    assert_eq!(rig.watch(100 * SECOND), Some(PATIENCE));
    rig.asked_at = Some(BootTime(rig.now));
    assert_eq!(rig.watch(4 * SECOND), None);
    rig.asked_at = None;
    assert_eq!(rig.look(), Verdict::Rest, "it has answered");
    rig.asked_at = Some(BootTime(rig.now));
    assert_eq!(rig.watch(4 * SECOND), None, "it is counted anew");
}

#[test]
fn a_quota_slows_the_clock_down() {
    let mut rig = Rig::new(Phase::Prefill);
    rig.share = 0.1;
    rig.beat();
    assert_eq!(rig.watch(1000 * SECOND), Some(10 * PATIENCE));
}

#[test]
fn what_is_slow_by_nature_is_given_its_time_by_model_and_phase() {
    let mut rig = Rig::new(Phase::Prefill);
    rig.beat();
    assert_eq!(rig.watch(4 * SECOND), None);
    rig.beat();
    assert_eq!(
        rig.watch(1000 * SECOND),
        Some(16 * SECOND),
        "four times the longest"
    );
    rig.engine.phase = Phase::Decode;
    rig.beat();
    assert_eq!(rig.watch(1000 * SECOND), Some(PATIENCE), "another phase");
    rig.engine.phase = Phase::Prefill;
    rig.engine.model = 8;
    rig.beat();
    assert_eq!(rig.watch(1000 * SECOND), Some(PATIENCE), "another model");
}

#[test]
fn what_was_learned_ends_with_the_run() {
    let mut rig = Rig::new(Phase::Decode);
    rig.beat();
    assert_eq!(rig.watch(7 * SECOND), None);
    rig.beat();
    let gone = Sight {
        now: BootTime(rig.now),
        engine: None,
        asked_at: None,
        share: 1.0,
    };
    assert_eq!(rig.law.look(&gone), Verdict::Rest);
    rig.beat();
    assert_eq!(rig.watch(100 * SECOND), Some(PATIENCE));
}

#[test]
fn time_that_hearthd_did_not_look_does_not_count() {
    let mut rig = Rig::new(Phase::Decode);
    rig.beat();
    rig.now += 3600 * SECOND;
    assert!(matches!(rig.look(), Verdict::Watch(_)), "the machine was asleep");
    assert_eq!(rig.watch(100 * SECOND), Some(PATIENCE - SECOND));
}

#[test]
fn a_standstill_is_told_once_and_then_counted_anew() {
    let mut rig = Rig::new(Phase::Decode);
    rig.beat();
    assert_eq!(rig.watch(100 * SECOND), Some(PATIENCE));
    let again = rig.watch(100 * SECOND).unwrap();
    assert!((PATIENCE..PATIENCE + SECOND).contains(&again), "{again}");
}

#[test]
fn the_reason_has_its_figures() {
    let stuck = Stuck {
        phase: Phase::Prefill,
        seconds: 5.25,
        allowed: 5.0,
    };
    assert_eq!(
        stuck.to_string(),
        "prefill stood still for 5.2 s, 5.0 s are allowed"
    );
}

/// An engine with that share of the processors stands still, which has taken so long for a beat before.
fn stands_still(share: f64, before: u64) {
    let mut rig = Rig::new(Phase::Decode);
    rig.share = share;
    rig.law.speeds.insert((7, Phase::Decode), before);
    rig.beat();
    let begin = rig.now;
    let allowed = PATIENCE.max(4 * before);
    loop {
        match rig.look() {
            Verdict::Watch(at) => rig.now = at.0.max(rig.now + 1),
            Verdict::Stuck(_) => break,
            Verdict::Rest => panic!("a busy engine is watched"),
        }
        let limit = (allowed as f64 / share) as u64 + 2 * SECOND;
        assert!(rig.now - begin <= limit, "{} of {limit}", rig.now - begin);
    }
    assert!(rig.now - begin >= allowed - SECOND);
}

/// A case that a draw has found once.
#[test]
fn who_stands_still_in_a_fifth_of_the_time_is_found_out() {
    stands_still(0.211_284_606_307_661_02, 0);
}

proptest! {
    /// An engine whose standstills grow no faster than fourfold, each beginning below the patience for unknown speeds,
    /// is never taken for stuck, whatever share of the processors it has and however seldom hearthd looks.
    #[test]
    fn who_goes_on_is_never_stuck(
        gaps in vec(1..4_900_000_u64, 1..60),
        share in 0.02..1.0_f64,
        growth in 1..4_u64,
        looks in vec(1..3_000_000_u64, 1..20),
    ) {
        let mut rig = Rig::new(Phase::Prefill);
        rig.share = share;
        rig.beat();
        let mut looks = looks.iter().cycle();
        let mut longest: u64 = 0;
        for gap in gaps {
            let gap = gap.max((longest * growth).min(LONGEST_USEC - 1));
            let end = rig.now + (gap as f64 / share) as u64;
            while rig.now < end {
                rig.now = end.min(rig.now + looks.next().unwrap());
                if rig.now < end {
                    let verdict = rig.look();
                    prop_assert!(!matches!(verdict, Verdict::Stuck(_)), "{verdict:?} after a gap of {gap}");
                }
            }
            rig.beat();
            let learned = rig.law.speeds[&(7, Phase::Prefill)];
            prop_assert!(learned >= longest);
            longest = learned;
        }
    }

    /// An engine that stands still is found out: at the latest when the time that it is allowed is over, by the looks
    /// that the law itself asks for.
    #[test]
    fn who_stands_still_is_found_out(share in 0.02..1.0_f64, before in 0..20_000_000_u64) {
        stands_still(share, before);
    }
}
