use super::*;
use alloc::vec;
use machine::{BootTime, HwmonChannel, HwmonKind, HwmonSample, TripPoint, Zone, ZoneSample};

/// A machine with `acpitz`, the processor's own `coretemp`, and a disk that may be 70 °C.
struct Bench {
    machine: Capabilities,
    tuning: Tuning,
    sensors: Sensors,
    drawn: Drawn,
    at: u64,
}

impl Bench {
    fn new() -> Self {
        let trip = |id, temp, kind: &str| TripPoint {
            id,
            kind: kind.into(),
            temp: MilliCelsius(temp),
        };
        let zone = Zone {
            id: 0,
            kind: Some("acpitz".into()),
            trip_points: vec![
                trip(0, 20_000, "critical"),
                trip(1, 105_000, "critical"),
                trip(2, 90_000, "passive"),
            ],
        };
        let chip = |hwmon, chip: &str, temp_max: Option<i64>| HwmonChannel {
            hwmon,
            chip: chip.into(),
            kind: HwmonKind::Temp,
            channel: 1,
            label: None,
            temp_max: temp_max.map(MilliCelsius),
            temp_crit: None,
        };
        Self {
            machine: Capabilities {
                zones: vec![zone],
                hwmon: vec![chip(0, "coretemp", None), chip(1, "nvme", Some(70_000))],
                ..Capabilities::default()
            },
            tuning: Tuning::default(),
            sensors: Sensors::default(),
            drawn: Drawn::default(),
            at: 0,
        }
    }

    /// A quarter of a second later, at a share of full power; temperatures in °C of acpitz, coretemp and the disk.
    fn step(&mut self, share: f64, temps: [Option<f64>; 3]) -> View {
        let milli = |temp: f64| (temp * 1000.0) as i64;
        let chip = |hwmon: u32, chip: &str, temp: Option<f64>| HwmonSample {
            hwmon,
            channel: 1,
            chip: chip.into(),
            label: None,
            kind: HwmonKind::Temp,
            input: temp.map(milli),
        };
        let sample = Sample {
            at_usec: BootTime(self.at),
            zones: vec![ZoneSample {
                id: 0,
                kind: Some("acpitz".into()),
                temp: temps[0].map(|temp| MilliCelsius(milli(temp))),
            }],
            hwmon: vec![chip(0, "coretemp", temps[1]), chip(1, "nvme", temps[2])],
            ..Sample::default()
        };
        self.at += 250_000;
        self.drawn.step(0.25, share, share);
        self.sensors
            .step(0.25, &self.machine, &self.tuning, &sample, &self.drawn)
    }

    /// Some seconds of it, coretemp and disk healthy.
    fn run(&mut self, seconds: f64, share: f64, acpitz: Option<f64>) -> View {
        let mut view = View::default();
        for step in 0..(seconds * 4.0) as usize {
            let coretemp = 50.0 + 30.0 * self.drawn.felt + (step % 2) as f64;
            view = self.step(share, [acpitz, Some(coretemp), Some(40.0)]);
        }
        view
    }
}

fn distrusted(view: &View, name: &str) -> Option<Distrust> {
    view.states
        .iter()
        .find(|state| state.name == name)
        .and_then(|state| state.distrust)
}

#[test]
fn the_hottest_of_the_processors_sensors_is_assumed() {
    let mut bench = Bench::new();
    let view = bench.step(0.5, [Some(48.0), Some(61.0), Some(66.0)]);
    assert_eq!(
        (view.assumed, view.hottest.as_deref()),
        (Some(61.0), Some("coretemp temp1"))
    );
    assert_eq!(
        view.other,
        Some((-4.0, "nvme temp1".into())),
        "4 K below its own limit"
    );
    let counts: Vec<bool> = view.states.iter().map(|state| state.counts).collect();
    assert_eq!(counts, [true, true, false], "{:?}", view.states);
    assert!(view.warnings.is_empty() && view.blind.is_none());
}

#[test]
fn a_disk_counts_against_its_own_limit_even_when_it_tells_no_more() {
    let mut bench = Bench::new();
    bench.step(0.5, [Some(48.0), Some(61.0), Some(73.0)]);
    let view = bench.step(0.5, [Some(48.0), Some(61.0), None]);
    assert_eq!(view.other, Some((3.0, "nvme temp1".into())));
    assert_eq!(view.assumed, Some(61.0));
}

#[test]
fn a_sensor_that_has_always_said_the_same_is_named_and_changes_nothing() {
    let mut bench = Bench::new();
    bench.run(10.0, 0.05, Some(27.8));
    let view = bench.run(20.0, 1.0, Some(27.8));
    assert_eq!(distrusted(&view, "acpitz 0"), Some(Distrust::Frozen));
    let problem = "acpitz 0 has stood at 27.8 °C while power varied; counted as hot";
    assert_eq!(view.warnings[0].problem, problem);
    assert_eq!(view.warnings[0].path, "/sys/class/thermal/thermal_zone0/temp");
    let assumed = view.assumed.unwrap();
    assert!((79.0..82.0).contains(&assumed), "{assumed}: what coretemp says");
}

#[test]
fn a_hotter_sensor_that_vanishes_stays_as_much_hotter_as_it_was() {
    let mut bench = Bench::new();
    bench.run(5.0, 0.5, Some(70.0));
    for acpitz in [76.0, 77.0] {
        bench.step(0.5, [Some(acpitz), Some(65.0), None]);
    }
    let view = bench.step(0.5, [None, Some(65.0), None]);
    assert_eq!(
        (view.assumed, distrusted(&view, "acpitz 0")),
        (Some(77.0), Some(Distrust::Missing))
    );
    let mut later = view;
    for _ in 0..40 {
        later = bench.step(0.5, [None, Some(60.0), None]);
    }
    assert_eq!(later.assumed, Some(72.0), "12 K more than the one that is left");
    bench.machine.zones.clear();
    let gone = bench.step(0.5, [None, Some(60.0), None]);
    assert_eq!(gone.assumed, Some(72.0));
}

#[test]
fn nothing_is_given_back_at_once_when_a_sensor_vanishes() {
    let mut bench = Bench::new();
    for acpitz in [76.0, 77.0] {
        bench.step(0.5, [Some(acpitz), Some(65.0), None]);
    }
    bench.step(0.5, [Some(77.0), Some(60.0), None]);
    let view = bench.step(0.5, [None, Some(60.0), None]);
    assert_eq!(
        view.assumed,
        Some(77.0),
        "though it was 12 K hotter when it last moved"
    );
    for _ in 0..11 {
        bench.step(0.5, [None, Some(60.0), None]);
    }
    assert_eq!(bench.step(0.5, [None, Some(60.0), None]).assumed, Some(72.0));
}

#[test]
fn each_zone_has_its_own_plug_and_one_that_lived_is_stood_in_for() {
    let mut bench = Bench::new();
    bench.machine.zones[0].trip_points[1].temp = MilliCelsius(70_000);
    for step in 0..8 {
        let odd = f64::from(step % 2);
        bench.step(0.5, [Some(40.0 + odd), Some(75.0 + odd), None]);
    }
    let proof = |name: &str, reading, critical| {
        Some(Proof {
            name: name.into(),
            reading,
            critical,
        })
    };
    let view = bench.step(0.5, [Some(40.0), Some(75.0), None]);
    assert_eq!(view.proof, proof("acpitz 0", 40.0, 70.0));
    assert_eq!(critical(&bench.machine, &bench.tuning), None, "a board's");
    let view = bench.step(0.5, [None, Some(76.0), None]);
    assert_eq!(view.proof, proof("coretemp temp1", 76.0, 70.0));
}

#[test]
fn a_hot_one_that_never_moved_is_contradicted_by_a_cool_one_that_lives() {
    let mut bench = Bench::new();
    let mut view = View::default();
    for step in 0..130 {
        view = bench.step(0.05, [Some(95.0), Some(40.0 + f64::from(step % 2)), None]);
    }
    assert_eq!(distrusted(&view, "acpitz 0"), Some(Distrust::Contradicted));
    assert_eq!(distrusted(&view, "coretemp temp1"), None);
    let problem =
        "acpitz 0 tells 95.0 °C, and others on the same processor something very different; counted as hot";
    assert_eq!(view.warnings[0].problem, problem);
}

#[test]
fn without_any_that_is_believed_the_laws_are_blind() {
    let mut bench = Bench::new();
    bench.tuning.ignored_sensors = vec!["coretemp".into()];
    let never = bench.step(1.0, [Some(0.0), Some(60.0), None]);
    assert_eq!(
        (never.blind, distrusted(&never, "acpitz 0")),
        (Some(Blind::Dead), Some(Distrust::Absurd))
    );
    assert_eq!(bench.step(1.0, [Some(60.0), None, None]).blind, None);
    let lost = bench.step(1.0, [None, Some(60.0), None]);
    assert_eq!((lost.blind, lost.assumed), (Some(Blind::Lost), Some(60.0)));
}

#[test]
fn a_fall_that_no_cooling_explains_is_absurd_and_held() {
    let mut bench = Bench::new();
    bench.tuning.ignored_sensors = vec!["coretemp".into()];
    for step in 0..20 {
        bench.step(1.0, [Some(80.0 - f64::from(step % 2)), None, None]);
    }
    let fallen = bench.step(1.0, [Some(20.0), None, None]);
    assert_eq!(
        (fallen.assumed, distrusted(&fallen, "acpitz 0")),
        (Some(64.0), Some(Distrust::Absurd))
    );
    let problem = "acpitz 0 fell to 20.0 °C faster than anything cools; counted as hot";
    assert_eq!(fallen.warnings[0].problem, problem);
    assert_eq!(bench.step(1.0, [Some(20.0), None, None]).assumed, Some(49.0));
    let relieved = bench.step(0.0, [Some(20.0), None, None]);
    assert_eq!(relieved.assumed, Some(20.0), "without power it may fall");
}

#[test]
fn a_limit_told_as_a_temperature_is_contradicted_and_proves_nothing() {
    let mut bench = Bench::new();
    for coretemp in [45.0, 46.0] {
        bench.step(0.1, [Some(105.0), Some(coretemp), None]);
    }
    let view = bench.step(0.1, [Some(105.0), Some(45.5), None]);
    assert_eq!(distrusted(&view, "acpitz 0"), Some(Distrust::Contradicted));
    assert_eq!((view.proof, view.lived), (None, Some(45.5)));
    let later = bench.run(4.0, 0.1, Some(105.0));
    assert!(
        later.assumed.unwrap() < 60.0,
        "{:?}: what coretemp says",
        later.assumed
    );
    let moves = bench.step(0.1, [Some(104.9), Some(45.0), None]);
    assert_eq!(
        bench
            .step(0.1, [Some(104.8), Some(45.0), None])
            .hottest
            .as_deref(),
        Some("acpitz 0"),
        "{moves:?}"
    );
}

#[test]
fn the_critical_point_is_the_lowest_that_can_be_one() {
    let bench = Bench::new();
    assert_eq!(critical(&bench.machine, &bench.tuning), Some(105.0));
    assert_eq!(critical(&Capabilities::default(), &bench.tuning), None);
}

#[test]
fn sensors_of_one_name_are_told_apart() {
    let chip = |hwmon| HwmonSample {
        hwmon,
        channel: 1,
        chip: "nvme".into(),
        label: Some("Composite".into()),
        kind: HwmonKind::Temp,
        input: Some(40_000),
    };
    let sample = Sample {
        hwmon: vec![chip(0), chip(1), chip(2)],
        ..Sample::default()
    };
    let zone = ZoneSample {
        id: 0,
        kind: None,
        temp: None,
    };
    for zones in [vec![], vec![zone]] {
        let sample = Sample {
            zones,
            ..sample.clone()
        };
        let listed = listing::list(&Capabilities::default(), &Tuning::default(), &sample);
        let names: Vec<&str> = listed.iter().map(|listed| listed.name.as_str()).collect();
        assert_eq!(
            names[sample.zones.len()..],
            ["nvme Composite", "nvme Composite #1", "nvme Composite #2"],
            "whatever else there is"
        );
    }
}
