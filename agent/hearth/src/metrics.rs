//! `hearth metrics`: what is counted and measured, as Prometheus reads it.

use crate::{client::Client, screen};

const METRICS: &str = "/metrics";

/// Prints them as they are.
pub(crate) async fn metrics(client: &Client) -> anyhow::Result<()> {
    Ok(screen::print(&screen::harmless(&client.text(METRICS).await?))?)
}
