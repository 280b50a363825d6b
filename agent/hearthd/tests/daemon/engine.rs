//! The engine's word and the gateway's, and what becomes of the machine's files.

use crate::rig::{Bus, Hearthd, Machine, Speaker, power, settings, until};
use api::agent::{AgentProxy, ControlProxy};
use api::engine::Engine;
use api::phase::{ARRIVAL, EngineOrder, PhaseRecord};
use machine::Phase;
use nix::sys::signal::Signal;
use std::os::unix::net::UnixListener;

const PREFERENCE: &str = "sys/devices/system/cpu/cpufreq/policy0/energy_performance_preference";

fn prefill() -> [u8; PhaseRecord::LENGTH] {
    let record = PhaseRecord {
        phase: Phase::Prefill,
        active: 1,
        ..PhaseRecord::default()
    };
    record.encode()
}

#[tokio::test]
async fn a_phase_record_is_answered_by_writes_and_its_end_by_the_floor() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    assert_eq!(machine.get(PREFERENCE), "power");

    let engine = Speaker::connect(&machine.own("sockets/phase.sock"));
    assert_eq!(EngineOrder::decode(&engine.hear()), Ok(EngineOrder::default()));
    engine.say(&prefill());
    until(&connection, |power| power.reaction_median_usec.is_some()).await;
    assert_eq!(machine.get(PREFERENCE), "performance");
    let shown = power(&connection).await;
    assert_eq!(shown.engine.unwrap().phase, Phase::Prefill);

    drop(engine);
    until(&connection, |power| power.engine.is_none()).await;
    hearthd.stop(Signal::SIGTERM);
}

#[tokio::test]
async fn a_malformed_packet_ends_the_connection_and_is_told_once() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    for packet in [&b"nonsense"[..], &[0; 63]] {
        let engine = Speaker::connect(&machine.own("sockets/phase.sock"));
        engine.hear();
        engine.say(packet);
        assert_eq!(engine.hear(), b"", "it has hung up");
    }
    let engine = Speaker::connect(&machine.own("sockets/phase.sock"));
    engine.hear();
    engine.say(&prefill());
    let connection = bus.connect().await;
    until(&connection, |power| power.engine.is_some()).await;
    let log = hearthd.stop(Signal::SIGTERM);
    assert_eq!(log.matches("closing the engine's connection").count(), 1, "{log}");
}

#[tokio::test]
async fn a_new_engine_takes_the_place_of_the_old() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let old = Speaker::connect(&machine.own("sockets/phase.sock"));
    old.hear();
    let new = Speaker::connect(&machine.own("sockets/phase.sock"));
    new.hear();
    assert_eq!(old.hear(), b"", "it was hung up on");
    hearthd.stop(Signal::SIGTERM);
}

#[tokio::test]
async fn an_announced_request_lifts_the_clock_before_the_engine_says_a_word() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    assert_eq!(machine.get(PREFERENCE), "power");
    let gateway = Speaker::connect(&machine.own("sockets/arrival.sock"));
    gateway.say(&ARRIVAL);
    until(&connection, |_| machine.get(PREFERENCE) == "performance").await;
    hearthd.stop(Signal::SIGTERM);
}

#[tokio::test]
async fn an_engine_at_rest_is_asked_whether_it_lives_when_a_request_is_announced() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    let engine = Speaker::connect(&machine.own("sockets/phase.sock"));
    let order = engine.hear();
    engine.say(&PhaseRecord::default().encode());
    until(&connection, |power| power.engine.is_some()).await;
    let gateway = Speaker::connect(&machine.own("sockets/arrival.sock"));
    gateway.say(&ARRIVAL);
    assert_eq!(
        engine.hear(),
        order,
        "the order again, which is answered by a record"
    );
    hearthd.stop(Signal::SIGTERM);
}

#[tokio::test]
async fn a_model_that_is_not_quarantined_cannot_be_released_but_forgotten() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    let agent = AgentProxy::new(&connection).await.unwrap();
    let shown: Engine = serde_json::from_str(&agent.engine().await.unwrap()).unwrap();
    assert_eq!(shown, Engine::default(), "there is no systemd on this bus");
    let control = ControlProxy::new(&connection).await.unwrap();
    let error = control.release_model("tiny").await.unwrap_err().to_string();
    assert!(
        error.contains("tiny") && error.contains("not quarantined"),
        "{error}"
    );
    control.forget_model("tiny").await.unwrap();
    hearthd.stop(Signal::SIGTERM);
}

#[tokio::test]
async fn what_was_first_seen_is_back_at_the_end() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let first = settings(&machine);
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    assert_ne!(settings(&machine), first);
    hearthd.stop(Signal::SIGTERM);
    assert_eq!(settings(&machine), first);
    assert!(!machine.own("run/first-seen.json").exists());
}

#[test]
fn a_stop_while_the_bus_does_not_answer_puts_everything_back_too() {
    let machine = Machine::copy("n100");
    let first = settings(&machine);
    let path = machine.own("sockets/bus");
    let silent = UnixListener::bind(&path).unwrap();
    let hearthd = Hearthd::start_unready(&format!("unix:path={}", path.display()), &machine);
    let _connection = silent.accept().unwrap();
    assert_ne!(settings(&machine), first);
    hearthd.stop(Signal::SIGTERM);
    assert_eq!(settings(&machine), first);
}

#[tokio::test]
async fn what_was_first_seen_outlives_a_kill() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let first = settings(&machine);
    let mut hearthd = Hearthd::start(&bus, &machine, 60_000);
    hearthd.kill();
    assert_ne!(settings(&machine), first, "nobody was left to put it back");
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let log = hearthd.stop(Signal::SIGTERM);
    assert!(log.contains("hearthd was not ended in order last time"), "{log}");
    assert_eq!(settings(&machine), first);
}

#[tokio::test]
async fn who_only_watches_changes_nothing() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let first = settings(&machine);
    let hearthd = Hearthd::start_watching(&bus, &machine);
    assert_eq!(settings(&machine), first);
    let connection = bus.connect().await;
    let shown = power(&connection).await;
    assert!(shown.policies[0].setpoint.is_some(), "but it decides: {shown:?}");
    hearthd.stop(Signal::SIGTERM);
}

#[tokio::test]
async fn another_programs_hand_is_told_once() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    for _ in 0..3 {
        machine.overwrite(PREFERENCE, "balance_performance\n");
        until(&connection, |_| machine.get(PREFERENCE) == "power").await;
    }
    let shown = power(&connection).await;
    assert_eq!(shown.foreign_writers.len(), 1, "{:?}", shown.foreign_writers);
    let log = hearthd.stop(Signal::SIGTERM);
    let told = log.lines().filter(|line| line.contains("by another program"));
    assert_eq!(told.count(), 1, "{log}");
}
