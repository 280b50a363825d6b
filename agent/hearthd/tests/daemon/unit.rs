//! What administrators want of the engine's unit, with a systemd on the bus that does as it is told.

use crate::rig::{Bus, Hearthd, Machine};
use api::agent::{AgentProxy, ControlProxy};
use api::engine::{Engine, EngineLimits};
use machine::Bytes;
use nix::sys::signal::Signal;
use std::sync::{Arc, Mutex};
use zbus::object_server::SignalEmitter;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, connection, interface};

const SERVICE: &str = "hearth-inferd.service";
const GIB: u64 = 1 << 30;

/// Units that run, and the engine's `MemoryMax`.
#[derive(Debug)]
struct State {
    active: Vec<String>,
    memory_max: u64,
    job_result: &'static str,
}

type Shared = Arc<Mutex<State>>;

/// A systemd whose engine may have 3 GiB, and its end of the bus, which must be kept.
async fn systemd(bus: &Bus) -> (Shared, Connection) {
    let state = Arc::new(Mutex::new(State {
        active: vec!["hearth-inferd.socket".to_owned()],
        memory_max: 3 * GIB,
        job_result: "done",
    }));
    let builder = connection::Builder::address(bus.address.as_str())
        .serve_at("/org/freedesktop/systemd1", Manager(state.clone()));
    let built = ["hearth-inferd.service", "hearth-inferd.socket"]
        .into_iter()
        .fold(builder, |builder, name| {
            builder
                .serve_at(path(name), Unit(state.clone(), name))
                .serve_at(path(name), Service(state.clone()))
        });
    let connection = built.name("org.freedesktop.systemd1").build().await.unwrap();
    (state, connection)
}

fn path(unit: &str) -> String {
    format!("/unit/{}", unit.replace(['-', '.'], "_"))
}

struct Manager(Shared);

impl Manager {
    async fn job(&self, emitter: &SignalEmitter<'_>, name: &str, runs: bool) -> OwnedObjectPath {
        let result = {
            let mut state = self.0.lock().unwrap();
            state.active.retain(|active| active != name);
            if runs {
                state.active.push(name.to_owned());
            }
            state.job_result
        };
        let job = OwnedObjectPath::try_from("/job/1").unwrap();
        Self::job_removed(emitter, 1, job.clone(), name, result)
            .await
            .unwrap();
        job
    }
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self) {}

    fn load_unit(&self, name: &str) -> OwnedObjectPath {
        OwnedObjectPath::try_from(path(name)).unwrap()
    }

    fn set_unit_properties(&self, _name: &str, _runtime: bool, properties: Vec<(String, OwnedVariant)>) {
        for (name, value) in properties {
            assert_eq!(name, "MemoryMax");
            self.0.lock().unwrap().memory_max = u64::try_from(value).unwrap();
        }
    }

    async fn start_unit(
        &self,
        name: &str,
        _mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> OwnedObjectPath {
        self.job(&emitter, name, true).await
    }

    async fn restart_unit(
        &self,
        name: &str,
        _mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> OwnedObjectPath {
        self.job(&emitter, name, true).await
    }

    async fn stop_unit(
        &self,
        name: &str,
        _mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> OwnedObjectPath {
        self.job(&emitter, name, false).await
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: OwnedObjectPath,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

struct Unit(Shared, &'static str);

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn active_state(&self) -> &'static str {
        let state = self.0.lock().unwrap();
        if state.active.iter().any(|active| active == self.1) {
            "active"
        } else {
            "inactive"
        }
    }
}

struct Service(Shared);

#[interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property)]
    fn memory_high(&self) -> u64 {
        u64::MAX
    }

    #[zbus(property)]
    fn memory_max(&self) -> u64 {
        self.0.lock().unwrap().memory_max
    }

    #[zbus(property, name = "CPUWeight")]
    fn cpu_weight(&self) -> u64 {
        u64::MAX
    }

    #[zbus(property, name = "AllowedCPUs")]
    fn allowed_cpus(&self) -> Vec<u8> {
        Vec::new()
    }
}

async fn held(connection: &Connection) -> bool {
    let agent = AgentProxy::new(connection).await.unwrap();
    let engine: Engine = serde_json::from_str(&agent.engine().await.unwrap()).unwrap();
    engine.held_since.is_some()
}

async fn limits(connection: &Connection) -> EngineLimits {
    let agent = AgentProxy::new(connection).await.unwrap();
    serde_json::from_str(&agent.engine_limits().await.unwrap()).unwrap()
}

/// Stops hearthd apart from the test's thread, on which systemd answers it meanwhile.
async fn stop(hearthd: Hearthd) -> String {
    let stopped = tokio::task::spawn_blocking(|| hearthd.stop(Signal::SIGTERM));
    stopped.await.unwrap()
}

/// An error of hearthd's, with its name on the bus.
fn said(outcome: zbus::Result<()>) -> String {
    outcome.unwrap_err().to_string()
}

#[tokio::test]
async fn a_stop_outlives_hearthd_and_a_start_ends_it() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let (state, _systemd) = systemd(&bus).await;
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    let control = ControlProxy::new(&connection).await.unwrap();
    control.start_engine().await.unwrap();
    assert_eq!(state.lock().unwrap().active.last().unwrap(), SERVICE);
    control.stop_engine().await.unwrap();
    assert!(state.lock().unwrap().active.is_empty() && held(&connection).await);
    let error = said(control.restart_engine().await);
    assert!(
        error.contains("InvalidArgs") && error.contains("hearth engine start"),
        "{error}"
    );
    stop(hearthd).await;
    assert!(state.lock().unwrap().active.is_empty(), "nobody has started it");

    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    assert!(held(&connection).await);
    control.start_engine().await.unwrap();
    assert!(!held(&connection).await);
    assert_eq!(state.lock().unwrap().active, ["hearth-inferd.socket", SERVICE]);
    state.lock().unwrap().job_result = "timeout";
    let error = said(control.restart_engine().await);
    assert!(
        error.contains("Error.Failed") && error.contains("ended as `timeout`"),
        "{error}"
    );
    let log = stop(hearthd).await;
    let uid = nix::unistd::getuid();
    assert!(
        log.contains(&format!("the engine was restarted by user {uid}")),
        "{log}"
    );
}

#[tokio::test]
async fn limits_are_compared_with_machine_and_unit_kept_and_given_back() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let (state, _systemd) = systemd(&bus).await;
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    let control = ControlProxy::new(&connection).await.unwrap();
    let memory_max = |bytes: u64, beyond: bool| {
        serde_json::json!({"chosen": {"memory_max": bytes}, "beyond_unit": beyond}).to_string()
    };
    for (limits, named) in [
        (
            memory_max(8 * GIB, true),
            "memory_max: more than 64.0 MiB and at most the machine's 7.5 GiB",
        ),
        (
            memory_max(4 * GIB, false),
            "memory_max: the unit's own is 3.0 GiB",
        ),
        (
            r#"{"chosen":{"allowed_cpus":[0,4]}}"#.to_owned(),
            "no processor 4",
        ),
        (r#"{"chosen":{"cpu_weight":"much"}}"#.to_owned(), "much"),
    ] {
        let error = said(control.set_engine_limits(&limits).await);
        assert!(
            error.contains("InvalidArgs") && error.contains(named),
            "{limits}: {error}"
        );
    }
    assert_eq!(state.lock().unwrap().memory_max, 3 * GIB);
    control
        .set_engine_limits(&memory_max(4 * GIB, true))
        .await
        .unwrap();
    let shown = limits(&connection).await;
    let figures = [&shown.chosen, &shown.in_force, &shown.own].map(|limits| limits.memory_max.unwrap());
    assert_eq!(figures, [Bytes(4 * GIB), Bytes(4 * GIB), Bytes(3 * GIB)]);
    // Who sets it again has meant it before.
    control
        .set_engine_limits(&memory_max(4 * GIB, false))
        .await
        .unwrap();
    stop(hearthd).await;
    assert_eq!(state.lock().unwrap().memory_max, 3 * GIB);

    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    // An order is answered once all that is wanted is in force.
    control.start_engine().await.unwrap();
    assert_eq!(state.lock().unwrap().memory_max, 4 * GIB);
    control.set_engine_limits(r#"{"chosen":{}}"#).await.unwrap();
    assert_eq!(state.lock().unwrap().memory_max, 3 * GIB);
    stop(hearthd).await;
}

#[tokio::test]
async fn the_machine_is_restarted_by_its_target_and_who_wanted_it_is_logged() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let (state, _systemd) = systemd(&bus).await;
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    let control = ControlProxy::new(&connection).await.unwrap();
    control.reboot().await.unwrap();
    assert_eq!(state.lock().unwrap().active.last().unwrap(), "reboot.target");
    control.power_off().await.unwrap();
    assert_eq!(state.lock().unwrap().active.last().unwrap(), "poweroff.target");
    let log = stop(hearthd).await;
    let uid = nix::unistd::getuid();
    assert!(
        log.contains(&format!("the machine is restarted by user {uid}")),
        "{log}"
    );
}

#[tokio::test]
async fn without_a_systemd_an_order_says_so() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let connection = bus.connect().await;
    let start = |watches| match watches {
        false => Hearthd::start(&bus, &machine, 60_000),
        true => Hearthd::start_watching(&bus, &machine),
    };
    for (watches, named) in [(false, "there is no systemd on this bus"), (true, "only watches")] {
        let hearthd = start(watches);
        let control = ControlProxy::new(&connection).await.unwrap();
        let error = said(control.start_engine().await);
        assert!(error.contains("Error.Failed") && error.contains(named), "{error}");
        let error = said(control.set_engine_limits(r#"{"chosen":{}}"#).await);
        assert!(error.contains(named), "{error}");
        let error = said(control.stop_engine().await);
        assert!(error.contains(named), "{error}");
        assert!(!held(&connection).await, "what is refused changes nothing");
        hearthd.stop(Signal::SIGTERM);
    }
}
