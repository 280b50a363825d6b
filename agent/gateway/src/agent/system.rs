//! What hearthd has systemd do with the machine, and what systemd tells of its clock.

use super::power::control;
use super::{AgentError, ask};
use crate::agent::Bus;
use zbus::{proxy, proxy::CacheProperties};

/// How the machine is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    PowerOff,
    Reboot,
}

/// Ends the machine in order.
pub(crate) async fn end(bus: &Bus, ending: Ending) -> Result<(), AgentError> {
    ask(bus, async |connection| {
        let control = control(connection).await?;
        match ending {
            Ending::PowerOff => control.power_off().await?,
            Ending::Reboot => control.reboot().await?,
        }
        Ok(())
    })
    .await
}

/// systemd's keeper of the clock, `org.freedesktop.timedate1(5)`.
#[proxy(
    interface = "org.freedesktop.timedate1",
    default_service = "org.freedesktop.timedate1",
    default_path = "/org/freedesktop/timedate1"
)]
trait Timedate {
    /// The time zone, as `Europe/Berlin`.
    #[zbus(property)]
    fn timezone(&self) -> zbus::Result<String>;
    /// Whether the clock is set over the network.
    #[zbus(property, name = "NTP")]
    fn ntp(&self) -> zbus::Result<bool>;
    /// Whether it has been.
    #[zbus(property, name = "NTPSynchronized")]
    fn ntp_synchronized(&self) -> zbus::Result<bool>;
}

/// What systemd tells of the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timekeeping {
    /// The time zone.
    pub(crate) timezone: String,
    /// Whether the clock is set over the network.
    pub(crate) ntp: bool,
    /// Whether it has been.
    pub(crate) synchronised: bool,
}

/// Asks systemd for the clock's settings.
pub(crate) async fn timekeeping(bus: &Bus) -> Result<Timekeeping, AgentError> {
    ask(bus, async |connection| {
        let builder = TimedateProxy::builder(connection);
        let timedate = builder.cache_properties(CacheProperties::No).build().await?;
        Ok(Timekeeping {
            timezone: timedate.timezone().await?,
            ntp: timedate.ntp().await?,
            synchronised: timedate.ntp_synchronized().await?,
        })
    })
    .await
}
