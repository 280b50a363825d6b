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
    /// Whether the clock was set over the network.
    #[zbus(property, name = "NTPSynchronized")]
    fn ntp_synchronized(&self) -> zbus::Result<bool>;
}

/// Asks systemd whether the clock was set over the network. (Of the time zone it knows nothing: the link that it reads
/// leads into `/var`.)
pub(crate) async fn is_synchronised(bus: &Bus) -> Result<bool, AgentError> {
    ask(bus, async |connection| {
        let builder = TimedateProxy::builder(connection);
        let timedate = builder.cache_properties(CacheProperties::No).build().await?;
        Ok(timedate.ntp_synchronized().await?)
    })
    .await
}
