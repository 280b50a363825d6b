//! hearthd on a bus of its own: what it answers, tells, logs and gives up.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only test functions unwrap, not what they share"
)]

mod engine;
mod heat;
mod holds;
mod memory;
mod recording;
mod rig;
mod unit;

use api::agent::{AgentProxy, ControlProxy};
use api::samples::{Row, Samples};
use futures_util::StreamExt;
use machine::{BootTime, Capabilities, MilliCelsius, Sample};
use nix::sys::signal::Signal;
use rig::{Bus, Hearthd, Machine, timely};
use std::collections::HashMap;
use std::fs;
use zbus::fdo::{PropertiesChangedStream, PropertiesProxy};
use zbus::names::InterfaceName;
use zbus::{Connection, OwnedVariant};

const ZONE: &str = "sys/class/thermal/thermal_zone0";

/// A machine with one zone and some memory.
fn small_machine() -> Machine {
    let machine = Machine::empty();
    machine.set(&format!("{ZONE}/type"), "acpitz\n");
    machine.set(&format!("{ZONE}/temp"), "40000\n");
    machine.set("proc/meminfo", "MemTotal: 8000 kB\nMemAvailable: 6000 kB\n");
    machine
}

async fn properties(connection: &Connection) -> PropertiesProxy<'_> {
    PropertiesProxy::new(connection, "org.hearth.Agent1", "/org/hearth/Agent1")
        .await
        .unwrap()
}

async fn all(properties: &PropertiesProxy<'_>) -> HashMap<String, OwnedVariant> {
    let interface = InterfaceName::from_static_str("org.hearth.Agent1").unwrap();
    properties.get_all(interface).await.unwrap()
}

fn number(value: &OwnedVariant) -> u64 {
    u64::try_from(value.try_clone().unwrap()).unwrap()
}

/// The names of the properties in the next signal.
async fn changed(signals: &mut PropertiesChangedStream) -> Vec<String> {
    let signal = timely(signals.next()).await.unwrap();
    let names = signal.args().unwrap();
    let mut names: Vec<_> = names
        .changed_properties()
        .keys()
        .map(|name| (*name).to_owned())
        .collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn what_the_machine_showed_is_told() {
    let bus = Bus::start();
    let machine = small_machine();
    let _hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    let agent = AgentProxy::new(&connection).await.unwrap();
    let refused = agent.samples(0).await.unwrap_err().to_string();
    assert!(refused.contains("604800"), "{refused}");
    let samples: Samples = serde_json::from_str(&agent.samples(600).await.unwrap()).unwrap();
    assert_eq!((samples.step_seconds, samples.columns.len()), (60, 7));
    let row = Row::from(*samples.rows.last().unwrap());
    assert_eq!((row.temperature, row.power, row.phase), (Some(40.0), None, None));
    assert_eq!(row.memory_used, Some(2_048_000.0));
}

#[tokio::test]
async fn a_sample_and_the_capabilities_come_over_the_bus() {
    let bus = Bus::start();
    let machine = Machine::copy("n100");
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    let agent = AgentProxy::new(&connection).await.unwrap();

    let sample: Sample = serde_json::from_str(&agent.sample().await.unwrap()).unwrap();
    assert_eq!(sample.zones[0].temp, Some(MilliCelsius(27_800)));
    assert!(sample.at_usec > BootTime(0));
    let found: Capabilities = serde_json::from_str(&agent.capabilities().await.unwrap()).unwrap();
    assert_eq!(found.features.model_name.as_deref(), Some("Intel(R) N100"));
    assert_eq!(agent.version().await.unwrap(), env!("CARGO_PKG_VERSION"));

    let all = all(&properties(&connection).await).await;
    assert_eq!(number(&all["MemoryTotal"]), 7_896_652 * 1024);
    assert_eq!(number(&all["SampleInterval"]), 60_000);
    assert_eq!(all["ZoneTemperatures"].value_signature().to_string(), "a(si)");
    assert_eq!(all["PolicyFrequencies"].value_signature().to_string(), "a(ut)");
    hearthd.stop(Signal::SIGTERM);
}

#[tokio::test]
async fn what_could_not_be_read_is_absent_and_never_zero() {
    let bus = Bus::start();
    let machine = Machine::copy("bad-firmware");
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    let all = all(&properties(&connection).await).await;
    assert!(
        !all.contains_key("MemoryTotal") && !all.contains_key("MemoryAvailable"),
        "{all:?}"
    );
    assert!(all.contains_key("WarningCount"), "{all:?}");
    hearthd.stop(Signal::SIGINT);
}

#[tokio::test]
async fn only_what_changes_is_signalled() {
    let (bus, machine) = (Bus::start(), small_machine());
    let hearthd = Hearthd::start(&bus, &machine, 250);
    let connection = bus.connect().await;
    let mut signals = properties(&connection)
        .await
        .receive_properties_changed()
        .await
        .unwrap();

    // Many samples pass between the two: if an unchanged one were told, its signal would come before the second.
    machine.set(&format!("{ZONE}/temp"), "41000\n");
    assert_eq!(changed(&mut signals).await, ["ZoneTemperatures"]);
    next_samples(&connection, 3).await;
    machine.set("proc/meminfo", "MemTotal: 8000 kB\nMemAvailable: 5000 kB\n");
    assert_eq!(changed(&mut signals).await, ["MemoryAvailable"]);
    hearthd.stop(Signal::SIGTERM);
}

/// Calls that need no new sample come faster than any step: they must not put the next one off.
#[tokio::test]
async fn a_flood_of_calls_starves_no_step() {
    let (bus, machine) = (Bus::start(), small_machine());
    let hearthd = Hearthd::start(&bus, &machine, 250);
    let connection = bus.connect().await;
    let agent = AgentProxy::new(&connection).await.unwrap();
    let mut signals = properties(&connection)
        .await
        .receive_properties_changed()
        .await
        .unwrap();
    machine.set(&format!("{ZONE}/temp"), "41000\n");
    let flood = async {
        loop {
            agent.capabilities().await.unwrap();
        }
    };
    tokio::select! {
        () = flood => {}
        names = changed(&mut signals) => assert_eq!(names, ["ZoneTemperatures"]),
    }
    hearthd.stop(Signal::SIGTERM);
}

/// Returns once so many further samples have been taken.
async fn next_samples(connection: &Connection, count: usize) {
    let agent = AgentProxy::new(connection).await.unwrap();
    let mut seen = BootTime(0);
    for _ in 0..=count {
        seen = timely(newer(&agent, seen)).await;
    }
}

async fn newer(agent: &AgentProxy<'_>, than: BootTime) -> BootTime {
    loop {
        let sample: Sample = serde_json::from_str(&agent.sample().await.unwrap()).unwrap();
        if sample.at_usec > than {
            return sample.at_usec;
        }
    }
}

#[tokio::test]
async fn a_problem_is_logged_once_and_so_is_its_end() {
    let (bus, machine) = (Bus::start(), small_machine());
    let hearthd = Hearthd::start(&bus, &machine, 250);
    let connection = bus.connect().await;
    let mut signals = properties(&connection)
        .await
        .receive_properties_changed()
        .await
        .unwrap();

    machine.set(&format!("{ZONE}/temp"), "-274000\n");
    assert_eq!(changed(&mut signals).await, ["WarningCount", "ZoneTemperatures"]);
    next_samples(&connection, 3).await;
    machine.set(&format!("{ZONE}/temp"), "42000\n");
    assert_eq!(changed(&mut signals).await, ["WarningCount", "ZoneTemperatures"]);

    let log = hearthd.stop(Signal::SIGTERM);
    let lines = |word: &str| {
        log.lines()
            .filter(|line| line.contains(ZONE) && line.contains(word))
            .count()
    };
    assert_eq!((lines("-274.0"), lines("can be read again")), (1, 1), "{log}");
}

#[tokio::test]
async fn the_interval_is_set_within_its_range_and_whoever_sets_it_is_logged() {
    let bus = Bus::start();
    let machine = Machine::copy("qemu");
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    let control = ControlProxy::new(&connection).await.unwrap();
    let properties = properties(&connection).await;
    let mut signals = properties.receive_properties_changed().await.unwrap();

    for bad in [0, 249, 3_600_001, u64::MAX] {
        let error = control.set_sample_interval(bad).await.unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("org.freedesktop.DBus.Error.InvalidArgs"),
            "{error}"
        );
        assert!(error.ends_with(&format!("not {bad}")), "{error}");
    }
    control.set_sample_interval(1000).await.unwrap();
    assert_eq!(changed(&mut signals).await, ["SampleInterval"]);
    assert_eq!(number(&all(&properties).await["SampleInterval"]), 1000);

    let log = hearthd.stop(Signal::SIGTERM);
    let uid = format!("uid={}", nix::unistd::getuid());
    let line = log.lines().find(|line| line.contains("set to 1000 ms")).unwrap();
    assert!(line.contains(&uid) && line.contains("before_ms=60000"), "{line}");
}

#[tokio::test]
async fn no_capability_is_left() {
    let bus = Bus::start();
    let machine = Machine::copy("qemu");
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let status = fs::read_to_string(format!("/proc/{}/status", hearthd.pid())).unwrap();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
    };
    for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!((field("NoNewPrivs:"), field("Threads:")), ("1", "1"));
    if nix::unistd::getuid().is_root() {
        assert_eq!(field("CapBnd:"), "0000000000000000");
    }
    hearthd.stop(Signal::SIGTERM);
}

#[tokio::test]
async fn the_service_manager_is_told_that_the_loop_turns() {
    let bus = Bus::start();
    let machine = Machine::copy("qemu");
    let mut hearthd = Hearthd::start_watched(&bus, &machine, 60_000, 50_000);
    hearthd.wait_for("WATCHDOG=1");
    hearthd.wait_for("WATCHDOG=1");
    hearthd.stop(Signal::SIGTERM);
}

#[test]
fn without_a_bus_it_says_so_and_fails() {
    let machine = Machine::copy("qemu");
    let output = Hearthd::run_to_end("unix:path=/nowhere/bus", &machine);
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(
        log.contains("cannot connect to the bus at unix:path=/nowhere/bus"),
        "{log}"
    );
}

#[test]
fn two_of_them_do_not_share_a_name() {
    let bus = Bus::start();
    let machine = Machine::copy("qemu");
    let first = Hearthd::start(&bus, &machine, 60_000);
    let machine = Machine::copy("qemu");
    let output = Hearthd::run_to_end(&bus.address, &machine);
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("cannot own org.hearth.Agent1"), "{log}");
    first.stop(Signal::SIGTERM);
}

#[test]
fn a_lost_bus_ends_it_with_an_error() {
    let bus = Bus::start();
    let machine = Machine::copy("qemu");
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    drop(bus);
    let (code, log) = hearthd.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the bus has closed the connection"), "{log}");
}
