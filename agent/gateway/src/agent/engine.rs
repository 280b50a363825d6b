//! What hearthd is asked to change of the engine.

use super::power::control;
use super::{AgentError, agent, ask};
use crate::agent::Bus;
use api::engine::Engine;

/// Lets a quarantined model be loaded again. How the engine fares then.
pub(crate) async fn release_model(bus: &Bus, model: &str) -> Result<Engine, AgentError> {
    ask(bus, async |connection| {
        control(connection).await?.release_model(model).await?;
        Ok(serde_json::from_str(&agent(connection).await?.engine().await?)?)
    })
    .await
}
