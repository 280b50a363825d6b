//! What hearthd tells of the time before, and of what is new.

use super::{AgentError, agent, ask};
use crate::agent::Bus;
use api::{
    engine::{Engine, EngineActivity},
    samples::{Row, Samples},
};
use machine::{Sample, Warning};

/// What the machine showed over so many seconds, and now.
pub(crate) async fn samples(bus: &Bus, seconds: u32) -> Result<Samples, AgentError> {
    ask(bus, async |connection| {
        let told = agent(connection).await?.samples(seconds).await?;
        Ok(serde_json::from_str(&told)?)
    })
    .await
}

/// What is new since a moment ago.
#[derive(Debug)]
pub(crate) struct Look {
    /// The newest row.
    pub(crate) row: Option<Row>,
    /// What the engine does.
    pub(crate) engine: EngineActivity,
    /// What cannot be read or believed.
    pub(crate) warnings: Vec<Warning>,
}

/// Looks at the machine and the engine at once.
pub(crate) async fn look(bus: &Bus) -> Result<Look, AgentError> {
    ask(bus, async |connection| {
        let agent = agent(connection).await?;
        let samples: Samples = serde_json::from_str(&agent.samples(1).await?)?;
        let sample: Sample = serde_json::from_str(&agent.sample().await?)?;
        let engine: Engine = serde_json::from_str(&agent.engine().await?)?;
        Ok(Look {
            row: samples.rows.last().map(|row| Row::from(*row)),
            engine: EngineActivity::new(sample.engine.as_ref(), engine.quarantined),
            warnings: sample.warnings,
        })
    })
    .await
}

/// What the engine does.
pub(crate) async fn activity(bus: &Bus) -> Result<EngineActivity, AgentError> {
    look(bus).await.map(|look| look.engine)
}
