//! The gateway's door. There is one gateway: a new connection replaces the old one.

use super::connection::{Connection, Packet, newest};
use super::pace::Pace;
use super::porter::Porter;
use api::phase::ARRIVAL;
use std::io;
use tokio::sync::watch;
use tracing::{debug, warn};

/// Listens until hearthd ends.
pub(super) async fn attend(mut porter: Porter, ring: watch::Sender<()>) {
    let mut gateway: Option<Connection> = None;
    let mut pace = Pace::of_words();
    loop {
        tokio::select! {
            speaker = porter.admit() => gateway = Some(speaker),
            packet = newest(gateway.as_ref()) => {
                if announces(packet) {
                    ring.send_replace(());
                } else {
                    gateway = None;
                }
                pace.next().await;
            }
        }
    }
}

/// Whether it is what a gateway says. Whoever says anything else is hung up on.
fn announces(packet: io::Result<Option<Packet>>) -> bool {
    match packet {
        Ok(Some(packet)) if packet.bytes() == ARRIVAL => return true,
        Ok(Some(packet)) => {
            let length = packet.bytes().len();
            warn!("closing the gateway's connection: {length} bytes that announce nothing");
        }
        Ok(None) => {}
        Err(error) => debug!("the gateway's connection broke: {error}"),
    }
    false
}
