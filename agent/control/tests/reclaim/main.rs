//! The law that gives memory back: what must hold of it under any samples, and what it comes to on a simulated machine.

mod plant;

use control::{BITE, CRUMB, MemoryGoal, Reclaimer, SETTLE_USEC};
use machine::{
    BootTime, Bytes, CgroupLoad, Memory, MemorySample, MicroSeconds, Pages, Reclaim, ReclaimState,
};
use plant::{Plant, Unit};
use proptest::prelude::*;

const MB: u64 = 1_000_000;
const SECOND: u64 = 1_000_000;

/// Everything that a quiet machine tells that has much to give.
fn full(at_sec: u64) -> MemorySample {
    let group = |path: &str| CgroupLoad {
        path: path.to_owned(),
        current: Some(Bytes(100 * MB)),
        floor: Some(Bytes(0)),
        swappable: Some(Bytes(80 * MB)),
        refaults: Some(Pages(0)),
        stalled_usec: Some(MicroSeconds(0)),
    };
    MemorySample {
        at_usec: BootTime(at_sec * SECOND),
        quiet_since_usec: Some(BootTime(0)),
        memory: Memory {
            mem_total: Some(Bytes(2000 * MB)),
            mem_available: Some(Bytes(1700 * MB)),
            swap_free: Some(Bytes(1000 * MB)),
            ..Memory::default()
        },
        stalled_usec: Some(MicroSeconds(0)),
        cgroups: vec![group("system.slice"), group("user.slice")],
    }
}

/// A law that has seen the machine once, so that it can tell what changes.
fn acquainted() -> Reclaimer {
    let mut law = Reclaimer::default();
    assert_eq!(law.step(&full(100)).requests, []);
    law
}

fn total(decision: &Reclaim) -> u64 {
    decision.requests.iter().map(|request| request.bytes.0).sum()
}

#[test]
fn a_quiet_machine_that_uses_too_much_gives_a_little_of_each_group() {
    let decision = acquainted().step(&full(101));
    assert_eq!(decision.state, ReclaimState::Reclaiming);
    assert_eq!(decision.requests.len(), 2);
    assert!(
        decision
            .requests
            .iter()
            .all(|request| request.bytes <= BITE && request.bytes >= CRUMB)
    );
    assert_eq!(decision.wake_at, BootTime(102 * SECOND));
}

#[test]
fn nothing_is_taken_while_the_engine_works_or_has_just_worked() {
    for since in [None, Some(BootTime(101 * SECOND + 1 - SETTLE_USEC))] {
        let mut sample = full(101);
        sample.quiet_since_usec = since;
        let decision = acquainted().step(&sample);
        assert_eq!(
            (decision.requests.len(), decision.state),
            (0, ReclaimState::Waiting),
            "{since:?}"
        );
    }
}

#[test]
fn nothing_is_taken_below_the_aim_or_without_room_in_swap() {
    let mut sample = full(101);
    sample.memory.mem_available = Some(Bytes(1880 * MB));
    let decision = acquainted().step(&sample);
    assert_eq!(
        (decision.requests.len(), decision.state),
        (0, ReclaimState::AtGoal)
    );
    let mut sample = full(101);
    sample.memory.swap_free = Some(Bytes(0));
    let decision = acquainted().step(&sample);
    assert_eq!(
        (decision.requests.len(), decision.state),
        (0, ReclaimState::NoSwap)
    );
}

/// One reading less: nothing is taken of whom it concerns.
#[test]
fn what_is_not_known_is_not_taken_from() {
    let whole: [fn(&mut MemorySample); 4] = [
        |sample| sample.memory.mem_available = None,
        |sample| sample.memory.mem_total = None,
        |sample| sample.memory.swap_free = None,
        |sample| sample.stalled_usec = None,
    ];
    for forget in whole {
        let mut sample = full(101);
        forget(&mut sample);
        let decision = acquainted().step(&sample);
        assert_eq!(
            (decision.requests.len(), decision.state),
            (0, ReclaimState::Unknown)
        );
    }
    let one: [fn(&mut CgroupLoad); 5] = [
        |group| group.current = None,
        |group| group.floor = None,
        |group| group.swappable = None,
        |group| group.refaults = None,
        |group| group.stalled_usec = None,
    ];
    for forget in one {
        let mut sample = full(101);
        forget(&mut sample.cgroups[0]);
        let requests = acquainted().step(&sample).requests;
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].cgroup, "user.slice");
    }
}

#[test]
fn pressure_and_refaults_stop_it_at_once() {
    let calm = acquainted().step(&full(101));
    assert!(total(&calm) > 0);
    let mut sample = full(101);
    sample.stalled_usec = Some(MicroSeconds(SECOND / 500));
    assert_eq!(acquainted().step(&sample).requests, []);
    let mut sample = full(101);
    sample.cgroups[1].refaults = Some(Pages(5000));
    let requests = acquainted().step(&sample).requests;
    assert!(
        requests.iter().all(|request| request.cgroup == "system.slice"),
        "{requests:?}"
    );
}

/// Minutes of a machine whose programs never look at most of what they have.
#[test]
fn it_comes_to_its_aim_within_a_minute_and_what_is_in_use_stays() {
    let units = [
        Unit::new("system.slice", 19, 110),
        Unit::new("user.slice", 5, 50),
        Unit::new("init.scope", 3, 20),
    ];
    let mut plant = Plant::new(30 * MB, &units);
    let mut law = Reclaimer::default();
    assert!(plant.used() > 230 * MB, "{}", plant.used());
    plant.run(&mut law, 55);
    assert!(plant.used() <= 140 * MB, "{} after a minute", plant.used());
    plant.run(&mut law, 300);
    assert!(
        plant.used() <= MemoryGoal::default().aim.0 + MB,
        "{} after minutes",
        plant.used()
    );
    assert!(
        plant.missed() <= BITE.0,
        "{} bytes in use were taken",
        plant.missed()
    );
    let before = plant.written();
    plant.run(&mut law, 24 * 3600);
    assert_eq!(plant.written(), before, "at its aim it lets be");
}

/// What is in use lies above the aim: the law has to find that out, and then let be.
#[test]
fn where_nothing_can_be_had_without_harm_it_wears_itself_out() {
    let units = [Unit::new("system.slice", 90, 40), Unit::new("user.slice", 50, 10)];
    let mut plant = Plant::new(60 * MB, &units);
    let mut law = Reclaimer::default();
    plant.run(&mut law, 3600);
    let first_hour = plant.written();
    plant.run(&mut law, 23 * 3600);
    let rest = plant.written() - first_hour;
    assert!(
        rest < 16 * MB,
        "{rest} bytes written within 23 hours in which nothing changed"
    );
    let before = plant.written();
    plant.run(&mut law, 24 * 3600);
    assert!(plant.written() - before <= rest, "ever less");
    assert!(
        plant.missed() < 48 * MB,
        "{} bytes in use were taken within two days",
        plant.missed()
    );
}

/// MGLRU does: files' pages go first, however high the swappiness. They make nothing available and cost reading them again.
#[test]
fn a_kernel_that_gives_files_instead_keeps_most_of_them() {
    let units = [Unit::new("system.slice", 30, 110).with_files(100)];
    let mut plant = Plant::new(60 * MB, &units);
    plant.run(&mut Reclaimer::default(), 3600);
    let lost = 100 * MB - plant.files();
    assert!(
        lost < 16 * MB,
        "{lost} bytes of files were dropped within an hour"
    );
}

#[test]
fn what_falls_idle_later_is_found_all_the_same() {
    let mut plant = Plant::new(70 * MB, &[Unit::new("system.slice", 100, 0)]);
    let mut law = Reclaimer::default();
    plant.run(&mut law, 600);
    let before = plant.used();
    plant.forget("system.slice", 80 * MB);
    plant.run(&mut law, 3600);
    assert!(plant.used() + 30 * MB < before, "{before} -> {}", plant.used());
}

fn maybe(of: impl Strategy<Value = u64>) -> impl Strategy<Value = Option<u64>> {
    prop::option::weighted(0.95, of)
}

fn load(path: &'static str) -> impl Strategy<Value = CgroupLoad> {
    let bytes = || maybe(prop_oneof![0..400 * MB, any::<u64>()]);
    (
        bytes(),
        maybe(0..30 * MB),
        bytes(),
        maybe(0..200_u64),
        maybe(0..2000_u64),
    )
        .prop_map(move |(current, floor, swappable, refaults, stalled)| CgroupLoad {
            path: path.to_owned(),
            current: current.map(Bytes),
            floor: floor.map(Bytes),
            swappable: swappable.map(Bytes),
            refaults: refaults.map(Pages),
            stalled_usec: stalled.map(MicroSeconds),
        })
}

fn sample() -> impl Strategy<Value = MemorySample> {
    let quiet = prop_oneof![1 => Just(None), 9 => (0..200 * SECOND).prop_map(Some)];
    let memory = (maybe(0..2000 * MB), maybe(0..1000 * MB), maybe(0..3000_u64));
    (
        0..400 * SECOND,
        quiet,
        memory,
        load("system.slice"),
        load("user.slice"),
    )
        .prop_map(
            |(at, quiet, (available, swap_free, stalled), services, users)| MemorySample {
                at_usec: BootTime(at),
                quiet_since_usec: quiet.map(BootTime),
                memory: Memory {
                    mem_total: Some(Bytes(2000 * MB)),
                    mem_available: available.map(Bytes),
                    swap_free: swap_free.map(Bytes),
                    ..Memory::default()
                },
                stalled_usec: stalled.map(MicroSeconds),
                cgroups: vec![services, users],
            },
        )
}

/// Samples in the order of their time, as counters grow, but for one in ten.
fn trace() -> impl Strategy<Value = Vec<MemorySample>> {
    (prop::collection::vec(sample(), 1..24), 0..10).prop_map(|(mut samples, order)| {
        if order > 0 {
            samples.sort_by_key(|sample| sample.at_usec);
        }
        samples
    })
}

/// Samples whose counters grow, as those of a kernel do.
fn growing() -> impl Strategy<Value = Vec<MemorySample>> {
    prop::collection::vec(sample(), 2..24).prop_map(|mut samples| {
        samples.sort_by_key(|sample| sample.at_usec);
        let mut grown = [0; 5];
        for sample in &mut samples {
            let [services, users] = sample.cgroups.as_mut_slice() else {
                continue;
            };
            let [machine, one, two, refaults, more] = &mut grown;
            for (value, sum) in [
                (&mut sample.stalled_usec, machine),
                (&mut services.stalled_usec, one),
                (&mut users.stalled_usec, two),
            ] {
                *value = value.map(|value| MicroSeconds(grow(sum, value.0)));
            }
            for (value, sum) in [(&mut services.refaults, refaults), (&mut users.refaults, more)] {
                *value = value.map(|value| Pages(grow(sum, value.0)));
            }
        }
        samples
    })
}

fn grow(sum: &mut u64, by: u64) -> u64 {
    *sum += by;
    *sum
}

fn run(samples: &[MemorySample]) -> (Reclaimer, Vec<Reclaim>) {
    let mut law = Reclaimer::default();
    let decisions = samples.iter().map(|sample| law.step(sample)).collect();
    (law, decisions)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_lie_within_what_a_group_can_give(samples in trace()) {
        for (sample, decision) in samples.iter().zip(run(&samples).1) {
            prop_assert!(decision.wake_at > sample.at_usec);
            let room = sample.memory.swap_free.map_or(0, |room| room.0);
            prop_assert!(total(&decision) <= room);
            for request in &decision.requests {
                let group = sample.cgroups.iter().find(|group| group.path == request.cgroup).unwrap();
                let (current, floor) = (group.current.unwrap().0, group.floor.unwrap().0);
                prop_assert!(request.bytes.0 <= current.saturating_sub(floor));
                prop_assert!(request.bytes <= group.swappable.unwrap() && request.bytes <= BITE);
            }
        }
    }

    #[test]
    fn nobody_is_taken_from_unless_the_machine_has_long_been_quiet(samples in trace()) {
        for (sample, decision) in samples.iter().zip(run(&samples).1) {
            let since = sample.quiet_since_usec.map(|since| sample.at_usec.0.saturating_sub(since.0));
            prop_assert!(decision.requests.is_empty() || since.is_some_and(|since| since >= SETTLE_USEC));
        }
    }

    #[test]
    fn the_same_samples_lead_to_the_same_decisions(samples in trace()) {
        prop_assert_eq!(run(&samples).1, run(&samples).1);
    }

    /// More lost time, or more refaults, in the last of the samples: no more is taken.
    #[test]
    fn more_pressure_never_takes_more(samples in growing(), more in 0..50_000_u64, what in 0..3) {
        let (last, before) = samples.split_last().unwrap();
        let (mut worse_law, _) = run(before);
        let mut law = worse_law.clone();
        let mut worse = last.clone();
        let raise = |value: &mut Option<MicroSeconds>| *value = value.map(|value| MicroSeconds(value.0 + more));
        match what {
            0 => raise(&mut worse.stalled_usec),
            1 => raise(&mut worse.cgroups[0].stalled_usec),
            _ => worse.cgroups[0].refaults = worse.cgroups[0].refaults.map(|pages| Pages(pages.0 + more)),
        }
        prop_assert!(total(&worse_law.step(&worse)) <= total(&law.step(last)));
    }
}
