//! What hearthd tells of the engine, and what it is asked to change.

use super::power::control;
use super::{AgentError, agent, ask, ask_within};
use crate::agent::Bus;
use api::engine::{Engine, EngineLimits, NewLimits};
use std::time::Duration;
use zbus::Connection;

/// How long systemd's jobs may take: hearthd gives them up before.
const PATIENCE: Duration = Duration::from_secs(80);

/// What systemd is to do with the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EngineJob {
    Start,
    Stop,
    Restart,
}

/// How the engine fares.
pub(crate) async fn engine(bus: &Bus) -> Result<Engine, AgentError> {
    ask(bus, async |connection| read(connection).await).await
}

/// Lets a quarantined model be loaded again. How the engine fares then.
pub(crate) async fn release_model(bus: &Bus, model: &str) -> Result<Engine, AgentError> {
    ask(bus, async |connection| {
        control(connection).await?.release_model(model).await?;
        read(connection).await
    })
    .await
}

/// Tells that a model was removed.
pub(crate) async fn forget_model(bus: &Bus, model: &str) -> Result<(), AgentError> {
    ask(bus, async |connection| {
        Ok(control(connection).await?.forget_model(model).await?)
    })
    .await
}

/// Has the engine started or stopped, and waits until it is. How it fares then.
pub(crate) async fn order_engine(bus: &Bus, job: EngineJob) -> Result<Engine, AgentError> {
    ask_within(PATIENCE, bus, async |connection| {
        let control = control(connection).await?;
        match job {
            EngineJob::Start => control.start_engine().await?,
            EngineJob::Stop => control.stop_engine().await?,
            EngineJob::Restart => control.restart_engine().await?,
        }
        read(connection).await
    })
    .await
}

/// What the engine's unit may have.
pub(crate) async fn engine_limits(bus: &Bus) -> Result<EngineLimits, AgentError> {
    ask(bus, async |connection| read_limits(connection).await).await
}

/// Sets what the engine's unit may have. What is in force then.
pub(crate) async fn limit_engine(bus: &Bus, new: &NewLimits) -> Result<EngineLimits, AgentError> {
    let limits = serde_json::to_string(new)?;
    ask_within(PATIENCE, bus, async |connection| {
        control(connection).await?.set_engine_limits(&limits).await?;
        read_limits(connection).await
    })
    .await
}

async fn read(connection: &Connection) -> Result<Engine, AgentError> {
    Ok(serde_json::from_str(&agent(connection).await?.engine().await?)?)
}

async fn read_limits(connection: &Connection) -> Result<EngineLimits, AgentError> {
    Ok(serde_json::from_str(
        &agent(connection).await?.engine_limits().await?,
    )?)
}
