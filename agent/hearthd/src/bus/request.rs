//! What callers want of the loop.

use crate::actuators::Ending;
use crate::interval::Interval;
use crate::state::{NewHold, Refusal};
use api::engine::{Engine, EngineLimits, UnitLimits};
use api::memory::MemoryUse;
use api::power::{Power, Thermal};
use api::samples::Samples;
use machine::{Capabilities, MilliCelsius, PowerProfile, Sample};
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot};
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
    /// What was seen over so many seconds.
    Samples(u32, oneshot::Sender<Samples>),
    Engine(oneshot::Sender<Engine>),
    /// What the engine's unit may have; systemd is asked, so that the answer takes a while.
    EngineLimits(oneshot::Sender<anyhow::Result<EngineLimits>>),
    /// Whether an order would be carried out; systemd is looked for, so that the answer takes a while.
    TakesOrders(oneshot::Sender<anyhow::Result<()>>),
    /// An order for the engine's unit; the answer comes when systemd has done it.
    Order(Order, Caller, oneshot::Sender<Result<(), Refusal>>),
    Change(Change, Caller, oneshot::Sender<Result<(), Refusal>>),
    /// The time, from now, after which the hold ends by itself, in seconds; 0: never. The answer is its number.
    Hold(NewHold, u64, Caller, oneshot::Sender<Result<u32, Refusal>>),
}

/// What an administrator wants of systemd: of the engine's unit, or of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Start,
    Stop,
    Restart,
    /// All of its limits.
    Limit(UnitLimits),
    /// The machine itself is to end.
    End(Ending),
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
pub(crate) struct Requests {
    to_loop: mpsc::Sender<Request>,
    /// For callers who are no administrators and whom systemd's answer is wanted for.
    systemd: Arc<Semaphore>,
}

/// Callers at most whom systemd is asked for at a time: each costs about nine calls to it.
const MOST_ASKING_SYSTEMD: usize = 4;

impl Requests {
    pub(crate) fn new(sender: mpsc::Sender<Request>) -> Self {
        Self {
            to_loop: sender,
            systemd: Arc::new(Semaphore::new(MOST_ASKING_SYSTEMD)),
        }
    }

    /// Asks, and waits for the answer. Where too many ask at once, who comes last is sent away: everybody on the
    /// machine may ask, and callers that wait cost memory.
    pub(super) async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> fdo::Result<T> {
        let stopping = || fdo::Error::Disconnected("hearthd is stopping".to_owned());
        let (sender, receiver) = oneshot::channel();
        self.to_loop
            .try_send(request(sender))
            .map_err(|error| match error {
                TrySendError::Full(_) => too_many(),
                TrySendError::Closed(_) => stopping(),
            })?;
        receiver.await.map_err(|_| stopping())
    }

    /// Asks for a change, and waits until it is in force.
    pub(super) async fn change(&self, change: Change, caller: Caller) -> fdo::Result<()> {
        let outcome = self.ask(|done| Request::Change(change, caller, done)).await?;
        outcome.map_err(refused)
    }

    /// Gives an order, and waits until it is carried out. One that cannot be changes nothing.
    pub(super) async fn order(&self, order: Order, caller: Caller) -> fdo::Result<()> {
        let takes = self.ask(Request::TakesOrders).await?;
        takes.map_err(|error| fdo::Error::Failed(format!("{error:#}")))?;
        let outcome = self.ask(|done| Request::Order(order, caller, done)).await?;
        outcome.map_err(refused)
    }

    /// What the engine's unit may have, for anybody.
    pub(super) async fn engine_limits(&self) -> fdo::Result<EngineLimits> {
        let _permit = self.systemd.try_acquire().map_err(|_| too_many())?;
        self.engine_limits_at_once().await
    }

    /// The same for an administrator, who comes through whoever else asks.
    pub(super) async fn engine_limits_at_once(&self) -> fdo::Result<EngineLimits> {
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

fn too_many() -> fdo::Error {
    fdo::Error::LimitsExceeded("too many ask at once; try again".to_owned())
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

    #[tokio::test]
    async fn systemd_is_asked_for_a_few_at_a_time_and_for_administrators_always() {
        let (sender, mut to_loop) = mpsc::channel(64);
        let requests = Requests::new(sender);
        let waiting: Vec<_> = (0..MOST_ASKING_SYSTEMD)
            .map(|_| {
                let requests = requests.clone();
                tokio::spawn(async move { requests.engine_limits().await })
            })
            .collect();
        tokio::task::yield_now().await;
        let refused = requests.engine_limits().await.unwrap_err();
        assert!(matches!(refused, fdo::Error::LimitsExceeded(_)), "{refused}");
        let administrator = tokio::spawn(async move { requests.engine_limits_at_once().await });
        for _ in 0..=MOST_ASKING_SYSTEMD {
            let Some(Request::EngineLimits(reply)) = to_loop.recv().await else {
                panic!("it is not asked");
            };
            reply.send(Ok(EngineLimits::default())).unwrap();
        }
        for asked in waiting.into_iter().chain([administrator]) {
            assert!(asked.await.unwrap().is_ok());
        }
    }
}
