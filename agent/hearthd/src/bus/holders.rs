//! Which holders are still on the bus: a hold of `PowerProfiles` ends with its holder.

use futures_util::StreamExt;
use std::collections::HashMap;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::warn;
use zbus::Connection;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;

/// Watches holders, one task for each.
#[derive(Debug)]
pub(crate) struct Holders {
    connection: Connection,
    gone: mpsc::Sender<String>,
    watched: HashMap<String, JoinHandle<()>>,
}

impl Holders {
    /// Watches nobody yet. Those that leave are told to `gone`.
    pub(crate) fn new(connection: Connection, gone: mpsc::Sender<String>) -> Self {
        Self {
            connection,
            gone,
            watched: HashMap::new(),
        }
    }

    /// Watches exactly these.
    pub(crate) fn watch<'h>(&mut self, holders: impl Iterator<Item = &'h str>) {
        let mut still = HashMap::new();
        for holder in holders {
            if still.contains_key(holder) {
                continue;
            }
            let task = self.watched.remove(holder).unwrap_or_else(|| self.start(holder));
            still.insert(holder.to_owned(), task);
        }
        let released = std::mem::replace(&mut self.watched, still);
        released.values().for_each(JoinHandle::abort);
    }

    fn start(&self, holder: &str) -> JoinHandle<()> {
        let (connection, gone, holder) = (self.connection.clone(), self.gone.clone(), holder.to_owned());
        tokio::spawn(async move {
            if let Err(error) = leaves(&connection, &holder).await {
                warn!("cannot watch {holder}, so its holds end now: {error}");
            }
            // Nobody listens any more when hearthd is ending.
            drop(gone.send(holder).await);
        })
    }
}

/// Waits until a connection has left the bus.
async fn leaves(connection: &Connection, holder: &str) -> zbus::Result<()> {
    let bus = DBusProxy::new(connection).await?;
    let mut changes = bus.receive_name_owner_changed_with_args(&[(0, holder)]).await?;
    // It may have left before anybody watched.
    if !bus.name_has_owner(BusName::try_from(holder)?).await? {
        return Ok(());
    }
    while let Some(change) = changes.next().await {
        if change.args()?.new_owner.is_none() {
            return Ok(());
        }
    }
    Ok(())
}
