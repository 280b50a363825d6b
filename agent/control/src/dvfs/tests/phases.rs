use super::*;
use crate::dvfs::{Dvfs, PowerWish};
use crate::utilisation::Utilisation;
use machine::{BoostSwitch, PolicySetpoint, PowerProfile, Tuning};

const GOVERNORS: &[&str] = &[
    "conservative",
    "ondemand",
    "powersave",
    "performance",
    "schedutil",
];
const PREFERENCES: &[&str] = &[
    "default",
    "performance",
    "balance_performance",
    "balance_power",
    "power",
];

fn wish(machine: &Capabilities, profile: PowerProfile, sample: &Sample, busy: f64) -> PowerWish {
    let utilisation = Utilisation::of([(0, busy)]);
    Dvfs::new().step(machine, &Tuning::default(), profile, sample, &utilisation)
}

fn first(machine: &Capabilities, phase: Phase) -> PolicySetpoint {
    wish(machine, PowerProfile::Balanced, &sample(9_000_000, phase), 0.0)
        .policies
        .remove(0)
}

fn words(setpoint: &PolicySetpoint) -> (Option<&str>, Option<&str>) {
    let preference = setpoint.energy_performance_preference.as_deref();
    (setpoint.scaling_governor.as_deref(), preference)
}

#[test]
fn active_drivers_get_powersave_and_a_preference() {
    for driver in ["intel_pstate", "amd-pstate-epp"] {
        let machine = machine(vec![policy(driver, &["performance", "powersave"], PREFERENCES)]);
        for phase in [Phase::Loading, Phase::Prefill, Phase::Decode] {
            let setpoint = first(&machine, phase);
            assert_eq!(
                words(&setpoint),
                (Some("powersave"), Some("performance")),
                "{driver} {phase:?}"
            );
        }
        assert_eq!(
            words(&first(&machine, Phase::Idle)),
            (Some("powersave"), Some("power"))
        );
    }
}

#[test]
fn all_other_drivers_get_governors_and_no_preference() {
    for driver in [
        "acpi-cpufreq",
        "intel_cpufreq",
        "amd-pstate",
        "cppc_cpufreq",
        "cpufreq-dt",
    ] {
        let machine = machine(vec![policy(driver, GOVERNORS, &[])]);
        for phase in [Phase::Loading, Phase::Prefill, Phase::Decode] {
            assert_eq!(
                words(&first(&machine, phase)),
                (Some("performance"), None),
                "{driver} {phase:?}"
            );
        }
        assert_eq!(words(&first(&machine, Phase::Idle)), (Some("schedutil"), None));
    }
}

#[test]
fn where_a_word_is_not_offered_the_next_best_is_said() {
    // intel_pstate without HWP has no preferences: its governors are what steers.
    let old = machine(vec![policy("intel_pstate", &["performance", "powersave"], &[])]);
    assert_eq!(words(&first(&old, Phase::Prefill)), (Some("performance"), None));
    assert_eq!(words(&first(&old, Phase::Idle)), (Some("powersave"), None));
    let none = machine(vec![policy("cpufreq-dt", &[], &[])]);
    assert_eq!(words(&first(&none, Phase::Prefill)), (None, None));
    // Without `performance` the floor is raised instead.
    let following = machine(vec![policy("cpufreq-dt", &["ondemand"], &[])]);
    let setpoint = first(&following, Phase::Prefill);
    assert_eq!(words(&setpoint), (Some("ondemand"), None));
    assert_eq!(setpoint.scaling_min_freq, Some(KiloHertz(3_400_000)));
    // Where nothing follows the load, `powersave` is for when there is none.
    let fixed = machine(vec![policy("cpufreq-dt", &["performance", "powersave"], &[])]);
    let resting = |busy| {
        let sample = sample(9_000_000, Phase::Idle);
        wish(&fixed, PowerProfile::Balanced, &sample, busy)
            .policies
            .remove(0)
    };
    assert_eq!(words(&resting(0.0)).0, Some("powersave"));
    assert_eq!(
        words(&resting(0.9)).0,
        Some("performance"),
        "other work is not starved"
    );
}

#[test]
fn other_work_finds_its_clock_while_the_engine_rests() {
    let machine = machine(vec![policy(
        "intel_pstate",
        &["performance", "powersave"],
        PREFERENCES,
    )]);
    let resting = sample(9_000_000, Phase::Idle);
    for (busy, preference) in [(0.0, "power"), (0.9, "balance_performance")] {
        let setpoint = wish(&machine, PowerProfile::Balanced, &resting, busy)
            .policies
            .remove(0);
        assert_eq!(words(&setpoint).1, Some(preference));
        assert_eq!(
            (setpoint.scaling_min_freq, setpoint.scaling_max_freq),
            (None, None)
        );
    }
}

#[test]
fn a_phase_acts_in_the_step_that_it_is_seen_in() {
    let machine = machine(vec![policy("acpi-cpufreq", GOVERNORS, &[])]);
    let mut dvfs = Dvfs::new();
    let mut at = 1_000_000;
    let mut governor = |phase| {
        at += 1000;
        let sample = sample(at, phase);
        let wish = dvfs.step(
            &machine,
            &Tuning::default(),
            PowerProfile::Balanced,
            &sample,
            &Utilisation::default(),
        );
        wish.policies[0].scaling_governor.clone().unwrap()
    };
    for _ in 0..3 {
        assert_eq!(governor(Phase::Idle), "schedutil");
        assert_eq!(governor(Phase::Prefill), "performance");
        assert_eq!(governor(Phase::Idle), "schedutil");
        assert_eq!(governor(Phase::Loading), "performance");
    }
}

#[test]
fn an_announcement_lifts_the_clock_until_the_engine_speaks_or_it_is_old() {
    let machine = machine(vec![policy("acpi-cpufreq", GOVERNORS, &[])]);
    let governor = |sample: &Sample| {
        let wish = wish(&machine, PowerProfile::Balanced, sample, 0.0);
        (wish.policies[0].scaling_governor.clone().unwrap(), wish.wake_at)
    };
    let announced = |at, engine: Option<u64>| Sample {
        at_usec: BootTime(at),
        announced_at_usec: Some(BootTime(5_000_000)),
        engine: engine.and_then(|at| sample(at, Phase::Idle).engine),
        ..Sample::default()
    };
    let full = ("performance".to_owned(), Some(BootTime(15_000_000)));
    assert_eq!(
        governor(&announced(5_000_000, None)),
        full,
        "an engine that does not run yet"
    );
    assert_eq!(governor(&announced(14_999_999, Some(4_000_000))), full);
    assert_eq!(
        governor(&announced(6_000_000, Some(5_500_000))).0,
        "schedutil",
        "it has spoken since"
    );
    assert_eq!(
        governor(&announced(15_000_000, None)),
        ("schedutil".to_owned(), None)
    );
}

#[test]
fn a_queue_is_work_and_a_silent_engine_is_none() {
    let machine = machine(vec![policy("acpi-cpufreq", GOVERNORS, &[])]);
    let governor = |sample: &Sample| {
        let wish = wish(&machine, PowerProfile::Balanced, sample, 0.0);
        wish.policies[0].scaling_governor.clone().unwrap()
    };
    let mut queued = sample(9_000_000, Phase::Idle);
    queued.engine.as_mut().unwrap().queue_depth = 1;
    assert_eq!(governor(&queued), "performance");
    let mut silent = sample(9_000_000, Phase::Prefill);
    silent.at_usec = BootTime(13_999_999);
    assert_eq!(governor(&silent), "performance");
    silent.at_usec = BootTime(14_000_000);
    assert_eq!(governor(&silent), "schedutil");
}

#[test]
fn profiles_cap_or_lift() {
    let mut machine = machine(vec![policy("acpi-cpufreq", GOVERNORS, &[])]);
    machine.boost = Some(BoostSwitch::CpufreqBoost);
    machine.platform_profile_choices = vec!["quiet".into(), "balanced".into(), "performance".into()];
    let under = |profile, phase| wish(&machine, profile, &sample(9_000_000, phase), 0.0);
    let saver = under(PowerProfile::PowerSaver, Phase::Prefill);
    let cap = saver.policies[0].scaling_max_freq.unwrap();
    assert!((1_800_000..=2_041_000).contains(&cap.0), "{cap:?}");
    assert_eq!(
        (saver.boost, saver.platform_profile.as_deref()),
        (Some(false), Some("quiet"))
    );
    let balanced = under(PowerProfile::Balanced, Phase::Prefill);
    assert_eq!(
        (balanced.boost, balanced.platform_profile.as_deref()),
        (None, Some("balanced"))
    );
    let performance = under(PowerProfile::Performance, Phase::Decode);
    assert_eq!(performance.platform_profile.as_deref(), Some("performance"));
    assert_eq!(performance.policies[0].scaling_max_freq, None, "no sweep");
    machine.policies[0].base_frequency = Some(KiloHertz(1_500_000));
    machine.platform_profile_choices = vec!["custom".into()];
    let saver = wish(
        &machine,
        PowerProfile::PowerSaver,
        &sample(9_000_000, Phase::Idle),
        0.0,
    );
    let cap = saver.policies[0].scaling_max_freq.unwrap();
    assert!((1_300_000..=1_501_000).contains(&cap.0), "{cap:?}");
    assert_eq!(saver.platform_profile, None, "not offered");
}
