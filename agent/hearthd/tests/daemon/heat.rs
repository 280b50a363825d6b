//! Heat that the clock cannot hold: the machine is powered off in order, and the next start says why.

use crate::rig::{Bus, Hearthd, Machine};
use nix::sys::signal::Signal;
use std::fs;

#[tokio::test]
async fn the_next_start_says_why_the_machine_was_powered_off() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let kept = r#"{"at":"2026-11-22T01:02:03Z","reason":"it was 104.0 °C hot"}"#;
    fs::write(machine.own("state/power-off.json"), kept).unwrap();
    let told = "The machine was powered off at 2026-11-22T01:02:03Z because it was 104.0 °C hot";
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let log = hearthd.stop(Signal::SIGTERM);
    assert!(log.contains(told), "{log}");
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let log = hearthd.stop(Signal::SIGTERM);
    assert!(!log.contains(told), "once is enough: {log}");
}
