//! What hearthd asks of systemd. Source: `org.freedesktop.systemd1(5)`.

#[cfg(test)]
pub(super) mod fake;

use serde::Serialize;
use zbus::wire::Type;
use zbus::{Connection, Message, OwnedObjectPath, OwnedVariant, Variant};

const SERVICE: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// `CPUQuotaPerSecUSec` of a unit whose processor time is not rationed.
pub(super) const NO_QUOTA: u64 = u64::MAX;

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
        let value = self
            .property(service, "org.freedesktop.systemd1.Service", "CPUQuotaPerSecUSec")
            .await?;
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
        let value = self
            .property(unit, "org.freedesktop.systemd1.Unit", "ActiveState")
            .await?;
        String::try_from(value)
    }

    /// Queues a start.
    pub(super) async fn start(&self, unit: &str, mode: &str) -> zbus::Result<()> {
        self.manage("StartUnit", &(unit, mode)).await.map(drop)
    }

    /// Queues a stop.
    pub(super) async fn stop(&self, unit: &str) -> zbus::Result<()> {
        self.manage("StopUnit", &(unit, "replace")).await.map(drop)
    }

    /// Kills all processes of a unit at once.
    pub(super) async fn kill(&self, unit: &str) -> zbus::Result<()> {
        let signal = nix::libc::SIGKILL;
        self.manage("KillUnit", &(unit, "all", signal)).await.map(drop)
    }

    async fn manage(&self, method: &str, body: &(impl Serialize + Type)) -> zbus::Result<Message> {
        self.0
            .call_method(Some(SERVICE), PATH, Some(MANAGER), method, body)
            .await
    }

    async fn property(&self, unit: &str, interface: &str, name: &str) -> zbus::Result<OwnedVariant> {
        let path: OwnedObjectPath = self.manage("LoadUnit", &unit).await?.body().deserialize()?;
        let properties = Some("org.freedesktop.DBus.Properties");
        let reply = self
            .0
            .call_method(Some(SERVICE), path, properties, "Get", &(interface, name))
            .await?;
        reply.body().deserialize()
    }
}
