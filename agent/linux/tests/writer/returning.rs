//! First-seen values come back: when a wish ends, at a clean end, and after a crash.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::host::{Machine, POLICY, idle, policy, without_capabilities};
use linux::Applied;
use machine::{KiloHertz, PolicySetpoint, Setpoints};

#[test]
fn a_wish_that_ends_returns_the_first_seen_value() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    let applied = writer.apply(&Setpoints::default());
    assert_eq!(applied.changes.len(), 2, "{applied:?}");
    assert_eq!(machine.content(), before);
    // Nobody holds it now, so that others may do as they like.
    machine.write(&format!("{POLICY}/scaling_max_freq"), "2000000");
    assert_eq!(writer.apply(&Setpoints::default()), Applied::default());
}

#[test]
fn a_clean_end_leaves_nothing_behind() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    assert!(machine.state().exists());
    assert_eq!(writer.restore().changes.len(), 2);
    assert_eq!(machine.content(), before);
    assert!(!machine.state().exists());
}

#[test]
fn a_crash_is_made_good_at_the_next_start() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    drop(writer);
    assert_ne!(machine.content(), before);

    let (mut writer, applied) = machine.open();
    assert_eq!((applied, writer.inherited()), (Applied::default(), 3));
    assert_ne!(
        machine.content(),
        before,
        "nothing is freed before the first wish"
    );
    let applied = writer.apply(&Setpoints::default());
    assert_eq!(applied.changes.len(), 2, "{applied:?}");
    assert!(applied.problems.is_empty() && applied.foreign.is_empty());
    assert_eq!(machine.content(), before);
    assert_eq!(writer.apply(&policy(idle())).changes.len(), 2, "and afresh");
    writer.restore();
    assert_eq!(machine.content(), before);
    assert!(!machine.state().exists());
}

#[test]
fn a_cap_that_outlived_a_crash_is_not_lifted_by_the_next_start() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    drop(writer);
    let (mut writer, _) = machine.open();
    let capped = |max| PolicySetpoint {
        scaling_max_freq: Some(KiloHertz(max)),
        ..PolicySetpoint::default()
    };
    let applied = writer.apply(&policy(capped(900_000)));
    let maxima: Vec<_> = applied
        .changes
        .iter()
        .filter(|change| change.path.ends_with("max_freq"))
        .collect();
    assert_eq!(maxima.len(), 1, "straight from one cap to the next: {applied:?}");
    assert_eq!((&*maxima[0].before, &*maxima[0].after), ("1200000", "900000"));
    assert_eq!(
        machine.policy("energy_performance_preference"),
        "balance_performance",
        "no longer wished"
    );
    writer.restore();
    assert_eq!(machine.policy("scaling_max_freq"), "3400000");
}

#[test]
fn first_seen_values_are_stored_before_the_first_write() {
    let machine = Machine::new();
    // No file can be written: were the values stored afterwards, they would not be there.
    let max = machine.path(&format!("{POLICY}/scaling_max_freq"));
    let mut writer = machine.writer();
    fs::remove_file(machine.path(&format!("{POLICY}/cpuinfo_max_freq"))).unwrap();
    let applied = writer.apply(&policy(PolicySetpoint {
        scaling_max_freq: Some(KiloHertz(1_000_000)),
        ..PolicySetpoint::default()
    }));
    assert!(applied.changes.is_empty());
    assert!(
        applied.problems[0].path.ends_with("cpuinfo_max_freq"),
        "{applied:?}"
    );
    let stored = fs::read_to_string(machine.state()).unwrap();
    assert!(
        stored.contains("scaling_max_freq") && stored.contains("3400000"),
        "{stored}"
    );
    assert_eq!(fs::read_to_string(max).unwrap(), "3400000\n");
}

#[test]
fn a_state_file_that_makes_no_sense_is_set_aside() {
    let machine = Machine::new();
    fs::write(machine.state(), "{\"version\":1,").unwrap();
    let (mut writer, applied) = machine.open();
    assert_eq!(applied.problems.len(), 1);
    assert!(
        applied.problems[0].problem.contains("first-seen.json.corrupt"),
        "{applied:?}"
    );
    assert!(!machine.state().exists());
    assert!(machine.0.path().join("first-seen.json.corrupt").exists());
    assert_eq!(writer.apply(&policy(idle())).changes.len(), 2);
}

#[test]
fn what_refuses_at_the_end_is_brought_back_by_the_next_writer() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    let max = machine.path(&format!("{POLICY}/scaling_max_freq"));
    let allow = |mode| fs::set_permissions(&max, Permissions::from_mode(mode)).unwrap();
    allow(0o444);
    let restored = without_capabilities(|| writer.restore());
    assert_eq!((restored.changes.len(), restored.problems.len()), (1, 1));
    assert!(machine.state().exists());
    allow(0o644);
    let (mut writer, _) = machine.open();
    assert_eq!(writer.restore().changes.len(), 1);
    assert_eq!(machine.content(), before);
    assert!(!machine.state().exists());
}

#[test]
fn a_machine_throttled_by_firmware_does_not_stay_slow() {
    let machine = Machine::new();
    for file in ["bios_limit", "scaling_max_freq"] {
        machine.write(&format!("{POLICY}/{file}"), "2000000");
    }
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    writer.restore();
    // The kernel would show 2 GHz for as long as the firmware says so; a plain file cannot.
    assert_eq!(machine.policy("scaling_max_freq"), "3400000");
}

#[test]
fn a_preference_that_the_governor_held_returns_as_soon_as_it_can() {
    let machine = Machine::new();
    let before = machine.content();
    machine.writer().apply(&policy(PolicySetpoint {
        energy_performance_preference: Some("power".into()),
        ..PolicySetpoint::default()
    }));
    // hearthd was killed: what it wrote last is not known.
    let mut writer = machine.open().0;
    let performance = policy(PolicySetpoint {
        scaling_governor: Some("performance".into()),
        ..PolicySetpoint::default()
    });
    for _ in 0..3 {
        assert_eq!(writer.apply(&performance).problems, []);
        assert_eq!(machine.policy("energy_performance_preference"), "power", "held");
    }
    writer.apply(&Setpoints::default());
    assert_eq!(machine.content(), before, "at the first call that lets it");
}

#[test]
fn a_preference_that_anothers_governor_holds_at_the_end_is_brought_back_by_the_next_writer() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(PolicySetpoint {
        energy_performance_preference: Some("power".into()),
        ..PolicySetpoint::default()
    }));
    let governor = format!("{POLICY}/scaling_governor");
    machine.write(&governor, "performance");
    assert_eq!(writer.restore().problems, []);
    assert!(machine.state().exists(), "its first-seen value is kept");

    machine.write(&governor, "powersave");
    let mut next = machine.open().0;
    assert_eq!(next.restore().problems, []);
    assert_eq!(machine.content(), before);
    assert!(!machine.state().exists());
}
