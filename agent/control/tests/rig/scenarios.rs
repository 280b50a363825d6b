//! What can happen to a machine, and what must come of it.

use super::figures::{Figure, lowest_clock, mean_clock, over, second_half, swing};
use super::{CRITICAL, Family, Load, Rig, SENSOR, TARGET};
use machine::{Distrust, EngineLimits, HwmonKind, HwmonSample, MilliCelsius, Rung, Sample};

/// Something that happens to a machine.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Lets it happen to one plant of a family.
    pub(crate) run: fn(Family, u64) -> Vec<Figure>,
}

/// All of them.
pub(crate) const ALL: [Scenario; 14] = [
    Scenario {
        name: "the engine at full load",
        run: |family, seed| full_load(family, seed, Load::Engine),
    },
    Scenario {
        name: "another program at full load",
        run: |family, seed| full_load(family, seed, Load::Other),
    },
    Scenario {
        name: "load comes and goes",
        run: comes_and_goes,
    },
    Scenario {
        name: "rest after work",
        run: rest_after_work,
    },
    Scenario {
        name: "the fan fails",
        run: fan_fails,
    },
    Scenario {
        name: "the room warms by 8 K at once",
        run: room_warms,
    },
    Scenario {
        name: "the sensor vanishes for 20 s",
        run: sensor_vanishes,
    },
    Scenario {
        name: "the sensor sticks",
        run: sensor_sticks,
    },
    Scenario {
        name: "the sensor sticks at what is held",
        run: sensor_sticks_on_target,
    },
    Scenario {
        name: "the sensor says -274 °C",
        run: sensor_is_absurd,
    },
    Scenario {
        name: "one reading in ten is 0 °C",
        run: sensor_stutters,
    },
    Scenario {
        name: "a second sensor has always said 27.8 °C",
        run: second_is_frozen,
    },
    Scenario {
        name: "the room is unbearable for a while",
        run: unbearable_for_a_while,
    },
    Scenario {
        name: "heat that is not ours nears the critical point",
        run: critical_approach,
    },
];

fn rested(family: Family, seed: u64) -> Rig {
    let mut rig = Rig::new(family, seed);
    rig.run(10.0, Load::Rest);
    rig
}

/// A machine that has been under full load for long.
fn hot(family: Family, seed: u64) -> Rig {
    let mut rig = rested(family, seed);
    rig.run(family.settling(), Load::Engine);
    rig
}

fn full_load(family: Family, seed: u64, load: Load) -> Vec<Figure> {
    let mut rig = rested(family, seed);
    let best = rig.best_clock();
    let run = rig.run(family.settling(), load);
    let (end, steps) = (rig.at, rig.steps);
    while rig.decision.thermal.clock_cap.is_some() && rig.at < end + 60.0 {
        rig.run(0.05, Load::Rest);
    }
    let looks = f64::from(rig.steps - steps) / (rig.at - end).max(1.0);
    // Nobody announces another program: on the most violent plants, up to 50 K at once, the first look comes late.
    let late = family == Family::Twin && load == Load::Other;
    vec![
        Figure::at_most("over the target, K", over(&run), if late { 15.0 } else { 2.0 }),
        Figure::at_most("swing, K", swing(&run), 5.0),
        Figure::at_least("clock / best", mean_clock(second_half(&run)) / best, 0.95),
        Figure::at_least("lowest clock / best", lowest_clock(&run) / best, 0.5),
        Figure::at_most("cap gone, s", rig.at - end, 10.0),
        Figure::at_most("looks a second until then", looks, 7.0),
    ]
}

fn comes_and_goes(family: Family, seed: u64) -> Vec<Figure> {
    let mut rig = rested(family, seed);
    let mut run = Vec::new();
    for turn in 0..12 {
        let seconds = [3.0, 11.0, 29.0][turn % 3];
        run.extend(rig.run(seconds, Load::Engine));
        run.extend(rig.run([1.0, 4.0, 16.0][turn % 3], Load::Rest));
    }
    vec![Figure::at_most("over the target, K", over(&run), 3.0)]
}

/// How often a machine is looked at that rests and has shown how fast it warms. With shortened time constants it must be
/// more often.
fn rest_after_work(family: Family, seed: u64) -> Vec<Figure> {
    let mut rig = rested(family, seed);
    for _ in 0..3 {
        rig.run(12.0, Load::Engine);
        rig.run(20.0, Load::Rest);
    }
    rig.run(family.settling(), Load::Rest);
    let before = rig.steps;
    rig.run(120.0, Load::Rest);
    let looks = f64::from(rig.steps - before) / 2.0;
    vec![Figure::at_most("looks per minute", looks, 300.0)]
}

fn fan_fails(family: Family, seed: u64) -> Vec<Figure> {
    let mut rig = rested(family, seed);
    rig.fan_level = 3.0;
    rig.run(family.settling(), Load::Engine);
    rig.fan_level = 0.0;
    let run = rig.run(family.settling(), Load::Engine);
    vec![
        Figure::at_most("over the target, K", over(&run), 5.0),
        Figure::at_most("swing, K", swing(&run), 5.0),
        Figure::at_least(
            "clock / best",
            mean_clock(second_half(&run)) / rig.best_clock(),
            0.95,
        ),
    ]
}

fn room_warms(family: Family, seed: u64) -> Vec<Figure> {
    let mut rig = hot(family, seed);
    rig.plant.warm_room(8.0);
    let run = rig.run(family.settling(), Load::Engine);
    vec![
        Figure::at_most("over the target, K", over(&run), 2.0),
        Figure::at_most("swing, K", swing(&run), 5.0),
    ]
}

fn sensor_vanishes(family: Family, seed: u64) -> Vec<Figure> {
    let mut rig = hot(family, seed);
    let blind = rig.run_spoilt(20.0, Load::Engine, |sample| sample.zones[0].temp = None);
    let named = names(&rig, Distrust::Missing);
    let floor = lowest_clock(&blind) / rig.floor();
    let run = rig.run(family.settling(), Load::Engine);
    vec![
        Figure::at_most("over the target, K", over(&blind), 2.0),
        Figure::at_most("lowest clock / floor", floor, 1.01),
        Figure::at_least("named", named, 1.0),
        Figure::at_most("over the target afterwards, K", over(&run), 2.0),
        Figure::at_least(
            "clock / best afterwards",
            mean_clock(second_half(&run)) / rig.best_clock(),
            0.95,
        ),
    ]
}

fn sensor_sticks(family: Family, seed: u64) -> Vec<Figure> {
    let mut rig = hot(family, seed);
    let stuck = rig
        .decision
        .thermal
        .assumed
        .map(|temp| MilliCelsius(temp.0.min(79_000) - 2_000));
    let run = rig.run_spoilt(60.0, Load::Engine, |sample| sample.zones[0].temp = stuck);
    vec![
        Figure::at_most("over the target, K", over(&run), 15.0),
        Figure::at_least(
            "named",
            names(&rig, Distrust::Frozen),
            if is_held(&rig) { 1.0 } else { 0.0 },
        ),
    ]
}

/// What is read is what is wanted, so that nothing makes power vary but the law's own test.
fn sensor_sticks_on_target(family: Family, seed: u64) -> Vec<Figure> {
    let mut rig = hot(family, seed);
    let held = is_held(&rig);
    let stuck = rig.decision.thermal.assumed;
    let run = rig.run_spoilt(75.0, Load::Engine, |sample| sample.zones[0].temp = stuck);
    vec![
        Figure::at_most("over the target, K", over(&run), 10.0),
        Figure::at_least(
            "named",
            names(&rig, Distrust::Frozen),
            if held { 1.0 } else { 0.0 },
        ),
    ]
}

fn sensor_is_absurd(family: Family, seed: u64) -> Vec<Figure> {
    let mut rig = hot(family, seed);
    let run = rig.run_spoilt(30.0, Load::Engine, |sample| {
        sample.zones[0].temp = Some(MilliCelsius(-274_000))
    });
    vec![
        Figure::at_most("over the target, K", over(&run), 2.0),
        Figure::at_least("named", names(&rig, Distrust::Absurd), 1.0),
    ]
}

fn sensor_stutters(family: Family, seed: u64) -> Vec<Figure> {
    let mut rig = hot(family, seed);
    let run = rig.run_spoilt(60.0, Load::Engine, |sample| {
        if sample.at_usec.0 % 10 == 0 {
            sample.zones[0].temp = Some(MilliCelsius(0));
        }
    });
    vec![Figure::at_most("over the target, K", over(&run), 3.0)]
}

fn second_is_frozen(family: Family, seed: u64) -> Vec<Figure> {
    let mut rig = rested(family, seed);
    let best = rig.best_clock();
    let second = |sample: &mut Sample| {
        sample.hwmon.push(HwmonSample {
            hwmon: 1,
            channel: 1,
            chip: "coretemp".into(),
            label: Some("Package id 0".into()),
            kind: HwmonKind::Temp,
            input: Some(27_800),
        });
    };
    let run = rig.run_spoilt(family.settling(), Load::Engine, second);
    vec![
        Figure::at_most("over the target, K", over(&run), 2.0),
        Figure::at_least("clock / best", mean_clock(second_half(&run)) / best, 0.95),
    ]
}

/// A room so warm that even the lowest clock is too much, and then not any more: everything is given back.
fn unbearable_for_a_while(family: Family, seed: u64) -> Vec<Figure> {
    let mut rig = hot(family, seed);
    rig.plant.warm_room(45.0);
    rig.run(family.settling(), Load::Engine);
    let warm = rig.decision.thermal.rung;
    rig.plant.warm_room(-45.0);
    let run = rig.run(2.0 * family.settling(), Load::Engine);
    let limits = rig.decision.engine;
    vec![
        Figure::at_most("powered off", f64::from(warm == Rung::PowerOff), 0.0),
        Figure::at_least(
            "engine free again",
            f64::from(limits == EngineLimits::default()),
            1.0,
        ),
        Figure::at_least(
            "clock / best afterwards",
            mean_clock(second_half(&run)) / rig.best_clock(),
            0.95,
        ),
    ]
}

/// The room itself becomes unbearable: the ladder is climbed to its end, and the machine is off before the firmware
/// cuts it.
fn critical_approach(family: Family, seed: u64) -> Vec<Figure> {
    let mut rig = hot(family, seed);
    let mut rung = Rung::Free;
    while rig.decision.power_off.is_none() && rig.at < 3.0 * family.settling() + 600.0 {
        rig.plant.warm_room(0.1);
        rig.run(0.2, Load::Engine);
        rung = rung.max(rig.decision.thermal.rung);
    }
    let steps = rig
        .notes
        .iter()
        .filter(|note| note.step.starts_with("engine"))
        .count();
    vec![
        Figure::at_least("powered off", f64::from(rung == Rung::PowerOff), 1.0),
        Figure::at_most("die when powered off, °C", rig.plant.die(), CRITICAL),
        Figure::at_least("die when powered off, °C above", rig.plant.die(), TARGET + 10.0),
        Figure::at_least("steps of the ladder before", steps as f64, 6.0),
    ]
}

/// 1 if the rig's sensor is distrusted for this reason and a warning names its file.
fn names(rig: &Rig, distrust: Distrust) -> f64 {
    let state = rig
        .decision
        .thermal
        .sensors
        .iter()
        .any(|sensor| sensor.distrust == Some(distrust));
    let warning = rig.decision.warnings.iter().any(|warning| warning.path == SENSOR);
    f64::from(state && warning)
}

/// Whether full load is more than this plant bears: else nothing depends on its sensor.
fn is_held(rig: &Rig) -> bool {
    rig.decision.thermal.clock_cap.is_some()
}
