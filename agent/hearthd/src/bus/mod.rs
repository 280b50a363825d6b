//! hearthd on the bus. Handlers only translate: a call becomes a [`Request`] to the loop, its answer a reply.

mod control;
mod holders;
mod power_profiles;
mod read;
mod request;
mod teller;

pub(crate) use holders::Holders;
pub(crate) use request::{Caller, Change, Order, Request, Requests};

use crate::cli::BusAddress;
use crate::view::Published;
use anyhow::Context;
use api::agent::{BUS_NAME, OBJECT_PATH, READ_INTERFACE};
use control::Control;
use power_profiles::{Legacy, PowerProfiles, UPower};
use read::Read;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{debug, warn};
use zbus::fdo::RequestNameFlags;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, connection};

/// How long connecting, and a call to the bus itself or to systemd, may take.
const BUS_TIMEOUT: Duration = Duration::from_secs(10);

const UPOWER_NAME: &str = "org.freedesktop.UPower.PowerProfiles";
const UPOWER_PATH: &str = "/org/freedesktop/UPower/PowerProfiles";
const LEGACY_NAME: &str = "net.hadess.PowerProfiles";
const LEGACY_PATH: &str = "/net/hadess/PowerProfiles";

/// The connection, on which the agent's name is owned.
#[derive(Debug)]
pub(crate) struct Bus {
    pub(crate) connection: Connection,
    published: watch::Sender<Published>,
}

impl Bus {
    /// Connects, serves all interfaces, and then takes the names, so that whoever sees a name finds its interface.
    pub(crate) async fn connect(
        address: &BusAddress,
        published: Published,
        requests: Requests,
    ) -> anyhow::Result<Self> {
        let (sender, receiver) = watch::channel(published);
        let connection = timeout(BUS_TIMEOUT, serve(address, receiver.clone(), requests)).await;
        let connection = connection
            .map_err(anyhow::Error::new)
            .and_then(|connection| connection.map_err(anyhow::Error::new))
            .with_context(|| format!("cannot connect to {address}; is it running, and is --bus right?"))?;
        tokio::spawn(teller::tell(connection.clone(), receiver));
        own(&connection, BUS_NAME).await.with_context(|| {
            format!("cannot own {BUS_NAME} on {address}; does another hearthd run, or does the bus policy deny it?")
        })?;
        for name in [UPOWER_NAME, LEGACY_NAME] {
            if let Err(error) = own(&connection, name).await {
                warn!(
                    name,
                    "cannot own {name} on {address}: {error}; programs that choose profiles by it do not reach hearthd"
                );
            }
        }
        Ok(Self {
            connection,
            published: sender,
        })
    }

    /// Shows new values; those who listen are told what has changed, without waiting for them.
    pub(crate) fn publish(&self, now: Published) {
        self.published.send_if_modified(|before| {
            let differs = *before != now;
            *before = now;
            differs
        });
    }

    /// Answers nobody any more, after what was answered is sent.
    pub(crate) async fn let_go(&self) {
        for name in [BUS_NAME, UPOWER_NAME, LEGACY_NAME] {
            if let Err(error) = self.connection.release_name(name).await {
                debug!("cannot let {name} go: {error}");
            }
        }
    }

    /// Tells a holder that its hold is over, under whichever name it listens.
    pub(crate) fn tell_released(&self, holder: &str, cookie: u32) {
        tokio::spawn(tell_released(self.connection.clone(), holder.to_owned(), cookie));
    }
}

async fn serve(
    address: &BusAddress,
    published: watch::Receiver<Published>,
    requests: Requests,
) -> zbus::Result<Connection> {
    let builder = match address {
        BusAddress::System => connection::Builder::system(),
        BusAddress::Session => connection::Builder::session(),
        BusAddress::Other(address) => connection::Builder::address(address.as_str()),
    };
    let read = Read {
        published: published.clone(),
        requests: requests.clone(),
    };
    let profiles = PowerProfiles {
        published,
        requests: requests.clone(),
    };
    builder
        .method_timeout(BUS_TIMEOUT)
        .serve_at(OBJECT_PATH, read)
        .serve_at(OBJECT_PATH, Control { requests })
        .serve_at(UPOWER_PATH, UPower(profiles.clone()))
        .serve_at(LEGACY_PATH, Legacy(profiles))
        .build()
        .await
}

async fn own(connection: &Connection, name: &'static str) -> zbus::Result<()> {
    let flags = RequestNameFlags::DO_NOT_QUEUE;
    connection.request_name_with_flags(name, flags).await.map(drop)
}

async fn tell_released(connection: Connection, holder: String, cookie: u32) {
    if let Err(error) = released(&connection, &holder, cookie).await {
        debug!("{holder} cannot be told that its hold {cookie} is over: {error}");
    }
}

async fn released(connection: &Connection, holder: &str, cookie: u32) -> zbus::Result<()> {
    let holder = zbus::names::BusName::try_from(holder.to_owned())?;
    let upower = SignalEmitter::new(connection, UPOWER_PATH)?.set_destination(holder.clone());
    UPower::profile_released(&upower, cookie).await?;
    let legacy = SignalEmitter::new(connection, LEGACY_PATH)?.set_destination(holder);
    Legacy::profile_released(&legacy, cookie).await
}

/// Every interface whose properties change, and where it is.
const CHANGING: [(&str, &str); 3] = [
    (OBJECT_PATH, READ_INTERFACE),
    (UPOWER_PATH, UPOWER_NAME),
    (LEGACY_PATH, LEGACY_NAME),
];
