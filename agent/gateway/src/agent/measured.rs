//! All that hearthd measures, at once.

use super::{AgentError, agent, ask};
use crate::agent::Bus;
use api::{
    engine::Engine,
    power::{Power, Thermal},
};
use machine::Sample;

/// What hearthd measures.
pub(crate) struct Gauges {
    /// The machine's readings.
    pub(crate) sample: Sample,
    /// Power and clocks.
    pub(crate) power: Power,
    /// Heat.
    pub(crate) thermal: Thermal,
    /// How the engine fares.
    pub(crate) engine: Engine,
}

/// Asks for all of it.
pub(crate) async fn gauges(bus: &Bus) -> Result<Gauges, AgentError> {
    ask(bus, async |connection| {
        let agent = agent(connection).await?;
        Ok(Gauges {
            sample: serde_json::from_str(&agent.sample().await?)?,
            power: serde_json::from_str(&agent.power().await?)?,
            thermal: serde_json::from_str(&agent.thermal().await?)?,
            engine: serde_json::from_str(&agent.engine().await?)?,
        })
    })
    .await
}
