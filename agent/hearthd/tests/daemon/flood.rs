//! Callers who ask without end, as everybody on the machine may.

use crate::rig::{Bus, Hearthd, Machine, power, timely};
use nix::sys::signal::Signal;
use std::fs;
use zbus::message::{Flags, Message};

/// Memory in use, in kB.
fn resident(hearthd: &Hearthd) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", hearthd.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn call_without_answer() -> Message {
    Message::method_call("/org/hearth/Agent1", "Capabilities")
        .destination("org.hearth.Agent1")
        .interface("org.hearth.Agent1")
        .with_flags(Flags::NO_REPLY_EXPECTED)
        .build(&())
        .unwrap()
}

#[tokio::test]
async fn a_flood_of_calls_is_answered_in_the_end_and_takes_no_memory() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    timely(power(&connection)).await;
    let before = resident(&hearthd);
    for _ in 0..20_000 {
        connection.send(&call_without_answer()).await.unwrap();
    }
    // Of one connection all calls are taken in their order.
    timely(async { while power_or_busy(&connection).await.is_none() {} }).await;
    let grown = resident(&hearthd).saturating_sub(before);
    assert!(grown < 8 * 1024, "by {grown} kB");
    hearthd.stop(Signal::SIGTERM);
}

/// What hearthd tells of power; nothing if too many ask.
async fn power_or_busy(connection: &zbus::Connection) -> Option<String> {
    match api::agent::AgentProxy::new(connection)
        .await
        .unwrap()
        .power()
        .await
    {
        Ok(power) => Some(power),
        Err(error) => {
            assert!(error.to_string().contains("LimitsExceeded"), "{error}");
            None
        }
    }
}
