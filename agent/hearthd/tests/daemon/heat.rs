//! Heat that the clock cannot hold: the machine is powered off in order, and the next start says why.

use crate::rig::{Bus, Hearthd, Machine, settings, until};
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

/// There is no systemd on the test's bus to carry it out; what it would be asked is told where it is asked.
#[tokio::test]
async fn heat_that_nothing_holds_ends_in_an_orderly_power_off_that_leaves_the_clock_low() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let first = settings(&machine);
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    for zone in [1, 2] {
        machine.set(&format!("sys/class/thermal/thermal_zone{zone}/temp"), "104000\n");
    }
    for channel in 1..=5 {
        machine.set(&format!("sys/class/hwmon/hwmon2/temp{channel}_input"), "104000\n");
    }
    let connection = bus.connect().await;
    until(&connection, |_| machine.own("state/power-off.json").exists()).await;
    let log = hearthd.stop(Signal::SIGTERM);
    assert_eq!(log.matches("powering the machine off").count(), 1, "{log}");
    assert_ne!(settings(&machine), first, "a machine that is too hot stays slow");

    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let log = hearthd.stop(Signal::SIGTERM);
    assert!(log.contains("The machine was powered off at"), "{log}");
}
