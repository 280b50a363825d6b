//! What is written, and in which order.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::host::{Machine, POLICY, idle, lines, policy, without_capabilities};
use linux::{Applied, Change};
use machine::{KiloHertz, MicroWatts, PolicySetpoint, PowerLimit, PowerSetpoint, Setpoints};

#[test]
fn only_what_differs_is_written_and_told() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    let applied = writer.apply(&policy(idle()));
    assert_eq!(
        lines(&applied),
        [
            "energy_performance_preference balance_performance -> power (power)",
            "scaling_max_freq 3400000 -> 1200000 (1200000)",
        ]
    );
    assert!(applied.problems.is_empty() && applied.foreign.is_empty());
    assert_eq!(
        writer.apply(&policy(idle())),
        Applied::default(),
        "a repeated wish changes nothing"
    );
}

#[test]
fn limits_never_cross_each_other() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    let mut pin = |clock| {
        let applied = writer.apply(&policy(PolicySetpoint {
            scaling_min_freq: Some(KiloHertz(clock)),
            scaling_max_freq: Some(KiloHertz(clock)),
            ..PolicySetpoint::default()
        }));
        let name = |change: &Change| change.path.rsplit('_').nth(1).unwrap().to_owned();
        applied.changes.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(pin(2_000_000), ["min", "max"], "falling: the minimum first");
    assert_eq!(pin(1_000_000), ["min", "max"]);
    assert_eq!(pin(3_000_000), ["max", "min"], "rising: the maximum first");
    assert_eq!(lines(&writer.restore()).len(), 2);
}

#[test]
fn files_that_refuse_do_not_keep_others_from_being_written() {
    let machine = Machine::new();
    let preference = machine.path(&format!("{POLICY}/energy_performance_preference"));
    fs::set_permissions(&preference, Permissions::from_mode(0o444)).unwrap();
    let mut writer = machine.writer();
    let applied = without_capabilities(|| writer.apply(&policy(idle())));
    assert_eq!(lines(&applied), ["scaling_max_freq 3400000 -> 1200000 (1200000)"]);
    assert_eq!(applied.problems.len(), 1);
    let problem = &applied.problems[0].problem;
    assert!(
        problem.starts_with("cannot be set to \"power\": Permission denied"),
        "{problem}"
    );
}

#[test]
fn boost_the_platform_profile_and_power_limits_are_written_too() {
    let machine = Machine::new();
    machine.write("sys/firmware/acpi/platform_profile", "balanced");
    machine.write(
        "sys/firmware/acpi/platform_profile_choices",
        "low-power balanced performance",
    );
    let limit = "sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw";
    machine.write(limit, "15000000");
    machine.write(
        "sys/class/powercap/intel-rapl:0/constraint_0_max_power_uw",
        "20000000",
    );
    let before = machine.content();
    let mut writer = machine.writer();
    let applied = writer.apply(&Setpoints {
        boost: Some(false),
        platform_profile: Some("low-power".into()),
        powercap: vec![PowerSetpoint {
            id: "intel-rapl:0".into(),
            limits: vec![PowerLimit {
                constraint: 0,
                power_limit_uw: Some(MicroWatts(25_000_000)),
            }],
        }],
        ..Setpoints::default()
    });
    assert_eq!(
        lines(&applied),
        [
            "no_turbo 0 -> 1 (1)",
            "platform_profile balanced -> low-power (low-power)",
            "constraint_0_power_limit_uw 15000000 -> 20000000 (20000000)",
        ]
    );
    assert_eq!(writer.restore().problems, []);
    assert_eq!(machine.content(), before);
}

#[test]
fn a_state_that_cannot_be_stored_is_told_and_the_machine_is_cooled_all_the_same() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    // Where the temporary file would be, there is a folder.
    fs::create_dir(machine.0.path().join("first-seen.json.new")).unwrap();
    let applied = writer.apply(&policy(idle()));
    assert_eq!(
        (applied.changes.len(), applied.problems.len()),
        (2, 1),
        "{applied:?}"
    );
    fs::remove_dir(machine.0.path().join("first-seen.json.new")).unwrap();
    assert_eq!(writer.apply(&policy(idle())), Applied::default(), "stored now");
    assert!(machine.state().exists());
    writer.restore();
    assert_eq!(machine.content(), before);
}
