//! A service as its signals tell it.

use super::{MANAGER, PATH, PROPERTIES, SERVICE_UNIT, Systemd, UNIT};
use api::engine::Unit;
use futures_util::StreamExt;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use std::collections::HashMap;
use std::fmt::Write;
use tokio::sync::{mpsc, watch};
use tracing::warn;
use zbus::{OwnedVariant, Variant};

/// Who is told.
#[derive(Debug)]
pub(in crate::actuators) struct Listeners {
    /// Each change.
    pub(in crate::actuators) changes: mpsc::Sender<Unit>,
    /// The service as it is now.
    pub(in crate::actuators) now: watch::Sender<Unit>,
}

impl Listeners {
    /// Whether anybody listens to changes.
    async fn tell(&self, unit: Unit) -> bool {
        self.now.send_replace(unit.clone());
        self.changes.send(unit).await.is_ok()
    }
}

/// Tells how a service is now, and then each time that systemd tells of a change, until nobody listens or the bus has
/// gone. Between a failure and the next start a tenth of a second may lie: what is told is what the
/// signals carry, one after the other, and not what a look at the unit finds.
pub(in crate::actuators) async fn follow(
    systemd: &Systemd,
    service: &str,
    listeners: &Listeners,
) -> zbus::Result<()> {
    systemd.subscribe().await?;
    let path = systemd.path(service).await?;
    let properties = systemd.proxy(path.as_str(), PROPERTIES).await?;
    let mut changes = properties.receive_signal("PropertiesChanged").await?;
    let mut unit = Unit::default();
    for interface in [UNIT, SERVICE_UNIT] {
        let all: HashMap<String, OwnedVariant> = properties.call("GetAll", &interface).await?;
        all.iter().for_each(|(name, value)| note(&mut unit, name, value));
    }
    let mut goes_on = listeners.tell(unit.clone()).await;
    while goes_on && let Some(message) = changes.next().await {
        let body = message.body();
        let (_, changed, _): (&str, HashMap<&str, Variant<'_>>, Vec<&str>) = body.deserialize()?;
        let before = unit.clone();
        changed
            .iter()
            .for_each(|(name, value)| note(&mut unit, name, value));
        if unit != before {
            goes_on = listeners.tell(unit.clone()).await;
        }
    }
    Ok(())
}

impl Systemd {
    /// Has systemd tell of changes at all.
    async fn subscribe(&self) -> zbus::Result<()> {
        match self
            .proxy(PATH, MANAGER)
            .await?
            .call::<_, _, ()>("Subscribe", &())
            .await
        {
            Err(zbus::Error::MethodError(name, ..)) if name.ends_with("AlreadySubscribed") => Ok(()),
            subscribed => subscribed,
        }
    }
}

/// Notes a property; others than these say nothing of how the service fares.
fn note(unit: &mut Unit, name: &str, value: &Variant<'_>) {
    let noted = match name {
        "ActiveState" => word(value).map(|state| unit.active_state = state),
        "SubState" => value
            .downcast_ref()
            .map(|state: &str| unit.sub_state = state.to_owned()),
        "Result" => word(value).map(|result| unit.result = result),
        "ExecMainStatus" => value.downcast_ref().map(|status| unit.exec_main_status = status),
        "ExecMainPID" => value.downcast_ref().map(|pid| unit.exec_main_pid = pid),
        "NRestarts" => value.downcast_ref().map(|restarts| unit.n_restarts = restarts),
        "InvocationID" => value.try_clone().and_then(Vec::<u8>::try_from).map(|id| {
            unit.invocation_id = hexadecimal(&id);
        }),
        _ => Ok(()),
    };
    if let Err(error) = noted {
        warn!("systemd tells {name} in another form than was agreed: {error}");
    }
}

/// One of systemd's words.
fn word<'d, T: Deserialize<'d>>(value: &'d Variant<'_>) -> zbus::Result<T> {
    let word: &str = value.downcast_ref()?;
    let word: StrDeserializer<'_, Error> = word.into_deserializer();
    T::deserialize(word).map_err(|error| zbus::Error::Failure(error.to_string()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
