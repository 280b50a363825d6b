//! Machines and samples drawn by lot: sane ones, and any.

use machine::{
    BoostSwitch, BootTime, Capabilities, CoolingDevice, CoolingSample, CpuSample, EngineSample, Hold,
    HwmonChannel, HwmonKind, HwmonSample, KiloHertz, MicroSeconds, MicroWatts, MilliCelsius, Phase, Policy,
    PolicySample, PowerConstraint, PowerDomain, PowerLimit, PowerProfile, PowerSample, Sample, Supply,
    SupplySample, TripPoint, Tuning, Wishes, Zone, ZoneSample,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::ops::Range;

const ZONES: [&str; 4] = ["acpitz", "x86_pkg_temp", "iwlwifi_1", "TCPU"];
const CHIPS: [&str; 3] = ["coretemp", "nvme", "k10temp"];

/// What a controller is made of.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) machine: Capabilities,
    pub(crate) tuning: Tuning,
    pub(crate) wishes: Wishes,
}

pub(crate) fn setup() -> impl Strategy<Value = Setup> {
    (machine(), tuning(), wishes()).prop_map(|(machine, tuning, wishes)| Setup {
        machine,
        tuning,
        wishes,
    })
}

/// Samples in a row that no machine could show, their times not in order.
pub(crate) fn any_trace() -> impl Strategy<Value = Vec<Sample>> {
    vec(any_sample(), 1..30)
}

/// Samples in a row that a healthy machine could show: wild ones, or of a temperature that moves steadily from some
/// point on.
pub(crate) fn sane_trace() -> impl Strategy<Value = Vec<Sample>> {
    let steady = option::weighted(0.8, (40.0..100.0_f64, -3.0..3.0_f64));
    (steady, vec(sane_sample(), 2..60)).prop_map(|(steady, mut samples)| {
        let mut at = 0;
        for sample in &mut samples {
            at += sample.at_usec.0;
            sample.at_usec = BootTime(at);
            if let Some((start, slope)) = steady {
                let now = start + slope * at as f64 / 1e6;
                set_temperatures(sample, |wild| {
                    let noise = (wild as f64 / 1000.0 - 65.0) / 40.0;
                    ((now + noise).clamp(25.0, 104.0) * 1000.0) as i64
                });
            }
        }
        samples
    })
}

/// Replaces every temperature by what becomes of it, in thousandths of a degree.
pub(crate) fn set_temperatures(sample: &mut Sample, with: impl Fn(i64) -> i64) {
    for zone in &mut sample.zones {
        zone.temp = zone.temp.map(|temp| MilliCelsius(with(temp.0)));
    }
    for chip in sample
        .hwmon
        .iter_mut()
        .filter(|chip| chip.kind == HwmonKind::Temp)
    {
        chip.input = chip.input.map(&with);
    }
}

fn machine() -> impl Strategy<Value = Capabilities> {
    let boost = option::of(select(vec![BoostSwitch::CpufreqBoost, BoostSwitch::IntelNoTurbo]));
    let profiles = subsequence(vec!["low-power", "balanced", "performance"], 0..=3);
    (
        vec(policy(), 0..3),
        boost,
        profiles,
        vec(option::of(trip()), 4),
        any::<bool>(),
        option::of(trip()),
    )
        .prop_map(|(mut policies, boost, profiles, trips, capped, limit)| {
            for (id, policy) in policies.iter_mut().enumerate() {
                policy.id = id as u32;
                policy.affected_cpus = vec![id as u32];
            }
            let zone = |(id, trip): (usize, Option<TripPoint>)| Zone {
                id: id as u32,
                kind: Some(ZONES[id].into()),
                trip_points: trip.into_iter().collect(),
            };
            Capabilities {
                policies,
                boost,
                platform_profile_choices: profiles.into_iter().map(String::from).collect(),
                zones: trips.into_iter().enumerate().map(zone).collect(),
                hwmon: (0..3)
                    .map(|chip| channel(chip, limit.as_ref().map(|trip| trip.temp)))
                    .collect(),
                cooling_devices: vec![CoolingDevice {
                    id: 0,
                    kind: Some("Fan".into()),
                    max_state: Some(3),
                }],
                powercap: if capped { vec![domain()] } else { vec![] },
                supplies: ["AC", "BAT0"]
                    .into_iter()
                    .zip(["Mains", "Battery"])
                    .map(supply)
                    .collect(),
                ..Capabilities::default()
            }
        })
}

fn supply((name, kind): (&str, &str)) -> Supply {
    Supply {
        name: name.into(),
        kind: Some(kind.into()),
    }
}

fn domain() -> PowerDomain {
    PowerDomain {
        id: "intel-rapl:0".into(),
        name: Some("package-0".into()),
        max_energy_range_uj: None,
        constraints: vec![PowerConstraint {
            id: 0,
            name: Some("long_term".into()),
            max_power_uw: None,
        }],
    }
}

fn channel(chip: u32, limit: Option<MilliCelsius>) -> HwmonChannel {
    HwmonChannel {
        hwmon: chip,
        chip: CHIPS[chip as usize].into(),
        kind: HwmonKind::Temp,
        channel: 1,
        label: None,
        temp_max: limit,
        temp_crit: limit.map(|limit| MilliCelsius(limit.0.saturating_add(10_000))),
    }
}

fn trip() -> impl Strategy<Value = TripPoint> {
    let temp = prop_oneof![90_000..110_000_i64, any::<i64>(), Just(-274_000)];
    (temp, select(vec!["critical", "passive", "hot"])).prop_map(|(temp, kind)| TripPoint {
        id: 0,
        kind: kind.into(),
        temp: MilliCelsius(temp),
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let clock = || prop_oneof![4 => 400_000..5_000_000_u64, 1 => any::<u64>(), 1 => Just(0)];
    let drivers = [
        "acpi-cpufreq",
        "intel_pstate",
        "amd-pstate-epp",
        "cppc_cpufreq",
        "unheard-of",
    ];
    let governors = subsequence(vec!["performance", "powersave", "schedutil", "userspace"], 0..=4);
    let preferences = subsequence(
        vec!["performance", "balance_performance", "balance_power", "power"],
        0..=4,
    );
    let table = vec(400_000..5_000_000_u64, 0..6);
    (
        option::of(select(drivers.to_vec())),
        clock(),
        clock(),
        option::of(clock()),
        any::<bool>(),
        table,
        governors,
        preferences,
    )
        .prop_map(
            |(driver, one, other, base, known, mut table, governors, preferences)| {
                table.sort_unstable();
                let known = |clock: u64| known.then_some(KiloHertz(clock));
                let strings = |names: Vec<&str>| names.into_iter().map(String::from).collect();
                Policy {
                    id: 0,
                    affected_cpus: vec![],
                    scaling_driver: driver.map(String::from),
                    cpuinfo_min_freq: known(one.min(other)),
                    cpuinfo_max_freq: known(one.max(other)),
                    base_frequency: base.map(KiloHertz),
                    scaling_available_frequencies: table.into_iter().map(KiloHertz).collect(),
                    core_type: None,
                    scaling_available_governors: strings(governors),
                    energy_performance_available_preferences: strings(preferences),
                }
            },
        )
}

fn tuning() -> impl Strategy<Value = Tuning> {
    let watts = || option::of(any::<u64>().prop_map(MicroWatts));
    let target = prop_oneof![4 => 60_000..95_000_i64, 1 => any::<i64>()];
    (
        target,
        watts(),
        watts(),
        subsequence(vec!["acpitz", "coretemp"], 0..=1),
        any::<f32>(),
    )
        .prop_map(
            |(target, sustained_power, burst_power, ignored, decode_loss)| Tuning {
                target: MilliCelsius(target),
                sustained_power,
                burst_power,
                ignored_sensors: ignored.into_iter().map(String::from).collect(),
                decode_loss,
                ..Tuning::default()
            },
        )
}

fn wishes() -> impl Strategy<Value = Wishes> {
    let profile = || select(PowerProfile::ALL.to_vec());
    (
        profile(),
        option::of(any::<i64>()),
        option::of((profile(), option::of(any::<u64>()))),
    )
        .prop_map(|(profile, target, hold)| Wishes {
            profile,
            target: target.map(MilliCelsius),
            holds: hold
                .into_iter()
                .map(|(profile, until)| held(profile, until))
                .collect(),
        })
}

fn held(profile: PowerProfile, until: Option<u64>) -> Hold {
    Hold {
        id: 1,
        profile,
        reason: "a test".into(),
        holder: "test".into(),
        until_usec: until.map(BootTime),
    }
}

/// A sample that a healthy machine could show, some 10 ms to 8 s after the one before.
fn sane_sample() -> impl Strategy<Value = Sample> {
    let steps = prop_oneof![4 => 50_000..400_000_u64, 1 => 10_000..8_000_000_u64];
    let temps = vec(25_000..104_000_i64, 7);
    (
        steps,
        temps,
        vec((0..400_000_u64, 0..400_000_u64), 2),
        400_000..5_000_000_u64,
        engine(0..1000),
        any::<bool>(),
    )
        .prop_map(|(at, temps, busy, clock, engine, mains)| {
            let temps: Vec<Option<i64>> = temps.into_iter().map(Some).collect();
            sample(at, &temps, &busy, clock, engine, Some(mains))
        })
}

/// A sample that no machine could show.
fn any_sample() -> impl Strategy<Value = Sample> {
    let temp = prop_oneof![
        4 => (-50_000..140_000_i64).prop_map(Some),
        1 => any::<i64>().prop_map(Some),
        1 => Just(Some(0)),
        1 => Just(None),
    ];
    (
        any::<u64>(),
        vec(temp, 7),
        vec(any::<(u64, u64)>(), 0..4),
        any::<u64>(),
        engine(0..u64::MAX),
        any::<Option<bool>>(),
    )
        .prop_map(|(at, temps, busy, clock, engine, mains)| sample(at, &temps, &busy, clock, engine, mains))
}

fn engine(range: Range<u64>) -> impl Strategy<Value = Option<EngineSample>> {
    let phase = select(vec![Phase::Idle, Phase::Loading, Phase::Prefill, Phase::Decode]);
    let engine = (phase, range.clone(), range, option::of(any::<f32>()), 0..3_u64);
    option::of(
        engine.prop_map(|(phase, at, progress, rate, model)| EngineSample {
            at_usec: BootTime(at),
            phase,
            queue_depth: 1,
            active: 1,
            progress,
            generated: progress,
            model,
            tokens_per_second: rate,
            kv_tokens: 5,
            ..EngineSample::default()
        }),
    )
}

fn sample(
    at: u64,
    temps: &[Option<i64>],
    busy: &[(u64, u64)],
    clock: u64,
    engine: Option<EngineSample>,
    mains: Option<bool>,
) -> Sample {
    let zone = |id: usize| ZoneSample {
        id: id as u32,
        kind: Some(ZONES[id].into()),
        temp: temps[id].map(MilliCelsius),
    };
    let chip = |id: usize| HwmonSample {
        hwmon: id as u32,
        channel: 1,
        chip: CHIPS[id].into(),
        label: None,
        kind: HwmonKind::Temp,
        input: temps[4 + id],
    };
    let fan = HwmonSample {
        kind: HwmonKind::Fan,
        input: temps[0].map(|temp| temp % 2),
        ..chip(0)
    };
    let cpu = |(id, (busy, idle)): (usize, &(u64, u64))| CpuSample {
        id: id as u32,
        busy_usec: MicroSeconds(*busy),
        idle_usec: MicroSeconds(*idle),
    };
    let limit = PowerLimit {
        constraint: 0,
        power_limit_uw: Some(MicroWatts(clock)),
    };
    Sample {
        at_usec: BootTime(at),
        policies: (0..3).map(|id| policy_sample(id, clock)).collect(),
        cpus: busy.iter().enumerate().map(cpu).collect(),
        zones: (0..4).map(zone).collect(),
        hwmon: (0..3).map(chip).chain([fan]).collect(),
        cooling_devices: vec![CoolingSample {
            id: 0,
            cur_state: Some(clock % 3),
        }],
        powercap: vec![PowerSample {
            id: "intel-rapl:0".into(),
            energy_uj: None,
            limits: vec![limit],
        }],
        supplies: vec![SupplySample {
            name: "AC".into(),
            online: mains,
            capacity: None,
            status: None,
        }],
        engine,
        ..Sample::default()
    }
}

fn policy_sample(id: u32, clock: u64) -> PolicySample {
    PolicySample {
        id,
        scaling_cur_freq: Some(KiloHertz(clock)),
        scaling_min_freq: None,
        scaling_max_freq: Some(KiloHertz(clock)),
        bios_limit: None,
        scaling_governor: None,
        energy_performance_preference: None,
    }
}
