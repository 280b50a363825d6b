//! hearthd on the bus. Handlers only translate: a call becomes a [`Request`] to the loop, its answer a reply.

use crate::cli::BusAddress;
use crate::interval::Interval;
use crate::published::{Changes, Published};
use anyhow::Context;
use api::agent::{BUS_NAME, OBJECT_PATH, READ_INTERFACE};
use machine::{Capabilities, Sample};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use zbus::fdo::{self, RequestNameFlags};
use zbus::message::Header;
use zbus::names::InterfaceName;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, connection, interface};

/// How long a call to the bus itself may take.
const BUS_TIMEOUT: Duration = Duration::from_secs(10);

/// What a caller wants of the loop, and where the answer goes.
#[derive(Debug)]
pub(crate) enum Request {
    Sample(oneshot::Sender<Sample>),
    Capabilities(oneshot::Sender<Capabilities>),
    SetSampleInterval(Interval, Caller, oneshot::Sender<()>),
}

/// Who asked for a change.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The connection's unique name on the bus.
    pub(crate) name: String,
    /// Its user, as the bus knows it.
    pub(crate) uid: u32,
}

/// The connection, on which the agent's name is owned.
#[derive(Debug)]
pub(crate) struct Bus {
    pub(crate) connection: Connection,
    published: watch::Sender<Published>,
}

impl Bus {
    /// Connects, serves both interfaces, and then takes the name, so that whoever sees the name finds the interfaces.
    pub(crate) async fn connect(
        address: &BusAddress,
        published: Published,
        requests: mpsc::Sender<Request>,
    ) -> anyhow::Result<Self> {
        let (sender, receiver) = watch::channel(published);
        let builder = match address {
            BusAddress::System => connection::Builder::system(),
            BusAddress::Session => connection::Builder::session(),
            BusAddress::Other(address) => connection::Builder::address(address.as_str()),
        };
        let read = Read {
            published: receiver,
            requests: requests.clone(),
        };
        let connection = builder
            .method_timeout(BUS_TIMEOUT)
            .serve_at(OBJECT_PATH, read)
            .serve_at(OBJECT_PATH, Control { requests })
            .build()
            .await
            .with_context(|| format!("cannot connect to {address}; is it running, and is --bus right?"))?;
        connection
            .request_name_with_flags(BUS_NAME, RequestNameFlags::DO_NOT_QUEUE)
            .await
            .with_context(|| {
                format!("cannot own {BUS_NAME} on {address}; does another hearthd run, or does the bus policy deny it?")
            })?;
        Ok(Self {
            connection,
            published: sender,
        })
    }

    /// Shows new values, and tells those who listen what has changed, in one signal.
    pub(crate) async fn publish(&self, now: Published) -> zbus::Result<()> {
        let Changes { changed, invalidated } = {
            let changes = now.changes_since(&self.published.borrow());
            if changes.is_empty() {
                return Ok(());
            }
            changes
        };
        self.published.send_replace(now);
        let emitter = SignalEmitter::new(&self.connection, OBJECT_PATH)?;
        let interface = InterfaceName::from_static_str(READ_INTERFACE)?;
        fdo::Properties::properties_changed(&emitter, interface, changed, invalidated.into()).await
    }
}

/// The interface to read.
struct Read {
    published: watch::Receiver<Published>,
    requests: mpsc::Sender<Request>,
}

#[interface(name = "org.hearth.Agent1")]
impl Read {
    /// Reads the machine, or answers with a sample of the last quarter of a second. JSON of `machine::Sample`.
    async fn sample(&self) -> fdo::Result<String> {
        json(&ask(&self.requests, Request::Sample).await?)
    }

    /// What was found on the machine. JSON of `machine::Capabilities`.
    async fn capabilities(&self) -> fdo::Result<String> {
        json(&ask(&self.requests, Request::Capabilities).await?)
    }

    /// hearthd's version.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    /// Time between two samples, in milliseconds.
    #[zbus(property)]
    fn sample_interval(&self) -> u64 {
        self.published.borrow().sample_interval
    }

    /// Physical memory that the kernel manages, in bytes.
    #[zbus(property)]
    fn memory_total(&self) -> fdo::Result<u64> {
        known(self.published.borrow().memory_total)
    }

    /// Memory that new work can have, in bytes.
    #[zbus(property)]
    fn memory_available(&self) -> fdo::Result<u64> {
        known(self.published.borrow().memory_available)
    }

    /// Type and temperature in thousandths of a degree Celsius of each thermal zone that could be read.
    #[zbus(property)]
    fn zone_temperatures(&self) -> Vec<(String, i32)> {
        self.published.borrow().zone_temperatures.clone()
    }

    /// Number and clock in kHz of each cpufreq policy that could be read.
    #[zbus(property)]
    fn policy_frequencies(&self) -> Vec<(u32, u64)> {
        self.published.borrow().policy_frequencies.clone()
    }

    /// How many files cannot be read or believed; `Sample` and `Capabilities` name them.
    #[zbus(property)]
    fn warning_count(&self) -> u32 {
        self.published.borrow().warning_count
    }
}

/// The interface to control; the bus policy says who may call it.
struct Control {
    requests: mpsc::Sender<Request>,
}

#[interface(name = "org.hearth.Control1")]
impl Control {
    /// Sets the time between two samples, in milliseconds, from 250 to 3600000.
    async fn set_sample_interval(
        &self,
        milliseconds: u64,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let interval = Interval::from_millis(milliseconds);
        let interval = interval.map_err(|error| fdo::Error::InvalidArgs(error.to_string()))?;
        let caller = caller(connection, &header).await?;
        ask(&self.requests, |done| {
            Request::SetSampleInterval(interval, caller, done)
        })
        .await
    }
}

/// Asks the bus who a sender is. A change that nobody can be named for is refused.
async fn caller(connection: &Connection, header: &Header<'_>) -> fdo::Result<Caller> {
    let sender = header
        .sender()
        .ok_or_else(|| fdo::Error::AccessDenied("the call names no sender".to_owned()))?;
    let bus = "org.freedesktop.DBus";
    let reply = connection
        .call_method(
            Some(bus),
            "/org/freedesktop/DBus",
            Some(bus),
            "GetConnectionUnixUser",
            sender,
        )
        .await?;
    Ok(Caller {
        name: sender.to_string(),
        uid: reply.body().deserialize()?,
    })
}

async fn ask<T>(
    requests: &mpsc::Sender<Request>,
    request: impl FnOnce(oneshot::Sender<T>) -> Request,
) -> fdo::Result<T> {
    let stopping = || fdo::Error::Failed("hearthd is stopping".to_owned());
    let (sender, receiver) = oneshot::channel();
    requests.send(request(sender)).await.map_err(|_| stopping())?;
    receiver.await.map_err(|_| stopping())
}

fn json(value: &impl serde::Serialize) -> fdo::Result<String> {
    serde_json::to_string(value).map_err(|error| fdo::Error::Failed(error.to_string()))
}

/// D-Bus has no null: a reading that is missing is an error to `Get`, and absent from `GetAll`.
fn known(value: Option<u64>) -> fdo::Result<u64> {
    value.ok_or_else(|| fdo::Error::Failed("this could not be read; Sample says why".to_owned()))
}
