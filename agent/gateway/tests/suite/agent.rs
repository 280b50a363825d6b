//! A fake hearthd on a bus of its own: it takes what it is asked for, within hearthd's limits, and shows it.

use api::engine::{Engine, EngineLimits as UnitLimits, NewLimits, Quarantined};
use api::memory::{Goal, MemoryUse, Reclaiming};
use api::power::{Power, Step, Thermal};
use api::samples::{COLUMNS, Row, Samples};
use machine::{
    BootTime, Bytes, Capabilities, EngineLimits, Hold, MemoryBreakdown, MilliCelsius, Note, PowerProfile,
    PressureDecision, ReclaimState, Rung, Sample, ThermalState,
};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use zbus::{Connection, connection, fdo, interface};

/// The bus, and hearthd on it. Both end with the test.
pub(crate) struct Agent {
    pub(crate) address: String,
    thermal: Arc<Mutex<Thermal>>,
    daemon: Child,
    connection: Option<Connection>,
    runtime: Runtime,
    _folder: TempDir,
}

impl Agent {
    /// One that holds nothing and is cool.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("unix:path={}/bus", folder.path().display());
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .arg(format!("--address={address}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("cannot start dbus-daemon; install the package dbus-daemon");
        // It prints its address once it listens.
        let mut printed = String::new();
        let mut output = BufReader::new(daemon.stdout.take().unwrap());
        assert!(output.read_line(&mut printed).unwrap() > 0);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let thermal = Arc::new(Mutex::new(cool()));
        let connection = runtime.block_on(appear(&address, thermal.clone()));
        Self {
            address,
            thermal,
            daemon,
            connection: Some(connection),
            runtime,
            _folder: folder,
        }
    }

    /// So hot that the engine is stopped.
    pub(crate) fn overheat(&self, reason: &str) {
        let mut thermal = self.thermal.lock().unwrap();
        thermal.state.rung = Rung::EngineStopped;
        let note = Note {
            step: "engine stopped".to_owned(),
            reason: reason.to_owned(),
        };
        thermal.steps.push(Step { at_usec: 1, note });
    }

    /// Leaves the bus.
    pub(crate) fn leave(&mut self) {
        let connection = self.connection.take().unwrap();
        self.runtime.block_on(connection.close()).unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.daemon.kill());
        drop(self.daemon.wait());
    }
}

async fn appear(address: &str, thermal: Arc<Mutex<Thermal>>) -> Connection {
    let power = Arc::new(Mutex::new(balanced()));
    let engine = Arc::new(Mutex::new(failing()));
    let limits = Arc::new(Mutex::new(UnitLimits::default()));
    let read = Read {
        power: power.clone(),
        thermal: thermal.clone(),
        engine: engine.clone(),
        limits: limits.clone(),
    };
    let control = Control {
        power,
        thermal,
        engine,
        limits,
    };
    connection::Builder::address(address)
        .name(api::agent::BUS_NAME)
        .name("org.freedesktop.network1")
        .serve_at("/org/freedesktop/network1", Networkd)
        .serve_at(api::agent::OBJECT_PATH, read)
        .serve_at(api::agent::OBJECT_PATH, control)
        .build()
        .await
        .unwrap()
}

/// A fake systemd-networkd beside it.
struct Networkd;

#[interface(name = "org.freedesktop.network1.Manager")]
impl Networkd {
    fn describe(&self) -> &str {
        r#"{"Interfaces":[{"Name":"eth0","Type":"ether","Addresses":[{"Address":[192,168,1,20],"PrefixLength":24}]}]}"#
    }
}

/// An engine that has failed with a model named bad.
fn failing() -> Engine {
    Engine {
        quarantined: vec![Quarantined {
            model: "bad".to_owned(),
            since: "2026-01-02T03:04:05Z".to_owned(),
            reason: "it crashed".to_owned(),
        }],
        ..Engine::default()
    }
}

fn cool() -> Thermal {
    let target = MilliCelsius(80_000);
    Thermal {
        state: ThermalState {
            target,
            ..ThermalState::default()
        },
        target_set: None,
        target_default: target,
        cooling: Vec::new(),
        steps: Vec::new(),
        warnings: Vec::new(),
    }
}

fn balanced() -> Power {
    Power {
        profile: PowerProfile::Balanced,
        effective_profile: PowerProfile::Balanced,
        performance_degraded: String::new(),
        holds: Vec::new(),
        firmware_profile: "generic/unknown".to_owned(),
        engine: None,
        engine_limits: EngineLimits::default(),
        policies: Vec::new(),
        boost_switch: None,
        boost: None,
        platform_profile: None,
        on_battery: None,
        package_watts: None,
        foreign_writers: Vec::new(),
        reaction_median_usec: None,
    }
}

struct Read {
    power: Arc<Mutex<Power>>,
    thermal: Arc<Mutex<Thermal>>,
    engine: Arc<Mutex<Engine>>,
    limits: Arc<Mutex<UnitLimits>>,
}

#[interface(name = "org.hearth.Agent1")]
impl Read {
    fn power(&self) -> String {
        serde_json::to_string(&*self.power.lock().unwrap()).unwrap()
    }

    fn thermal(&self) -> String {
        serde_json::to_string(&*self.thermal.lock().unwrap()).unwrap()
    }

    fn capabilities(&self) -> String {
        let mut capabilities = Capabilities::default();
        capabilities.dmi.product_name = Some("NUC".to_owned());
        capabilities.mem_total = Some(Bytes(7));
        serde_json::to_string(&capabilities).unwrap()
    }

    fn sample(&self) -> String {
        serde_json::to_string(&Sample::default()).unwrap()
    }

    fn samples(&self, seconds: u32) -> String {
        let row = Row {
            time: seconds.into(),
            temperature: Some(51.5),
            ..Row::default()
        };
        let samples = Samples {
            step_seconds: 1,
            columns: COLUMNS.map(str::to_owned).to_vec(),
            rows: vec![row.into()],
        };
        serde_json::to_string(&samples).unwrap()
    }

    fn engine(&self) -> String {
        serde_json::to_string(&*self.engine.lock().unwrap()).unwrap()
    }

    fn engine_limits(&self) -> String {
        serde_json::to_string(&*self.limits.lock().unwrap()).unwrap()
    }

    fn memory(&self) -> String {
        let mut breakdown = MemoryBreakdown::default();
        breakdown.meminfo.memory.mem_total = Some(Bytes(300));
        breakdown.meminfo.memory.mem_available = Some(Bytes(200));
        let reclaim = Reclaiming {
            state: ReclaimState::AtGoal,
            ..Reclaiming::default()
        };
        let memory = MemoryUse {
            used: breakdown.used(),
            parts: None,
            goal: Goal {
                aim: Bytes(120),
                limit: Bytes(200),
            },
            reclaim,
            pressure: PressureDecision::default(),
            breakdown,
        };
        serde_json::to_string(&memory).unwrap()
    }
}

struct Control {
    power: Arc<Mutex<Power>>,
    thermal: Arc<Mutex<Thermal>>,
    engine: Arc<Mutex<Engine>>,
    limits: Arc<Mutex<UnitLimits>>,
}

#[interface(name = "org.hearth.Control1")]
impl Control {
    fn reboot(&self) -> fdo::Result<()> {
        Err(fdo::Error::Failed("this is a test".to_owned()))
    }

    fn power_off(&self) {}

    fn set_power_profile(&self, profile: &str) {
        self.power.lock().unwrap().profile = profile.parse().unwrap();
    }

    fn set_thermal_target(&self, millicelsius: i32) -> fdo::Result<()> {
        if !(30_000..=95_000).contains(&millicelsius) {
            return Err(fdo::Error::InvalidArgs("30 to 95 °C can be held".to_owned()));
        }
        let mut thermal = self.thermal.lock().unwrap();
        thermal.target_set = Some(MilliCelsius(millicelsius.into()));
        Ok(())
    }

    fn clear_thermal_target(&self) {
        self.thermal.lock().unwrap().target_set = None;
    }

    fn hold_profile(&self, profile: &str, reason: String, holder: String, seconds: u64) -> u32 {
        self.power.lock().unwrap().holds.push(Hold {
            id: 7,
            profile: profile.parse().unwrap(),
            reason,
            holder,
            until_usec: (seconds > 0).then_some(BootTime(seconds * 1_000_000)),
        });
        7
    }

    fn release_model(&self, model: &str) -> fdo::Result<()> {
        let mut engine = self.engine.lock().unwrap();
        let before = engine.quarantined.len();
        engine.quarantined.retain(|held| held.model != model);
        if engine.quarantined.len() == before {
            return Err(fdo::Error::InvalidArgs(format!(
                "the model {model:?} is not quarantined"
            )));
        }
        Ok(())
    }

    fn forget_model(&self, model: &str) {
        let mut engine = self.engine.lock().unwrap();
        engine.quarantined.retain(|held| held.model != model);
    }

    fn start_engine(&self) {
        self.engine.lock().unwrap().held_since = None;
    }

    fn stop_engine(&self) {
        self.engine.lock().unwrap().held_since = Some("2026-01-02T03:04:05Z".to_owned());
    }

    /// Not while it is held, and never well.
    fn restart_engine(&self) -> fdo::Result<()> {
        Err(match &self.engine.lock().unwrap().held_since {
            Some(_) => fdo::Error::InvalidArgs("the engine is held stopped".to_owned()),
            None => fdo::Error::Failed("the job ended as `timeout`".to_owned()),
        })
    }

    fn set_engine_limits(&self, limits: &str) -> fdo::Result<()> {
        let new: NewLimits = serde_json::from_str(limits).unwrap();
        if new.chosen.cpu_weight == Some(0) {
            return Err(fdo::Error::InvalidArgs("cpu_weight: 1 to 10000".to_owned()));
        }
        self.limits.lock().unwrap().chosen = new.chosen;
        Ok(())
    }

    fn release_profile(&self, hold: u32) -> fdo::Result<()> {
        let mut power = self.power.lock().unwrap();
        let before = power.holds.len();
        power.holds.retain(|held| held.id != hold);
        if power.holds.len() == before {
            return Err(fdo::Error::InvalidArgs(format!("there is no hold {hold}")));
        }
        Ok(())
    }
}
