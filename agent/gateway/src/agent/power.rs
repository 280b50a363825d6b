//! What hearthd tells of power and heat, and what it is asked to change.

use super::{AgentError, agent, ask};
use crate::agent::Bus;
use api::agent::ControlProxy;
use api::power::{NewHold, Power, Thermal};
use machine::{Hold, MilliCelsius, PowerProfile};
use zbus::{Connection, proxy::CacheProperties};

/// Power and clocks.
pub(crate) async fn power(bus: &Bus) -> Result<Power, AgentError> {
    ask(bus, async |connection| read_power(connection).await).await
}

/// Heat, and what is done about it.
pub(crate) async fn thermal(bus: &Bus) -> Result<Thermal, AgentError> {
    ask(bus, async |connection| read_thermal(connection).await).await
}

/// Chooses a profile. What is in force then.
pub(crate) async fn set_profile(bus: &Bus, profile: PowerProfile) -> Result<Power, AgentError> {
    ask(bus, async |connection| {
        let control = control(connection).await?;
        control.set_power_profile(profile.as_str()).await?;
        read_power(connection).await
    })
    .await
}

/// Sets the temperature to hold; `None`: the firmware profile's. What is in force then.
pub(crate) async fn set_target(bus: &Bus, target: Option<MilliCelsius>) -> Result<Thermal, AgentError> {
    ask(bus, async |connection| {
        let control = control(connection).await?;
        match target {
            Some(target) => control.set_thermal_target(bounded(target)).await?,
            None => control.clear_thermal_target().await?,
        }
        read_thermal(connection).await
    })
    .await
}

/// Holds a profile in somebody's name.
pub(crate) async fn hold(bus: &Bus, new: &NewHold, holder: &str) -> Result<Hold, AgentError> {
    let seconds = new.seconds.unwrap_or(0);
    ask(bus, async |connection| {
        let control = control(connection).await?;
        let profile = new.profile.as_str();
        let id = control
            .hold_profile(profile, &new.reason, holder, seconds)
            .await?;
        let power = read_power(connection).await?;
        let made = power.holds.into_iter().find(|hold| hold.id == id);
        made.ok_or(AgentError::HoldGone(id))
    })
    .await
}

/// Releases a hold. What is in force then.
pub(crate) async fn release(bus: &Bus, id: u32) -> Result<Power, AgentError> {
    ask(bus, async |connection| {
        control(connection).await?.release_profile(id).await?;
        read_power(connection).await
    })
    .await
}

async fn read_power(connection: &Connection) -> Result<Power, AgentError> {
    Ok(serde_json::from_str(&agent(connection).await?.power().await?)?)
}

async fn read_thermal(connection: &Connection) -> Result<Thermal, AgentError> {
    Ok(serde_json::from_str(&agent(connection).await?.thermal().await?)?)
}

pub(super) async fn control(connection: &Connection) -> zbus::Result<ControlProxy<'_>> {
    let builder = ControlProxy::builder(connection);
    builder.cache_properties(CacheProperties::No).build().await
}

/// As the bus carries it. What does not fit is beyond any limit, and stays so.
fn bounded(target: MilliCelsius) -> i32 {
    target.0.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}
