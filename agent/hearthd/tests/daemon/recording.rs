//! What was recorded replays to what was decided.

use crate::rig::{Bus, Hearthd, Machine, Speaker, until};
use api::agent::AgentProxy;
use api::phase::PhaseRecord;
use api::power::Thermal;
use machine::{Decision, Phase};
use nix::sys::signal::Signal;
use std::process::Command;

#[tokio::test]
async fn a_recording_replays_to_the_decisions_that_were_taken() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let file = machine.own("run/all.jsonl");
    let hearthd = Hearthd::start_recording(&bus, &machine, &file);
    let connection = bus.connect().await;
    let engine = Speaker::connect(&machine.own("sockets/phase.sock"));
    let record = PhaseRecord {
        phase: Phase::Prefill,
        active: 1,
        ..PhaseRecord::default()
    };
    engine.say(&record.encode());
    until(&connection, |power| power.reaction_median_usec.is_some()).await;
    let agent = AgentProxy::new(&connection).await.unwrap();
    let taken: Thermal = serde_json::from_str(&agent.thermal().await.unwrap()).unwrap();
    hearthd.stop(Signal::SIGTERM);

    let mut replay = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    let output = replay.args(["replay", "--json"]).arg(&file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let decided: Vec<Decision> = text
        .lines()
        .filter(|line| !line.starts_with("{\"reclaim\":") && !line.starts_with("{\"pressure\":"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(decided.len() >= 2, "{text}");
    assert!(
        text.contains(r#"{"reclaim":{"requests":[],"state":"waiting""#),
        "{text}"
    );
    assert!(text.contains(r#""level":"none""#), "{text}");
    assert!(
        decided.iter().any(|decision| decision.thermal == taken.state),
        "{taken:?}\n{text}"
    );
    let preference = |decision: &Decision| {
        decision.setpoints.policies[0]
            .energy_performance_preference
            .clone()
    };
    assert_eq!(preference(&decided[0]).as_deref(), Some("power"));
    assert_eq!(
        preference(decided.last().unwrap()).as_deref(),
        Some("performance")
    );
}

#[test]
fn a_bad_recording_is_named_with_its_line() {
    let machine = Machine::copy("n100");
    let file = machine.own("run/bad.jsonl");
    std::fs::write(
        &file,
        "{\"wishes\":{\"profile\":\"balanced\",\"target\":null,\"holds\":[]}}\n{}\n",
    )
    .unwrap();
    let mut replay = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    let output = replay.arg("replay").arg(&file).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains("bad.jsonl") && error.contains("line 2 is no record"),
        "{error}"
    );
}

#[test]
fn a_machine_is_recorded_for_a_while_and_told_as_a_table() {
    let machine = Machine::copy("n100");
    let file = machine.own("run/idle.jsonl");
    let mut record = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    record
        .args(["record", "--seconds", "0", "--root"])
        .arg(machine.root())
        .arg(&file);
    assert!(record.status().unwrap().success());
    let mut replay = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    let output = replay.arg("replay").arg(&file).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("heat") && table.contains("balanced"), "{table}");
}
