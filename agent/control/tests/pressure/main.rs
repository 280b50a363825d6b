//! The law of pressure: what must hold of it under any samples, and what it comes to on a simulated machine.

mod plant;

use control::{
    CALM_USEC, LAST_SETTLE_USEC, LEAST_CONTEXT, LITTLE_AVAILABLE, LONG_CALM_USEC, PRESSURE_SETTLE_USEC,
    PressureLaw, WHOLE_CONTEXT,
};
use machine::PressureLevel::{self, None as Calm, Park, Refuse, Shrink, Trim};
use machine::{BootTime, Bytes, Memory, MicroSeconds, PressureDecision, PressureSample, Stall, StallWindow};
use plant::{Hog, Plant};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;
const TOTAL: u64 = 8_000_000_000;
/// So little that time which is lost counts in full, and so much that it is no lack by itself.
const LITTLE: u64 = TOTAL / 100 * 11;

fn window(total_usec: u64) -> StallWindow {
    StallWindow {
        avg10: 0.0,
        avg60: 0.0,
        avg300: 0.0,
        total_usec: MicroSeconds(total_usec),
    }
}

fn stall(some: u64, full: u64) -> Stall {
    Stall {
        some: window(some),
        full: Some(window(full)),
    }
}

fn sample(at_usec: u64, some: u64, full: u64, available: u64) -> PressureSample {
    PressureSample {
        at_usec: BootTime(at_usec),
        memory: Memory {
            mem_total: Some(Bytes(TOTAL)),
            mem_available: Some(Bytes(available)),
            ..Memory::default()
        },
        stall: Some(stall(some, full)),
        engine_runs: true,
        context: None,
    }
}

/// A machine with little memory left, of whose time so many thousandths are lost, step by step of a second.
struct Machine {
    law: PressureLaw,
    now: u64,
    lost: u64,
}

impl Machine {
    fn new() -> Self {
        let mut law = PressureLaw::default();
        law.step(&sample(SECOND, 0, 0, LITTLE));
        Self {
            law,
            now: SECOND,
            lost: 0,
        }
    }

    fn second(&mut self, permille: u64) -> PressureDecision {
        self.lost += SECOND / 1000 * permille;
        self.look(|_| {})
    }

    fn look(&mut self, change: impl Fn(&mut PressureSample)) -> PressureDecision {
        self.now += SECOND;
        let mut sample = sample(self.now, self.lost, 0, LITTLE);
        change(&mut sample);
        self.law.step(&sample)
    }

    fn seconds(&mut self, seconds: u64, permille: u64) -> Vec<PressureLevel> {
        (0..seconds).map(|_| self.second(permille).level).collect()
    }
}

#[test]
fn the_levels_are_taken_one_by_one_and_each_has_time_to_help() {
    let mut machine = Machine::new();
    let levels = machine.seconds(16, 600);
    let first = |level| levels.iter().position(|seen| *seen == level).unwrap() as u64;
    assert_eq!(first(Trim), 0);
    assert_eq!(first(Park), PRESSURE_SETTLE_USEC / SECOND);
    assert_eq!(first(Refuse), 2 * PRESSURE_SETTLE_USEC / SECOND);
    assert_eq!(
        first(Shrink),
        (2 * PRESSURE_SETTLE_USEC + LAST_SETTLE_USEC) / SECOND
    );
    assert!(levels.is_sorted());
}

#[test]
fn a_level_is_not_passed_by_a_lack_that_it_answers() {
    for (permille, level) in [(40, Calm), (60, Trim), (150, Park), (300, Refuse), (450, Shrink)] {
        assert_eq!(
            Machine::new().seconds(60, permille).last(),
            Some(&level),
            "{permille}"
        );
    }
}

#[test]
fn half_of_what_leads_to_a_level_holds_it_and_less_lets_it_go_after_a_while() {
    let mut machine = Machine::new();
    machine.seconds(3, 150);
    assert_eq!(machine.seconds(100, 60).last(), Some(&Park));
    let falling = machine.seconds(2 * CALM_USEC / SECOND + 4, 0);
    assert_eq!(falling.first(), Some(&Park));
    assert_eq!(
        falling.iter().filter(|level| **level == Trim).count() as u64,
        CALM_USEC / SECOND + 1
    );
    assert_eq!(falling.last(), Some(&Calm));
}

#[test]
fn little_memory_is_a_lack_even_while_nobody_waits() {
    let mut machine = Machine::new();
    let little = |part: u64| {
        move |sample: &mut PressureSample| sample.memory.mem_available = Some(Bytes(TOTAL / 1000 * part))
    };
    assert_eq!(machine.look(little(81)).level, Calm);
    assert_eq!(machine.look(little(79)).level, Trim);
    (0..100).for_each(|_| assert_eq!(machine.look(little(99)).level, Trim, "it is held"));
    let levels: Vec<_> = (0..20).map(|_| machine.look(little(101)).level).collect();
    assert_eq!(levels.last(), Some(&Calm));
}

#[test]
fn where_no_engine_runs_none_is_ended_and_the_next_one_comes_with_half_the_context() {
    let mut machine = Machine::new();
    let ends = machine.seconds(30, 600);
    assert_eq!(ends.last(), Some(&Shrink));
    machine.lost += SECOND / 2;
    let gone = machine.look(|sample| sample.engine_runs = false);
    assert_eq!((gone.level, gone.context), (Refuse, Some(WHOLE_CONTEXT / 2)));
    for _ in 0..60 {
        machine.lost += SECOND / 2;
        assert_eq!(machine.look(|sample| sample.engine_runs = false).level, Refuse);
    }
}

#[test]
fn the_context_is_halved_each_time_down_to_the_least_and_grows_after_long_calm() {
    let mut machine = Machine::new();
    let mut contexts = Vec::new();
    for _ in 0..5 {
        machine.seconds(30, 600);
        contexts.push(machine.look(|sample| sample.engine_runs = false).context);
    }
    assert_eq!(contexts, [2048, 1024, 512, 512, 512].map(Some));
    assert_eq!(*contexts.last().unwrap(), Some(LEAST_CONTEXT));
    let mut grown = contexts[4];
    let mut seen = Vec::new();
    let start = machine.now;
    while grown.is_some() {
        let context = machine.second(0).context;
        if context != grown {
            seen.push((context, machine.now - start));
            grown = context;
        }
    }
    assert_eq!(
        seen.iter().map(|(context, _)| *context).collect::<Vec<_>>(),
        [Some(1024), Some(2048), None]
    );
    assert!(
        seen[0].1 >= LONG_CALM_USEC && seen[2].1 >= 3 * LONG_CALM_USEC,
        "{seen:?}"
    );
}

#[test]
fn the_context_in_force_is_halved_whatever_was_set() {
    let mut machine = Machine::new();
    let mut shrink = |told: u32| {
        for _ in 0..30 {
            machine.lost += SECOND / 1000 * 600;
            machine.look(|sample| sample.context = Some(told));
        }
        machine.look(|sample| sample.engine_runs = false).context
    };
    assert_eq!(shrink(32_768), Some(16_384));
    assert_eq!(shrink(16_384), Some(8192));
    assert_eq!(shrink(2048), Some(1024), "the next model has less by itself");
    let start = machine.now;
    let mut grown = vec![Some(1024)];
    while grown.last() != Some(&None) {
        let context = machine.look(|_| {}).context;
        grown.extend((grown.last() != Some(&context)).then_some(context));
    }
    let doubled = [1024, 2048, 4096, 8192, 16_384].map(Some);
    assert_eq!(grown, [&doubled[..], &[None]].concat());
    assert!(machine.now - start >= 5 * LONG_CALM_USEC);
}

/// The decision of the law's documentation: unknown counts as calm.
#[test]
fn what_cannot_be_read_raises_nothing_and_holds_nothing_for_ever() {
    let mut machine = Machine::new();
    let levels = machine.seconds(8, 300);
    assert_eq!(levels.last(), Some(&Refuse));
    let blind = |sample: &mut PressureSample| {
        sample.stall = None;
        sample.memory = Memory::default();
    };
    let levels: Vec<_> = (0..40).map(|_| machine.look(blind).level).collect();
    assert!(levels.is_sorted_by(|before, after| before >= after));
    assert_eq!(levels.first(), Some(&Refuse));
    assert_eq!(levels.last(), Some(&Calm));
}

#[test]
fn an_engine_that_waits_for_its_own_weights_is_not_ended_for_it() {
    let mut machine = Machine::new();
    for _ in 0..600 {
        machine.lost += SECOND / 10 * 9;
        let decision = machine.look(|sample| sample.memory.mem_available = Some(Bytes(TOTAL / 4)));
        assert!(
            decision.level <= Park && decision.context.is_none(),
            "{decision:?}"
        );
    }
}

/// A hog beside the engine that takes so many megabytes a second for a minute, and then is gone.
#[test]
fn the_engine_gives_up_what_it_takes_and_no_more() {
    let cases = [(50, Calm), (60, Trim), (75, Park), (90, Refuse)];
    for (rate, most) in cases {
        let mut plant = Plant::new(Hog::new(rate, 60));
        plant.run(1200);
        assert_eq!(plant.highest(), most, "{rate} MB a second");
        assert_eq!(plant.level(), Calm, "{rate} MB a second");
        assert_eq!(plant.context(), None);
        assert_eq!(
            (plant.ended(), plant.has_run_out()),
            (0, false),
            "{rate} MB a second"
        );
    }
}

#[test]
fn an_engine_that_cannot_give_enough_ends_once_and_comes_back_smaller_and_whole_again_in_time() {
    let mut plant = Plant::new(Hog::new(110, 60));
    plant.run(200);
    assert_eq!((plant.highest(), plant.ended()), (Shrink, 1));
    assert_eq!((plant.level(), plant.context()), (Calm, Some(WHOLE_CONTEXT / 2)));
    plant.run(LONG_CALM_USEC / SECOND + 1);
    assert_eq!((plant.level(), plant.context(), plant.ended()), (Calm, None, 1));
}

fn maybe<T: Clone + std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.9, of)
}

/// Microseconds, and of them what some and what all lost, in thousandths; bytes; the engine.
type Passed = (u64, Option<u64>, Option<u64>, Option<u64>, (bool, Option<u32>));

/// What passes between two looks: time, and of it what is lost; what is available; whether an engine runs, and its context.
fn steps() -> impl Strategy<Value = Vec<PressureSample>> {
    let times = prop_oneof![8 => SECOND / 10..3 * SECOND, 1 => SECOND..700 * SECOND];
    let lost = || maybe(prop_oneof![Just(0), 0..1000_u64]);
    let engine = (prop::bool::weighted(0.8), maybe(1..200_000_u32));
    let step = (times, lost(), lost(), maybe(0..TOTAL), engine);
    prop::collection::vec(step, 2..60).prop_map(|steps| {
        let (mut at, mut some, mut full) = (0, 0, 0);
        let next = |(elapsed, more, fully, available, (engine_runs, context)): Passed| {
            at += elapsed;
            some += elapsed / 1000 * more.unwrap_or(0);
            full += elapsed / 1000 * fully.unwrap_or(0);
            PressureSample {
                at_usec: BootTime(at),
                memory: Memory {
                    mem_total: Some(Bytes(TOTAL)),
                    mem_available: available.map(Bytes),
                    ..Memory::default()
                },
                stall: more.map(|_| Stall {
                    some: window(some),
                    full: fully.map(|_| window(full)),
                }),
                engine_runs,
                context,
            }
        };
        steps.into_iter().map(next).collect()
    })
}

fn run(samples: &[PressureSample]) -> (PressureLaw, Vec<PressureDecision>) {
    let mut law = PressureLaw::default();
    let decisions = samples.iter().map(|sample| law.step(sample)).collect();
    (law, decisions)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// After the same history a worse look never leads to a lower level, nor to a larger context.
    #[test]
    fn more_pressure_never_gives_a_lower_level(
        samples in steps(), some in 0..10 * SECOND, full in 0..10 * SECOND, less in 0..TOTAL,
    ) {
        let (last, before) = samples.split_last().unwrap();
        let mut worse = last.clone();
        if let Some(stall) = &mut worse.stall {
            stall.some.total_usec.0 += some;
            if let Some(window) = &mut stall.full {
                window.total_usec.0 += full;
            }
        }
        worse.memory.mem_available = worse.memory.mem_available.map(|left| Bytes(left.0.saturating_sub(less)));
        let (mut law, _) = run(before);
        let (better, worse) = (law.clone().step(last), law.step(&worse));
        prop_assert!(worse.level >= better.level, "{better:?} {worse:?}");
        prop_assert!(worse.context.unwrap_or(u32::MAX) <= better.context.unwrap_or(u32::MAX));
    }

    /// After the same history a look with a reading less never leads to a higher level.
    #[test]
    fn a_missing_reading_never_gives_a_higher_level(samples in steps(), what in 0..4) {
        let (last, before) = samples.split_last().unwrap();
        let mut blind = last.clone();
        match what {
            0 => blind.stall = None,
            1 => blind.stall.iter_mut().for_each(|stall| stall.full = None),
            2 => blind.memory.mem_available = None,
            _ => blind.memory.mem_total = None,
        }
        let (mut law, _) = run(before);
        let whole = law.clone().step(last).level;
        prop_assert!(law.step(&blind).level <= whole);
    }

    /// Where enough is available, or nobody knows how much, no request is refused and no engine ended, whoever waits.
    #[test]
    fn lost_time_alone_never_refuses(samples in steps(), left in 0..TOTAL) {
        let enough = (TOTAL as f64 * f64::from(LITTLE_AVAILABLE) / 100.0) as u64 + 1;
        let mut samples = samples;
        for sample in &mut samples {
            let available = &mut sample.memory.mem_available;
            *available = available.map(|_| Bytes(left.max(enough)));
        }
        prop_assert!(run(&samples).1.iter().all(|decision| decision.level <= Park));
    }

    /// A level lasts, up or down, but for the first step and for an engine that has ended.
    #[test]
    fn levels_change_one_by_one_and_do_not_flap(samples in steps()) {
        let decisions = run(&samples).1;
        let mut changed_at: Option<u64> = None;
        for (pair, samples) in decisions.windows(2).zip(samples.windows(2)) {
            let (before, after, now) = (pair[0].level, pair[1].level, samples[1].at_usec.0);
            prop_assert!(after as i32 - before as i32 <= 1 && before as i32 - after as i32 <= 1);
            if before == after {
                continue;
            }
            let lasted = changed_at.map_or(u64::MAX, |at| now - at);
            let least = match (before, after) {
                (Calm, _) => 0,
                (Refuse, Shrink) => LAST_SETTLE_USEC,
                (Shrink, Refuse) if !samples[1].engine_runs => 0,
                (before, after) if after > before => PRESSURE_SETTLE_USEC,
                _ => CALM_USEC,
            };
            prop_assert!(lasted >= least, "{before:?} -> {after:?} after {lasted}");
            changed_at = Some(now);
        }
    }

    #[test]
    fn decisions_are_within_bounds_and_the_same_for_the_same_samples(samples in steps()) {
        let decisions = run(&samples).1;
        for (sample, decision) in samples.iter().zip(&decisions) {
            prop_assert!(decision.wake_at > sample.at_usec);
            prop_assert!(decision.context.is_none_or(|context| context >= LEAST_CONTEXT));
            prop_assert!(sample.engine_runs || decision.level <= Refuse);
        }
        prop_assert_eq!(decisions, run(&samples).1);
    }

    /// An engine that is ended for want of memory comes back with at most half of what it has said that it had.
    #[test]
    fn each_smaller_context_is_half_of_the_one_in_force(samples in steps()) {
        let decisions = run(&samples).1;
        for (pair, sample) in decisions.windows(2).zip(&samples[1..]) {
            let [before, after] = [pair[0].context, pair[1].context];
            if pair[0].level == pair[1].level || pair[1].level < Shrink {
                prop_assert!(after.is_none_or(|after| before.is_some_and(|before| before <= after)));
                continue;
            }
            let in_force = sample.context.into_iter().chain(before).min().unwrap_or(WHOLE_CONTEXT);
            prop_assert_eq!(after, Some((in_force / 2).max(LEAST_CONTEXT)));
        }
    }

    /// The same lack for long: the level moves in one direction, and then no more.
    #[test]
    fn a_lack_that_does_not_change_leads_to_a_level_that_does_not(
        samples in steps(), permille in 0..1000_u64, available in 0..TOTAL,
    ) {
        let (mut law, decisions) = run(&samples);
        let (mut now, start) = (samples.last().unwrap().at_usec.0, decisions.last().unwrap().level);
        let mut lost = 1 << 40;
        let levels: Vec<_> = (0..120).map(|_| {
            now += SECOND;
            lost += SECOND / 1000 * permille;
            law.step(&sample(now, lost, 0, available)).level
        }).skip(1).collect();
        prop_assert!(levels.is_sorted() || levels.is_sorted_by(|before, after| before >= after), "{start:?} {levels:?}");
        prop_assert!(levels[80..].iter().all(|level| *level == levels[80]));
    }
}
