//! Who holds memory, and what is given back while nothing is asked.

use crate::rig::{Bus, Hearthd, Machine, Speaker, timely};
use api::agent::AgentProxy;
use api::memory::MemoryUse;
use api::phase::{EngineOrder, PhaseRecord};
use machine::{Bytes, Phase, PressureLevel, ReclaimState};
use nix::sys::signal::Signal;
use zbus::Connection;

const SERVICES: &str = "sys/fs/cgroup/system.slice/memory.reclaim";

/// A machine with 232 MB in use, and room in swap.
fn full() -> Machine {
    let machine = Machine::copy("qemu");
    let memory = machine
        .get("proc/meminfo")
        .replace("SwapFree:              0 kB", "SwapFree:        1000000 kB");
    machine.set("proc/meminfo", &memory);
    machine
}

async fn memory(connection: &Connection) -> MemoryUse {
    let agent = AgentProxy::new(connection).await.unwrap();
    serde_json::from_str(&agent.memory().await.unwrap()).unwrap()
}

async fn until(connection: &Connection, so: impl Fn(&MemoryUse) -> bool) -> MemoryUse {
    timely(async {
        loop {
            let shown = memory(connection).await;
            if so(&shown) {
                return shown;
            }
        }
    })
    .await
}

#[tokio::test]
async fn who_holds_memory_is_told_by_parts_and_by_unit() {
    let (bus, machine) = (Bus::start(), full());
    let hearthd = Hearthd::start_watching(&bus, &machine);
    let shown = memory(&bus.connect().await).await;
    assert_eq!(shown.used, Some(Bytes((2_014_644 - 1_788_232) * 1024)));
    assert_eq!(shown.parts.unwrap().anon, Bytes(96_440 * 1024));
    assert_eq!(shown.breakdown.cgroups.len(), 3);
    assert_eq!(shown.breakdown.warnings, []);
    assert_eq!(
        (shown.goal.aim, shown.reclaim.asked),
        (Bytes(120_000_000), Bytes(0))
    );
    hearthd.stop(Signal::SIGTERM);
}

/// The tree's groups do not shrink, as a kernel's would: the law sees that it gets nothing, and lets be.
#[tokio::test]
async fn memory_is_asked_for_once_the_engine_is_idle_and_not_before() {
    let (bus, machine) = (Bus::start(), full());
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    let engine = Speaker::connect(&machine.own("sockets/phase.sock"));
    engine.hear();
    let say = |phase| {
        let record = PhaseRecord {
            phase,
            ..PhaseRecord::default()
        };
        engine.say(&record.encode());
    };
    say(Phase::Prefill);
    until(&connection, |shown| shown.reclaim.state == ReclaimState::Waiting).await;
    say(Phase::Idle);
    let shown = until(&connection, |shown| shown.reclaim.asked > Bytes(0)).await;
    assert_eq!(shown.reclaim.yielded, Bytes(0));
    let words = machine.get(SERVICES);
    let (bytes, how) = words.split_once(' ').unwrap();
    assert!(bytes.parse::<u64>().unwrap() <= shown.reclaim.asked.0, "{words}");
    assert_eq!(how, "swappiness=200");
    until(&connection, |shown| shown.reclaim.state == ReclaimState::Spent).await;
    let log = hearthd.stop(Signal::SIGTERM);
    assert_eq!(log.matches("idle programs gave 0 B of").count(), 1, "{log}");
}

#[tokio::test]
async fn who_only_watches_asks_nobody() {
    let (bus, machine) = (Bus::start(), full());
    let hearthd = Hearthd::start_watching(&bus, &machine);
    let connection = bus.connect().await;
    until(&connection, |shown| {
        shown.reclaim.state == ReclaimState::Reclaiming
    })
    .await;
    assert_eq!(machine.get(SERVICES), "");
    hearthd.stop(Signal::SIGTERM);
}

#[tokio::test]
async fn an_engine_is_told_when_memory_is_short() {
    let (bus, machine) = (Bus::start(), Machine::copy("qemu"));
    let memory_file = machine.get("proc/meminfo");
    let short = memory_file.replace("MemAvailable:    1788232 kB", "MemAvailable:     141000 kB");
    assert_ne!(short, memory_file);
    machine.set("proc/meminfo", &short);
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let engine = Speaker::connect(&machine.own("sockets/phase.sock"));
    engine.say(&PhaseRecord::default().encode());
    let heard = timely(async {
        loop {
            let order = EngineOrder::decode(&engine.hear()).unwrap();
            if order.pressure > PressureLevel::None {
                return order;
            }
        }
    })
    .await;
    assert_eq!((heard.pressure, heard.context), (PressureLevel::Trim, None));
    let shown = memory(&bus.connect().await).await.pressure;
    assert_eq!(shown.level, PressureLevel::Trim);
    let available = shown.seen.available.unwrap();
    assert!((6.9..7.1).contains(&available), "{available}");
    let log = hearthd.stop(Signal::SIGTERM);
    assert_eq!(log.matches("memory is short").count(), 1, "{log}");
}
