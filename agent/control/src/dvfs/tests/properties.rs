use super::*;
use crate::dvfs::{Dvfs, PowerWish};
use crate::utilisation::Utilisation;
use machine::{PolicySample, PowerProfile, Tuning};
use proptest::collection::vec as several;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const DRIVERS: [&str; 8] = [
    "acpi-cpufreq",
    "intel_pstate",
    "intel_cpufreq",
    "amd-pstate",
    "amd-pstate-epp",
    "cppc_cpufreq",
    "cpufreq-dt",
    "unheard-of",
];

fn any_policy(id: u32) -> impl Strategy<Value = Policy> {
    let governors = vec!["performance", "powersave", "schedutil", "ondemand", "userspace"];
    let preferences = vec![
        "default",
        "performance",
        "balance_performance",
        "balance_power",
        "power",
    ];
    let range = (
        proptest::option::of(0u64..6_000_000),
        proptest::option::of(0u64..6_000_000),
    );
    let table = several(1u64..6_000_000, 0..20);
    (
        select(&DRIVERS[..]),
        subsequence(governors, 0..=5),
        subsequence(preferences, 0..=5),
        range,
        table,
    )
        .prop_map(
            move |(driver, governors, preferences, (lowest, highest), mut table)| {
                table.sort_unstable();
                let mut policy = policy(driver, &governors, &preferences);
                policy.id = id;
                policy.cpuinfo_min_freq = lowest.map(KiloHertz);
                policy.cpuinfo_max_freq = highest.map(KiloHertz);
                policy.scaling_available_frequencies = table.into_iter().map(KiloHertz).collect();
                policy
            },
        )
}

fn any_machine() -> impl Strategy<Value = Capabilities> {
    (any_policy(0), any_policy(4)).prop_map(|(one, two)| machine(vec![one, two]))
}

#[derive(Clone, Debug)]
struct Moment {
    pause: u64,
    phase: Phase,
    active: u32,
    model: u64,
    tokens: u64,
    depth: u32,
    rate: Option<f32>,
    limit: Option<u64>,
    bios: Option<u64>,
}

fn any_moment() -> impl Strategy<Value = Moment> {
    let phase = prop_oneof![1 => Just(Phase::Idle), 1 => Just(Phase::Prefill), 6 => Just(Phase::Decode)];
    let rate = prop_oneof![
        Just(None),
        Just(Some(f32::NAN)),
        Just(Some(f32::INFINITY)),
        Just(Some(0.0)),
        (0.1f32..500.0).prop_map(Some)
    ];
    let limits = (
        proptest::option::of(0u64..6_000_000),
        proptest::option::of(0u64..6_000_000),
    );
    (
        0u64..600_000,
        phase,
        0u32..5,
        0u64..3,
        0u64..200,
        (0u32..9000, rate),
        limits,
    )
        .prop_map(
            |(pause, phase, active, model, tokens, (depth, rate), (limit, bios))| Moment {
                pause,
                phase,
                active,
                model,
                tokens,
                depth,
                rate,
                limit,
                bios,
            },
        )
}

fn replay(machine: &Capabilities, profile: PowerProfile, loss: f32, moments: &[Moment]) -> Vec<PowerWish> {
    let tuning = Tuning {
        decode_loss: loss,
        ..Tuning::default()
    };
    let mut dvfs = Dvfs::new();
    let (mut at, mut generated) = (0, 0);
    let mut wishes = Vec::new();
    for moment in moments {
        at += moment.pause;
        generated += moment.tokens;
        let mut sample = sample(at, moment.phase);
        sample.policies = vec![PolicySample {
            id: 0,
            scaling_cur_freq: moment.limit.map(KiloHertz),
            scaling_min_freq: None,
            scaling_max_freq: moment.limit.map(KiloHertz),
            bios_limit: moment.bios.map(KiloHertz),
            scaling_governor: None,
            energy_performance_preference: None,
        }];
        let engine = sample.engine.as_mut().unwrap();
        engine.active = moment.active;
        engine.model = moment.model;
        engine.generated = generated;
        engine.kv_tokens = moment.depth;
        engine.tokens_per_second = moment.rate;
        wishes.push(dvfs.step(machine, &tuning, profile, &sample, &Utilisation::default()));
    }
    wishes
}

fn is_offered(machine: &Capabilities, wish: &PowerWish) -> Result<(), TestCaseError> {
    prop_assert_eq!(wish.policies.len(), machine.policies.len());
    for (policy, setpoint) in machine.policies.iter().zip(&wish.policies) {
        prop_assert_eq!(policy.id, setpoint.id);
        if let Some(governor) = &setpoint.scaling_governor {
            prop_assert!(policy.scaling_available_governors.contains(governor));
        }
        if let Some(preference) = &setpoint.energy_performance_preference {
            prop_assert!(
                policy
                    .energy_performance_available_preferences
                    .contains(preference)
            );
        }
        let clocks = [setpoint.scaling_min_freq, setpoint.scaling_max_freq];
        for clock in clocks.into_iter().flatten() {
            prop_assert!(
                policy.cpuinfo_min_freq.is_some_and(|lowest| lowest <= clock),
                "{setpoint:?}"
            );
            prop_assert!(
                policy.cpuinfo_max_freq.is_some_and(|highest| clock <= highest),
                "{setpoint:?}"
            );
            let table = &policy.scaling_available_frequencies;
            let known = table.is_empty() || table.contains(&clock) || policy.cpuinfo_max_freq == Some(clock);
            prop_assert!(known, "{setpoint:?}");
        }
        if let [Some(floor), Some(cap)] = clocks {
            prop_assert!(floor <= cap, "{setpoint:?}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn nothing_is_asked_for_that_is_not_offered(
        machine in any_machine(),
        profile in select(&PowerProfile::ALL[..]),
        loss in prop_oneof![Just(0.03f32), Just(f32::NAN), Just(-1.0), Just(9.0)],
        moments in several(any_moment(), 1..120),
    ) {
        for wish in replay(&machine, profile, loss, &moments) {
            is_offered(&machine, &wish)?;
        }
    }

    #[test]
    fn the_same_history_gives_the_same_wishes(
        machine in any_machine(),
        moments in several(any_moment(), 1..120),
    ) {
        let once = replay(&machine, PowerProfile::Balanced, 0.03, &moments);
        prop_assert_eq!(once, replay(&machine, PowerProfile::Balanced, 0.03, &moments));
    }

    #[test]
    fn prefill_is_never_capped_and_rest_neither(
        machine in any_machine(),
        moments in several(any_moment(), 1..120),
    ) {
        let wishes = replay(&machine, PowerProfile::Balanced, 0.03, &moments);
        for (moment, wish) in moments.iter().zip(wishes) {
            let is_capped = wish.policies.iter().any(|policy| policy.scaling_max_freq.is_some());
            prop_assert!(moment.phase == Phase::Decode || !is_capped);
        }
    }
}
