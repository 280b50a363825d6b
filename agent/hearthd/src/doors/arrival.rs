//! The gateway's door.

use super::connection::Connection;
use super::pace::Pace;
use api::phase::ARRIVAL;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{debug, warn};

/// More connections than this one gateway has no use for; the oldest is closed.
const MOST_CONNECTIONS: usize = 16;

/// Before the next try when nobody can be let in.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens until hearthd ends.
pub(super) async fn attend(listener: UnixListener, ring: watch::Sender<()>) {
    let mut open: VecDeque<JoinHandle<()>> = VecDeque::new();
    loop {
        match Connection::accept(&listener).await {
            Ok(gateway) => {
                open.retain(|connection| !connection.is_finished());
                if open.len() == MOST_CONNECTIONS
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                open.push_back(tokio::spawn(hear(gateway, ring.clone())));
            }
            Err(error) => {
                warn!("cannot let the gateway in: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn hear(gateway: Connection, ring: watch::Sender<()>) {
    let mut pace = Pace::new();
    loop {
        match gateway.newest().await {
            Ok(Some(packet)) if packet.bytes() == ARRIVAL => drop(ring.send(())),
            Ok(Some(packet)) => {
                let length = packet.bytes().len();
                return warn!("closing the gateway's connection: {length} bytes that announce nothing");
            }
            Ok(None) => return,
            Err(error) => return debug!("the gateway's connection broke: {error}"),
        }
        pace.next().await;
    }
}
