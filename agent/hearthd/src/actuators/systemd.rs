//! What hearthd asks of systemd. Source: `org.freedesktop.systemd1(5)`.

#[cfg(test)]
pub(super) mod fake;
mod resource;
mod unit;

pub(super) use resource::{Properties, Property, chosen, shown};
pub(super) use unit::{Listeners, follow};

use futures_util::StreamExt;
use nix::sys::signal::Signal;
use serde::Serialize;
use zbus::proxy::CacheProperties;
use zbus::wire::Type;
use zbus::{Connection, Message, OwnedObjectPath, OwnedVariant, Proxy, Variant};

const SERVICE: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE_UNIT: &str = "org.freedesktop.systemd1.Service";

/// `CPUQuotaPerSecUSec` of a unit whose processor time is not rationed.
pub(super) const NO_QUOTA: u64 = u64::MAX;

/// Why a job came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobError {
    #[error(transparent)]
    Bus(#[from] zbus::Error),
    /// systemd's own word: `canceled`, `timeout`, `failed`, `dependency` …
    #[error("the job ended as `{0}`")]
    Ended(String),
    #[error("systemd has gone")]
    Gone,
}

/// The service manager, over the bus. Every call is bounded by the connection's time limit.
#[derive(Clone, Debug)]
pub(super) struct Systemd(Connection);

impl Systemd {
    pub(super) fn new(connection: Connection) -> Self {
        Self(connection)
    }

    /// Whether there is one on this bus.
    pub(super) async fn is_there(&self) -> zbus::Result<bool> {
        let bus = "org.freedesktop.DBus";
        let reply = self
            .0
            .call_method(
                Some(bus),
                "/org/freedesktop/DBus",
                Some(bus),
                "NameHasOwner",
                &SERVICE,
            )
            .await?;
        reply.body().deserialize()
    }

    /// Processor time that a service may use each second, in microseconds.
    pub(super) async fn cpu_quota(&self, service: &str) -> zbus::Result<u64> {
        let value = self.property(service, SERVICE_UNIT, "CPUQuotaPerSecUSec").await?;
        u64::try_from(value)
    }

    /// Rations a service's processor time until the next boot.
    pub(super) async fn set_cpu_quota(&self, service: &str, usec_per_sec: u64) -> zbus::Result<()> {
        let properties = [("CPUQuotaPerSecUSec", Variant::from(usec_per_sec))];
        let runtime = true;
        self.manage("SetUnitProperties", &(service, runtime, properties.as_slice()))
            .await
            .map(drop)
    }

    /// `active`, `inactive`, `failed`, `activating`, `deactivating` …
    pub(super) async fn active_state(&self, unit: &str) -> zbus::Result<String> {
        let value = self.property(unit, UNIT, "ActiveState").await?;
        String::try_from(value)
    }

    /// Starts a unit, and waits until it has.
    pub(super) async fn start(&self, unit: &str) -> Result<(), JobError> {
        self.job("StartUnit", unit, "replace").await
    }

    /// Ends a unit that runs and starts it, and waits until it has.
    pub(super) async fn restart(&self, unit: &str) -> Result<(), JobError> {
        self.job("RestartUnit", unit, "replace").await
    }

    /// Stops a unit, and waits until it has.
    pub(super) async fn stop(&self, unit: &str) -> Result<(), JobError> {
        self.job("StopUnit", unit, "replace").await
    }

    /// Queues the start of a target for which nothing may be put off, and does not wait for it.
    pub(super) async fn isolate(&self, target: &str) -> zbus::Result<()> {
        self.manage("StartUnit", &(target, "replace-irreversibly"))
            .await
            .map(drop)
    }

    /// Sends a signal to all processes of a unit at once.
    pub(super) async fn kill(&self, unit: &str, signal: Signal) -> zbus::Result<()> {
        self.manage("KillUnit", &(unit, "all", signal as i32))
            .await
            .map(drop)
    }

    /// Queues a job and waits for its end, as `JobRemoved` tells it.
    async fn job(&self, method: &str, unit: &str, mode: &str) -> Result<(), JobError> {
        // Listening begins before the job does: a short one would be over before its end could be heard.
        let mut ended = self
            .proxy(PATH, MANAGER)
            .await?
            .receive_signal("JobRemoved")
            .await?;
        let job: OwnedObjectPath = self.manage(method, &(unit, mode)).await?.body().deserialize()?;
        while let Some(message) = ended.next().await {
            let body = message.body();
            let (_, path, _, result): (u32, OwnedObjectPath, String, String) = body.deserialize()?;
            if path == job {
                return match result.as_str() {
                    "done" | "skipped" => Ok(()),
                    _ => Err(JobError::Ended(result)),
                };
            }
        }
        Err(JobError::Gone)
    }

    /// Nothing is remembered of properties: those that count are told by signals.
    async fn proxy<'p>(&self, path: &'p str, interface: &'p str) -> zbus::Result<Proxy<'p>> {
        zbus::proxy::Builder::new(&self.0)
            .destination(SERVICE)
            .path(path)
            .interface(interface)
            .cache_properties(CacheProperties::No)
            .build()
            .await
    }

    async fn path(&self, unit: &str) -> zbus::Result<OwnedObjectPath> {
        self.manage("LoadUnit", &unit).await?.body().deserialize()
    }

    async fn manage(&self, method: &str, body: &(impl Serialize + Type)) -> zbus::Result<Message> {
        self.0
            .call_method(Some(SERVICE), PATH, Some(MANAGER), method, body)
            .await
    }

    async fn property(&self, unit: &str, interface: &str, name: &str) -> zbus::Result<OwnedVariant> {
        let path = self.path(unit).await?;
        let reply = self
            .0
            .call_method(Some(SERVICE), path, Some(PROPERTIES), "Get", &(interface, name))
            .await?;
        reply.body().deserialize()
    }
}
