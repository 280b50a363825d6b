//! What callers want of the loop.

use crate::interval::Interval;
use crate::state::{NewHold, Refusal};
use api::engine::{Engine, EngineLimits, UnitLimits};
use api::memory::MemoryUse;
use api::power::{Power, Thermal};
use machine::{Capabilities, MilliCelsius, PowerProfile, Sample};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use zbus::fdo;
use zbus::message::Header;
use zbus::{Connection, names::UniqueName};

/// What a caller wants of the loop, and where the answer goes.
#[derive(Debug)]
pub(crate) enum Request {
    Sample(oneshot::Sender<Sample>),
    Capabilities(oneshot::Sender<Capabilities>),
    Power(oneshot::Sender<Box<Power>>),
    Thermal(oneshot::Sender<Box<Thermal>>),
    Memory(oneshot::Sender<Box<MemoryUse>>),
    Engine(oneshot::Sender<Engine>),
    /// What the engine's unit may have; systemd is asked, so that the answer takes a while.
    EngineLimits(oneshot::Sender<anyhow::Result<EngineLimits>>),
    /// An order for the engine's unit; the answer comes when systemd has done it.
    Order(Order, Caller, oneshot::Sender<Result<(), Refusal>>),
    Change(Change, Caller, oneshot::Sender<Result<(), Refusal>>),
    /// The time, from now, after which the hold ends by itself, in seconds; 0: never. The answer is its number.
    Hold(NewHold, u64, Caller, oneshot::Sender<Result<u32, Refusal>>),
}

/// What an administrator wants of the engine's unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Start,
    Stop,
    Restart,
    /// All of its limits.
    Limit(UnitLimits),
}

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    SampleInterval(Interval),
    Profile(PowerProfile),
    /// `None`: back to the firmware profile's.
    Target(Option<MilliCelsius>),
    /// Any hold.
    Release(u32),
    /// A hold of the caller's own.
    ReleaseOwn(u32),
    /// A quarantined model, by its name.
    ReleaseModel(String),
    /// A model that was removed, by its name.
    ForgetModel(String),
}

/// Who asked for a change.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The connection's unique name on the bus.
    pub(crate) name: String,
    /// Its user, as the bus knows it.
    pub(crate) uid: u32,
}

impl Caller {
    /// Asks the bus who a sender is. A change that nobody can be named for is refused.
    pub(super) async fn of(connection: &Connection, header: &Header<'_>) -> fdo::Result<Self> {
        let sender = header
            .sender()
            .ok_or_else(|| fdo::Error::AccessDenied("the call names no sender".to_owned()))?;
        Ok(Self {
            name: sender.to_string(),
            uid: user(connection, sender).await?,
        })
    }
}

async fn user(connection: &Connection, sender: &UniqueName<'_>) -> fdo::Result<u32> {
    let bus = "org.freedesktop.DBus";
    let path = "/org/freedesktop/DBus";
    let reply = connection
        .call_method(Some(bus), path, Some(bus), "GetConnectionUnixUser", sender)
        .await?;
    Ok(reply.body().deserialize()?)
}

/// The handlers' way to the loop.
#[derive(Clone, Debug)]
pub(crate) struct Requests(mpsc::Sender<Request>);

impl Requests {
    pub(crate) fn new(sender: mpsc::Sender<Request>) -> Self {
        Self(sender)
    }

    /// Asks, and waits for the answer. Where too many ask at once, who comes last is sent away: everybody on the
    /// machine may ask, and callers that wait cost memory.
    pub(super) async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> fdo::Result<T> {
        let stopping = || fdo::Error::Disconnected("hearthd is stopping".to_owned());
        let (sender, receiver) = oneshot::channel();
        self.0.try_send(request(sender)).map_err(|error| match error {
            TrySendError::Full(_) => fdo::Error::LimitsExceeded("too many ask at once; try again".to_owned()),
            TrySendError::Closed(_) => stopping(),
        })?;
        receiver.await.map_err(|_| stopping())
    }

    /// Asks for a change, and waits until it is in force.
    pub(super) async fn change(&self, change: Change, caller: Caller) -> fdo::Result<()> {
        let outcome = self.ask(|done| Request::Change(change, caller, done)).await?;
        outcome.map_err(refused)
    }

    /// Gives an order, and waits until it is carried out.
    pub(super) async fn order(&self, order: Order, caller: Caller) -> fdo::Result<()> {
        let outcome = self.ask(|done| Request::Order(order, caller, done)).await?;
        outcome.map_err(refused)
    }

    /// What the engine's unit may have.
    pub(super) async fn engine_limits(&self) -> fdo::Result<EngineLimits> {
        let limits = self.ask(Request::EngineLimits).await?;
        limits.map_err(|error| fdo::Error::Failed(format!("{error:#}")))
    }

    /// Asks for a hold. Returns its number.
    pub(super) async fn hold(&self, hold: NewHold, seconds: u64, caller: Caller) -> fdo::Result<u32> {
        let outcome = self
            .ask(|done| Request::Hold(hold, seconds, caller, done))
            .await?;
        outcome.map_err(refused)
    }
}

fn refused(refusal: Refusal) -> fdo::Error {
    let wrap = match refusal {
        Refusal::NotYours(_) => fdo::Error::AccessDenied,
        Refusal::NotKept(_) | Refusal::NotDone(_) => fdo::Error::Failed,
        _ => fdo::Error::InvalidArgs,
    };
    wrap(format!("{:#}", anyhow::Error::new(refusal)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn who_asks_while_too_many_do_is_sent_away() {
        let (sender, mut to_loop) = mpsc::channel(1);
        let requests = Requests::new(sender);
        let first = requests.clone();
        let first = tokio::spawn(async move { first.ask(Request::Capabilities).await });
        tokio::task::yield_now().await;
        let second = timeout(Duration::from_secs(1), requests.ask(Request::Capabilities)).await;
        let refused = second.expect("it waits").unwrap_err();
        assert!(matches!(refused, fdo::Error::LimitsExceeded(_)), "{refused}");

        let Some(Request::Capabilities(reply)) = to_loop.recv().await else {
            panic!("the first has not asked");
        };
        reply.send(Capabilities::default()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), Capabilities::default());
    }
}
