//! Machines whose sensors are odd from the start: they stay usable, and none is switched off for it.

use control::Controller;
use machine::{
    BootTime, Capabilities, CpuSample, Decision, Distrust, EngineLimits, HwmonChannel, HwmonKind,
    HwmonSample, KiloHertz, MicroSeconds, MilliCelsius, Policy, PolicySample, Sample, TripPoint, Tuning,
    Wishes, Zone, ZoneSample,
};

/// A zone: its type, its critical trip point in °C, and what it reads at a second.
type ZoneOf = (&'static str, i64, fn(u64) -> i64);
/// A hwmon channel: chip, `tempN_max` in °C, and what it reads at a second.
type ChipOf = (&'static str, Option<i64>, fn(u64) -> i64);

struct Odd {
    clocks: Option<(u64, u64)>,
    zones: Vec<ZoneOf>,
    chips: Vec<ChipOf>,
    /// The busy share at a second.
    busy: fn(u64) -> f64,
}

impl Odd {
    fn machine(&self) -> Capabilities {
        let policy = |(low, high)| Policy {
            id: 0,
            affected_cpus: vec![0],
            scaling_driver: Some("acpi-cpufreq".into()),
            cpuinfo_min_freq: Some(KiloHertz(low)),
            cpuinfo_max_freq: Some(KiloHertz(high)),
            base_frequency: None,
            scaling_available_frequencies: Vec::new(),
            core_type: None,
            scaling_available_governors: vec!["schedutil".into()],
            energy_performance_available_preferences: Vec::new(),
        };
        let zone = |(id, (kind, critical, _)): (usize, &ZoneOf)| Zone {
            id: id as u32,
            kind: Some((*kind).into()),
            trip_points: vec![TripPoint {
                id: 0,
                kind: "critical".into(),
                temp: MilliCelsius(critical * 1000),
            }],
        };
        let chip = |(id, (chip, limit, _)): (usize, &ChipOf)| HwmonChannel {
            hwmon: id as u32,
            chip: (*chip).into(),
            kind: HwmonKind::Temp,
            channel: 1,
            label: None,
            temp_max: limit.map(|limit| MilliCelsius(limit * 1000)),
            temp_crit: None,
        };
        Capabilities {
            policies: self.clocks.map(policy).into_iter().collect(),
            zones: self.zones.iter().enumerate().map(zone).collect(),
            hwmon: self.chips.iter().enumerate().map(chip).collect(),
            ..Capabilities::default()
        }
    }

    fn sample(&self, step: u64, busy: f64, clock: u64) -> Sample {
        let second = step / 5;
        let zone = |(id, (kind, _, read)): (usize, &ZoneOf)| ZoneSample {
            id: id as u32,
            kind: Some((*kind).into()),
            temp: Some(MilliCelsius(read(second))),
        };
        let chip = |(id, (chip, _, read)): (usize, &ChipOf)| HwmonSample {
            hwmon: id as u32,
            channel: 1,
            chip: (*chip).into(),
            label: None,
            kind: HwmonKind::Temp,
            input: Some(read(second)),
        };
        Sample {
            at_usec: BootTime(1 + step * 200_000),
            cpus: vec![CpuSample {
                id: 0,
                busy_usec: MicroSeconds((busy * 1e6) as u64),
                idle_usec: MicroSeconds(((step as f64 * 0.2 - busy) * 1e6) as u64),
            }],
            policies: vec![PolicySample {
                id: 0,
                scaling_cur_freq: Some(KiloHertz(clock)),
                scaling_min_freq: None,
                scaling_max_freq: None,
                bios_limit: None,
                scaling_governor: None,
                energy_performance_preference: None,
            }],
            zones: self.zones.iter().enumerate().map(zone).collect(),
            hwmon: self.chips.iter().enumerate().map(chip).collect(),
            ..Sample::default()
        }
    }

    /// Every decision of some seconds, five a second.
    fn run(&self, seconds: u64) -> Vec<Decision> {
        let mut controller = Controller::new(self.machine(), Tuning::default());
        let highest = self.clocks.map_or(0, |(_, high)| high);
        let (mut busy, mut clock) = (0.0, highest);
        let steps = 0..seconds * 5;
        steps
            .map(|step| {
                let decision = controller.step(&self.sample(step, busy, clock));
                busy += 0.2 * (self.busy)(step / 5);
                let policy = decision.setpoints.policies.first();
                clock = policy
                    .and_then(|policy| policy.scaling_max_freq)
                    .map_or(highest, |clock| clock.0);
                decision
            })
            .collect()
    }
}

fn bursts(second: u64) -> f64 {
    if second % 20 < 10 { 0.9 } else { 0.02 }
}

/// A package that warms by 20 K under work: whole degrees, as coretemp tells.
fn package(second: u64) -> i64 {
    let phase = second % 20;
    let warm = if phase < 10 { 2 * phase } else { 2 * (20 - phase) };
    (40 + warm as i64) * 1000
}

#[test]
fn a_lone_sensor_that_tells_its_limit_does_not_stop_the_engine() {
    for clocks in [None, Some((1_500_000, 2_400_000)), Some((800_000, 3_200_000))] {
        let odd = Odd {
            clocks,
            zones: vec![("acpitz", 105, |_| 105_000)],
            chips: vec![],
            busy: bursts,
        };
        let last = odd.run(120).pop().unwrap();
        assert_eq!(last.power_off, None, "{clocks:?}");
        let wait = last.wake_at.0 - (1 + 599 * 200_000);
        assert_eq!(
            wait, 1_000_000,
            "{clocks:?}: nothing is to be seen many times a second"
        );
        assert_eq!(
            last.engine,
            EngineLimits::default(),
            "{clocks:?}: {:?}",
            last.thermal
        );
    }
}

#[test]
fn an_unconnected_header_does_not_hold_the_processor_back() {
    let odd = Odd {
        clocks: Some((800_000, 3_200_000)),
        zones: vec![],
        chips: vec![
            ("coretemp", None, package),
            ("nct6775", Some(80), |second| 118_000 + (second % 2) as i64 * 500),
        ],
        busy: bursts,
    };
    let last = odd.run(120).pop().unwrap();
    assert_eq!(last.thermal.clock_cap, None, "{:?}", last.thermal);
}

#[test]
fn a_sensor_that_has_always_stood_hot_gives_way_to_one_that_lives() {
    let odd = Odd {
        clocks: Some((800_000, 3_200_000)),
        zones: vec![("acpitz", 119, |_| 95_000)],
        chips: vec![("coretemp", None, package)],
        busy: bursts,
    };
    let last = odd.run(180).pop().unwrap();
    assert_eq!(last.engine, EngineLimits::default(), "{:?}", last.thermal);
    assert_eq!(last.thermal.clock_cap, None, "{:?}", last.thermal);
}

#[test]
fn a_cool_boards_own_limit_is_not_the_processors() {
    let odd = Odd {
        clocks: Some((800_000, 3_200_000)),
        zones: vec![("acpitz", 70, |second| 35_000 + (second % 3) as i64 * 100)],
        chips: vec![("coretemp", None, |second| {
            if second < 30 {
                50_000 + (second % 2) as i64 * 1000
            } else {
                68_000
            }
        })],
        busy: bursts,
    };
    for decision in odd.run(60) {
        assert_eq!(decision.power_off, None, "{:?}", decision.thermal);
    }
}

#[test]
fn a_sensor_that_lived_and_stands_gives_no_clock_back() {
    let odd = Odd {
        clocks: Some((1_400_000, 3_200_000)),
        zones: vec![("acpitz", 105, |second| {
            81_000 + if second < 40 { (second % 2) as i64 * 100 } else { 0 }
        })],
        chips: vec![],
        busy: bursts,
    };
    let decisions = odd.run(160);
    let stuck = &decisions[decisions.len() - 300..];
    let frozen = |decision: &&Decision| decision.thermal.sensors[0].distrust == Some(Distrust::Frozen);
    assert!(stuck.iter().filter(frozen).count() > 100, "{:?}", stuck.last());
    for decision in stuck {
        assert_eq!(
            decision.thermal.clock_cap,
            Some(KiloHertz(1_400_000)),
            "{:?}",
            decision.thermal
        );
    }
}

#[test]
fn a_zone_that_vanishes_takes_no_limit_with_it() {
    let odd = Odd {
        clocks: Some((800_000, 3_200_000)),
        zones: vec![("acpitz", 90, |second| 45_000 + (second % 3) as i64 * 100)],
        chips: vec![("coretemp", None, package)],
        busy: bursts,
    };
    let mut controller = Controller::new(odd.machine(), Tuning::default());
    controller.set_wishes(Wishes {
        target: Some(MilliCelsius(95_000)),
        ..Wishes::default()
    });
    let target = |decision: Decision| decision.thermal.target;
    assert_eq!(
        target(controller.step(&odd.sample(0, 0.0, 800_000))),
        MilliCelsius(80_000)
    );
    let left = Odd { zones: vec![], ..odd };
    controller.set_machine(left.machine(), Tuning::default());
    assert_eq!(
        target(controller.step(&left.sample(1, 0.0, 800_000))),
        MilliCelsius(80_000)
    );
}
