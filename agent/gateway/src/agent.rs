//! What hearthd tells over D-Bus.
//!
//! A connection is made for each question and dropped after it: that costs about a millisecond, keeps no memory while
//! nobody asks, and needs no care for a bus or an agent that was restarted in between.

mod engine;
mod links;
mod measured;
mod memory;
mod power;
mod samples;
mod system;

pub(crate) use engine::{
    EngineJob, engine, engine_limits, forget_model, limit_engine, order_engine, release_model,
};
pub(crate) use links::interfaces;
pub(crate) use measured::{Gauges, gauges};
pub(crate) use memory::memory;
pub(crate) use power::{hold, power, release, set_profile, set_target, thermal};
pub(crate) use samples::{Look, activity, look, samples};
pub(crate) use system::{Ending, end, is_synchronised};

use api::agent::{AgentProxy, BUS_NAME};
use api::engine::Engine;
use machine::{Capabilities, Sample};
use std::{str::FromStr, time::Duration};
use tokio::time::timeout;
use zbus::{
    Connection, connection,
    fdo::{self, DBusProxy},
    proxy::CacheProperties,
};

/// How long the agent may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The bus on which hearthd is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bus {
    /// The system's.
    System,
    /// The user's, for development.
    Session,
    /// One at an address.
    Address(String),
    /// None: the agent is not asked.
    None,
}

impl FromStr for Bus {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "system" => Self::System,
            "session" => Self::Session,
            "none" => Self::None,
            address => Self::Address(address.to_owned()),
        })
    }
}

/// Why the agent has told nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// The gateway was started without a bus.
    #[error("the gateway was started with --bus none")]
    NoBus,
    /// The bus or the agent gave an error.
    #[error("hearthd does not answer on the bus: {0}")]
    Bus(zbus::Error),
    /// The agent does not take a value.
    #[error("{0}")]
    Refused(String),
    /// The agent could not do it.
    #[error("{0}")]
    Failed(String),
    /// A hold has ended before it could be told of.
    #[error("the hold {0} has ended already")]
    HoldGone(u32),
    /// It took too long.
    #[error("hearthd did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// It told something else than what was agreed.
    #[error("hearthd's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
}

impl AgentError {
    /// Whether what was asked may have been heard all the same.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::Bus(_) | Self::Timeout(_))
    }
}

impl From<zbus::Error> for AgentError {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::FDO(error) => match *error {
                fdo::Error::InvalidArgs(detail) => Self::Refused(detail),
                fdo::Error::Failed(detail) => Self::Failed(detail),
                error => Self::Bus(error.into()),
            },
            error => Self::Bus(error),
        }
    }
}

/// What the machine has, what it shows now, and how the engine fares.
pub(crate) struct Observed {
    pub(crate) capabilities: Capabilities,
    pub(crate) sample: Sample,
    pub(crate) engine: Engine,
}

/// Asks for all that a status shows.
pub(crate) async fn observe(bus: &Bus) -> Result<Observed, AgentError> {
    ask(bus, async |connection| {
        let agent = agent(connection).await?;
        Ok(Observed {
            capabilities: serde_json::from_str(&agent.capabilities().await?)?,
            sample: serde_json::from_str(&agent.sample().await?)?,
            engine: serde_json::from_str(&agent.engine().await?)?,
        })
    })
    .await
}

/// Asks for what the machine has.
pub(crate) async fn capabilities(bus: &Bus) -> Result<Capabilities, AgentError> {
    ask(bus, async |connection| {
        let agent = agent(connection).await?;
        Ok(serde_json::from_str(&agent.capabilities().await?)?)
    })
    .await
}

/// Whether the agent is on the bus. Does not have the bus start it.
pub(crate) async fn is_there(bus: &Bus) -> Result<bool, AgentError> {
    ask(bus, async |connection| {
        let name = BUS_NAME.try_into()?;
        let owned = DBusProxy::new(connection).await?.name_has_owner(name).await;
        Ok(owned.map_err(zbus::Error::from)?)
    })
    .await
}

/// Asks over a connection that is made for it, and takes no longer than [`PATIENCE`].
async fn ask<T>(
    bus: &Bus,
    question: impl AsyncFnOnce(&Connection) -> Result<T, AgentError>,
) -> Result<T, AgentError> {
    ask_within(PATIENCE, bus, question).await
}

async fn ask_within<T>(
    patience: Duration,
    bus: &Bus,
    question: impl AsyncFnOnce(&Connection) -> Result<T, AgentError>,
) -> Result<T, AgentError> {
    let answer = timeout(patience, async { question(&connect(bus).await?).await }).await;
    answer.map_err(|_| AgentError::Timeout(patience))?
}

/// Without a cache: it would subscribe to changes for the sake of one question.
async fn agent(connection: &Connection) -> zbus::Result<AgentProxy<'_>> {
    let builder = AgentProxy::builder(connection);
    builder.cache_properties(CacheProperties::No).build().await
}

async fn connect(bus: &Bus) -> Result<Connection, AgentError> {
    let builder = match bus {
        Bus::System => connection::Builder::system(),
        Bus::Session => connection::Builder::session(),
        Bus::Address(address) => connection::Builder::address(address.as_str()),
        Bus::None => return Err(AgentError::NoBus),
    };
    Ok(builder.build().await?)
}
