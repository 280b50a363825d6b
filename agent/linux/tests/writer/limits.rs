//! What is refused or clamped, since the machine does not offer it.

use std::fs;

use crate::host::{Machine, POLICY, idle, lines, policy};
use linux::Applied;
use machine::{KiloHertz, PolicySetpoint, Setpoints};

#[test]
fn the_range_is_the_hardwares() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    writer.apply(&policy(PolicySetpoint {
        scaling_min_freq: Some(KiloHertz(1)),
        scaling_max_freq: Some(KiloHertz(u64::MAX)),
        ..PolicySetpoint::default()
    }));
    assert_eq!(machine.policy("scaling_min_freq"), "700000");
    assert_eq!(machine.policy("scaling_max_freq"), "3400000");
}

#[test]
fn what_is_not_on_offer_is_refused_by_name_every_time() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    let wish = policy(PolicySetpoint {
        scaling_governor: Some("schedutil".into()),
        energy_performance_preference: Some("warp".into()),
        ..PolicySetpoint::default()
    });
    for _ in 0..5 {
        let applied = writer.apply(&wish);
        assert!(applied.changes.is_empty());
        let told: Vec<_> = applied.problems.iter().map(|p| p.problem.as_str()).collect();
        assert_eq!(
            told[0],
            "cannot be \"schedutil\": this machine offers performance powersave"
        );
        assert!(told[1].starts_with("cannot be \"warp\""), "{told:?}");
    }
    assert_eq!(machine.policy("scaling_governor"), "powersave");
}

#[test]
fn the_governor_performance_allows_no_other_preference() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    let fast = PolicySetpoint {
        scaling_governor: Some("performance".into()),
        ..idle()
    };
    let applied = writer.apply(&policy(fast.clone()));
    assert_eq!(
        lines(&applied),
        ["scaling_governor powersave -> performance (performance)"]
    );
    // The driver sets the preference along with the governor.
    machine.write(&format!("{POLICY}/energy_performance_preference"), "performance");
    let applied = writer.apply(&policy(fast));
    assert!(
        applied.problems[0].problem.contains("governor performance"),
        "{applied:?}"
    );
    assert!(applied.foreign.is_empty());
    // Nothing is wished of the preference any more: that it cannot return yet is no fault.
    let fixed = PolicySetpoint {
        scaling_governor: Some("performance".into()),
        ..PolicySetpoint::default()
    };
    assert!(writer.apply(&policy(fixed)).problems.is_empty());
    assert!(writer.restore().problems.is_empty());
    assert_eq!(
        machine.content(),
        before,
        "the governor first, then the preference"
    );
}

#[test]
fn nothing_is_created() {
    let machine = Machine::new();
    for file in [
        "scaling_governor",
        "energy_performance_preference",
        "scaling_max_freq",
    ] {
        fs::remove_file(machine.path(&format!("{POLICY}/{file}"))).unwrap();
    }
    let before = machine.content();
    let mut writer = machine.writer();
    let applied = writer.apply(&policy(idle()));
    assert_eq!((applied.changes.len(), applied.problems.len()), (0, 3));
    assert_eq!(writer.restore(), Applied::default());
    assert_eq!(machine.content(), before);
}

#[test]
fn a_profile_that_cannot_be_chosen_again_is_left_alone() {
    let machine = Machine::new();
    machine.write("sys/firmware/acpi/platform_profile", "custom");
    machine.write("sys/firmware/acpi/platform_profile_choices", "low-power balanced");
    let mut writer = machine.writer();
    let applied = writer.apply(&Setpoints {
        platform_profile: Some("low-power".into()),
        ..Setpoints::default()
    });
    assert!(applied.changes.is_empty());
    assert!(applied.problems[0].problem.contains("\"custom\""), "{applied:?}");
}

#[test]
fn a_machine_without_a_switch_for_boost_says_so() {
    let machine = Machine::new();
    fs::remove_file(machine.path("sys/devices/system/cpu/intel_pstate/no_turbo")).unwrap();
    let applied = machine.writer().apply(&Setpoints {
        boost: Some(true),
        ..Setpoints::default()
    });
    assert_eq!(applied.problems.len(), 1);
}
