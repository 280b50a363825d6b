//! The task that tells listeners what has changed: apart from the loop, for the bus may be slow.

use super::CHANGING;
use crate::view::{Changes, Published};
use tokio::sync::watch;
use tracing::warn;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, fdo, names::InterfaceName};

/// Tells until hearthd ends. Changes that come faster than the bus takes them are told as one.
pub(super) async fn tell(connection: Connection, mut published: watch::Receiver<Published>) {
    let mut told = published.borrow_and_update().clone();
    while published.changed().await.is_ok() {
        let now = published.borrow_and_update().clone();
        if let Err(error) = signal(&connection, &told, &now).await {
            warn!("cannot tell the bus what has changed: {error}");
        }
        told = now;
    }
}

async fn signal(connection: &Connection, told: &Published, now: &Published) -> zbus::Result<()> {
    let readings = Changes::between(told.readings.properties(), now.readings.properties());
    let profiles = Changes::between(told.profiles.properties(), now.profiles.properties());
    let [agent, upower, legacy] = CHANGING;
    for (place, changes) in [(agent, &readings), (upower, &profiles), (legacy, &profiles)] {
        if !changes.is_empty() {
            emit(connection, place, changes).await?;
        }
    }
    Ok(())
}

async fn emit(
    connection: &Connection,
    place: (&'static str, &'static str),
    changes: &Changes,
) -> zbus::Result<()> {
    let (path, interface) = place;
    let emitter = SignalEmitter::new(connection, path)?;
    let interface = InterfaceName::from_static_str(interface)?;
    let changed = changes
        .changed
        .iter()
        .map(|(name, value)| Ok((*name, value.try_clone()?)));
    let changed: zbus::Result<_> = changed.collect();
    let invalidated = changes.invalidated.clone().into();
    fdo::Properties::properties_changed(&emitter, interface, changed?, invalidated).await
}
