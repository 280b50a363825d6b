//! `hearth health`: whether the appliance can answer questions.

use crate::{
    client::Client,
    screen::{self, BAD, line},
};
use anyhow::bail;
use api::rest::{Condition, Health};

const HEALTH: &str = "/api/v1/health";

/// Tells it, and fails where it cannot, so that a script hears of it.
pub(crate) async fn health(client: &Client, json: bool) -> anyhow::Result<()> {
    let health: Health = client.look(HEALTH).await?;
    if json {
        screen::json(&health)?;
    } else {
        let mut text = String::new();
        line(&mut text, "Engine", said(health.engine));
        line(&mut text, "Agent", said(health.agent));
        screen::print(&text)?;
    }
    match health.status {
        Condition::Ok => Ok(()),
        Condition::Unavailable => bail!("the appliance cannot do all that it is for; see \"hearth status\""),
    }
}

fn said(condition: Condition) -> String {
    match condition {
        Condition::Ok => "ok".to_owned(),
        Condition::Unavailable => format!("{BAD}not there{BAD:#}"),
    }
}
