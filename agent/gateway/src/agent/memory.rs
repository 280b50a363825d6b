//! What hearthd tells of memory.

use super::{AgentError, agent, ask};
use crate::agent::Bus;
use api::memory::MemoryUse;

/// Who holds memory, and what is done about it.
pub(crate) async fn memory(bus: &Bus) -> Result<MemoryUse, AgentError> {
    ask(bus, async |connection| {
        let told = agent(connection).await?.memory().await?;
        Ok(serde_json::from_str(&told)?)
    })
    .await
}
