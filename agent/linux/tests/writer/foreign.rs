//! Other programs that write the same files, and policies that go and come.

use std::fs;

use crate::host::{Machine, POLICY, idle, lines, policy};
use linux::Applied;
use machine::{KiloHertz, PolicySetpoint, Setpoints};

#[test]
fn another_writer_is_told_once_and_not_fought_at_full_speed() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    let (mut told, mut written) = (0, 0);
    for _ in 0..100 {
        machine.write(&format!("{POLICY}/scaling_max_freq"), "3400000");
        let applied = writer.apply(&policy(idle()));
        told += applied.foreign.len();
        written += applied.changes.len();
    }
    assert_eq!(told, 1);
    assert!((5..=12).contains(&written), "{written}");
    let applied = writer.apply(&policy(PolicySetpoint {
        scaling_max_freq: Some(KiloHertz(1_100_000)),
        ..idle()
    }));
    assert_eq!(applied.changes.len(), 1, "a new wish is written at once");
    assert_eq!(machine.policy("scaling_max_freq"), "1100000");
}

#[test]
fn a_policy_that_comes_back_is_driven_again() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    let (here, away) = (machine.path(POLICY), machine.path("away"));
    fs::rename(&here, &away).unwrap();
    let applied = writer.apply(&policy(idle()));
    assert_eq!(applied.problems.len(), 3, "{applied:?}");
    assert!(applied.problems.iter().all(|p| p.problem == "is missing"));

    fs::rename(&away, &here).unwrap();
    machine.write(&format!("{POLICY}/scaling_max_freq"), "3400000");
    let applied = writer.apply(&policy(idle()));
    assert_eq!(lines(&applied), ["scaling_max_freq 3400000 -> 1200000 (1200000)"]);
    assert!(applied.foreign.is_empty(), "it is the driver's own value");
}

#[test]
fn what_is_gone_at_the_end_is_brought_back_by_the_next_writer() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    let (here, away) = (machine.path(POLICY), machine.0.path().join("away"));
    fs::rename(&here, &away).unwrap();
    assert_eq!(writer.restore(), Applied::default());
    assert!(machine.state().exists());
    fs::rename(&away, &here).unwrap();
    let (mut writer, _) = machine.open();
    assert_eq!(writer.restore().changes.len(), 2);
    assert_eq!(machine.content(), before);
    assert!(!machine.state().exists());
}

#[test]
fn what_is_gone_after_a_crash_is_brought_back_when_it_comes() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    drop(writer);
    let (here, away) = (machine.path(POLICY), machine.0.path().join("away"));
    fs::rename(&here, &away).unwrap();
    let (mut writer, applied) = machine.open();
    assert_eq!(applied, Applied::default());
    assert_eq!(writer.apply(&Setpoints::default()), Applied::default());
    fs::rename(&away, &here).unwrap();
    assert_eq!(writer.apply(&Setpoints::default()).changes.len(), 2);
    assert_eq!(machine.content(), before);
    writer.restore();
    assert!(!machine.state().exists());
}

#[test]
fn a_processor_that_is_offline_and_back_is_no_foreign_hand() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    // The kernel answers EBUSY for the files of a policy without processors; here a folder answers EISDIR.
    let max = machine.path(&format!("{POLICY}/scaling_max_freq"));
    let away = machine.path("away");
    fs::rename(&max, &away).unwrap();
    fs::create_dir(&max).unwrap();
    assert_eq!(writer.apply(&policy(idle())).problems.len(), 1);
    fs::remove_dir(&max).unwrap();
    fs::rename(&away, &max).unwrap();
    machine.write(&format!("{POLICY}/scaling_max_freq"), "3000000");
    let applied = writer.apply(&policy(idle()));
    assert_eq!(
        (
            applied.changes.len(),
            applied.foreign.len(),
            applied.problems.len()
        ),
        (1, 0, 0)
    );
    writer.restore();
    assert_eq!(machine.content(), before);
}
