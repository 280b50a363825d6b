//! A systemd for tests: it notes what it is asked, and its units do as they are told.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard};
use zbus::names::InterfaceName;
use zbus::object_server::{ObjectServer, SignalEmitter};
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Variant, connection, fdo, interface};

#[derive(Debug, Default)]
struct State {
    calls: Vec<String>,
    quota: u64,
    inactive: BTreeMap<String, bool>,
    stubborn: bool,
    refuses: Option<&'static str>,
    hangs: bool,
    job_result: &'static str,
    memory_max: u64,
    allowed_cpus: Vec<u8>,
    jobs: u32,
}

/// What the test holds of it.
#[derive(Clone, Debug)]
pub(crate) struct FakeSystemd(Arc<Mutex<State>>);

/// A fake, its end of the connection, which must be kept, and the other end.
pub(crate) async fn connected() -> (FakeSystemd, Connection, Connection) {
    let (here, there) = UnixStream::pair().unwrap();
    let fake = FakeSystemd(Arc::new(Mutex::new(State {
        quota: u64::MAX,
        job_result: "done",
        memory_max: u64::MAX,
        ..State::default()
    })));
    let guid = zbus::Guid::generate();
    let stream = |stream: UnixStream| connection::Builder::unix_stream(stream).p2p();
    let server = stream(here)
        .server(guid)
        .serve_at(super::PATH, Manager(fake.clone()))
        .serve_at("/org/freedesktop/DBus", Daemon)
        .build();
    let (server, client) = tokio::join!(server, stream(there).build());
    (fake, server.unwrap(), client.unwrap())
}

impl FakeSystemd {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What was asked for since the last time.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    pub(crate) fn set_quota(&self, usec: u64) {
        self.state().quota = usec;
    }

    pub(crate) fn set_memory_max(&self, bytes: u64) {
        self.state().memory_max = bytes;
    }

    pub(crate) fn activate(&self, unit: &str) {
        self.state().inactive.insert(unit.to_owned(), false);
    }

    pub(crate) fn deactivate(&self, unit: &str) {
        self.state().inactive.insert(unit.to_owned(), true);
    }

    /// Jobs end so from now on.
    pub(crate) fn end_jobs_as(&self, result: &'static str) {
        self.state().job_result = result;
    }

    /// Tells over the fake's end of the connection that properties of a unit have changed.
    pub(crate) async fn change(
        server: &Connection,
        unit: &str,
        interface: &str,
        changed: &[(&str, Variant<'_>)],
    ) {
        let path = path(unit);
        let emitter = SignalEmitter::new(server, path.as_str()).unwrap();
        let interface = InterfaceName::try_from(interface).unwrap();
        let changed = changed
            .iter()
            .map(|(name, value)| (*name, value.try_clone().unwrap()));
        fdo::Properties::properties_changed(&emitter, interface, changed.collect(), (&[]).into())
            .await
            .unwrap();
    }

    /// The service does not end.
    pub(crate) fn make_stubborn(&self) {
        self.state().stubborn = true;
    }

    /// Calls that begin so are not done any more; `None`: all are done again.
    pub(crate) fn refuse(&self, calls: Option<&'static str>) {
        self.state().refuses = calls;
    }

    /// A call for a quota is noted and never answered.
    pub(crate) fn hang(&self) {
        self.state().hangs = true;
    }

    fn called(&self, call: String) -> fdo::Result<OwnedObjectPath> {
        let mut state = self.state();
        if state.refuses.is_some_and(|begin| call.starts_with(begin)) {
            return Err(fdo::Error::Failed("not today".to_owned()));
        }
        state.calls.push(call);
        state.jobs += 1;
        Ok(job(state.jobs))
    }

    /// Tells that a job is over, and before it that somebody else's is, which has come to nothing.
    async fn end(&self, emitter: &SignalEmitter<'_>, job: &OwnedObjectPath, unit: &str) -> fdo::Result<()> {
        let result = self.state().job_result;
        Manager::job_removed(emitter, 0, self::job(0), unit, "canceled").await?;
        Ok(Manager::job_removed(emitter, 1, job.clone(), unit, result).await?)
    }
}

fn job(number: u32) -> OwnedObjectPath {
    OwnedObjectPath::try_from(format!("/job/{number}")).unwrap()
}

fn path(unit: &str) -> String {
    format!("/unit/{}", unit.replace(['-', '.'], "_"))
}

struct Manager(FakeSystemd);

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    async fn load_unit(
        &self,
        name: String,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> fdo::Result<OwnedObjectPath> {
        let path = path(&name);
        server
            .at(path.as_str(), Unit(self.0.clone(), name))
            .await
            .unwrap();
        server.at(path.as_str(), Service(self.0.clone())).await.unwrap();
        Ok(OwnedObjectPath::try_from(path).unwrap())
    }

    async fn set_unit_properties(
        &self,
        _name: &str,
        _runtime: bool,
        properties: Vec<(String, OwnedVariant)>,
    ) -> fdo::Result<()> {
        for (name, value) in properties {
            let value = Variant::from(value);
            if name == "AllowedCPUs" {
                let mask = Vec::<u8>::try_from(value).unwrap();
                self.0.called(format!("{name} {mask:?}"))?;
                self.0.state().allowed_cpus = mask;
                continue;
            }
            let number = u64::try_from(value).unwrap();
            match name.as_str() {
                "CPUQuotaPerSecUSec" => {
                    self.0.called(format!("quota {number}"))?;
                    self.0.set_quota(number);
                }
                "MemoryMax" => {
                    self.0.called(format!("{name} {number}"))?;
                    self.0.set_memory_max(number);
                }
                other => panic!("{other} is set"),
            }
        }
        if self.0.state().hangs {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    fn subscribe(&self) {}

    async fn start_unit(
        &self,
        name: &str,
        _mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<OwnedObjectPath> {
        self.0.activate(name);
        let job = self.0.called(format!("start {name}"))?;
        self.0.end(&emitter, &job, name).await?;
        Ok(job)
    }

    async fn restart_unit(
        &self,
        name: &str,
        _mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<OwnedObjectPath> {
        self.0.activate(name);
        let job = self.0.called(format!("restart {name}"))?;
        self.0.end(&emitter, &job, name).await?;
        Ok(job)
    }

    async fn stop_unit(
        &self,
        name: &str,
        _mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<OwnedObjectPath> {
        let job = self.0.called(format!("stop {name}"))?;
        let stubborn = self.0.state().stubborn;
        if !stubborn || name.ends_with(".socket") {
            self.0.deactivate(name);
            self.0.end(&emitter, &job, name).await?;
        }
        Ok(job)
    }

    fn kill_unit(&self, name: &str, _whom: &str, signal: i32) -> fdo::Result<()> {
        self.0.called(format!("kill {name} {signal}")).map(drop)
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

/// The bus itself, where systemd is known.
struct Daemon;

#[interface(name = "org.freedesktop.DBus")]
impl Daemon {
    fn name_has_owner(&self, name: &str) -> bool {
        name == super::SERVICE
    }
}

struct Unit(FakeSystemd, String);

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn active_state(&self) -> &'static str {
        match self.0.state().inactive.get(&self.1) {
            Some(true) => "inactive",
            _ => "active",
        }
    }
}

struct Service(FakeSystemd);

#[interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property, name = "CPUQuotaPerSecUSec")]
    fn cpu_quota(&self) -> u64 {
        self.0.state().quota
    }

    #[zbus(property)]
    fn memory_high(&self) -> u64 {
        u64::MAX
    }

    #[zbus(property)]
    fn memory_max(&self) -> u64 {
        self.0.state().memory_max
    }

    #[zbus(property, name = "CPUWeight")]
    fn cpu_weight(&self) -> u64 {
        u64::MAX
    }

    #[zbus(property, name = "AllowedCPUs")]
    fn allowed_cpus(&self) -> Vec<u8> {
        self.0.state().allowed_cpus.clone()
    }
}
