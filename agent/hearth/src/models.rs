//! `hearth models`.

use crate::{client::Client, screen};
use api::openai::ModelList;

/// Lists the models.
pub(crate) async fn models(client: &Client, json: bool) -> anyhow::Result<()> {
    let list: ModelList = client.get("/v1/models").await?;
    if json {
        return screen::json(&list);
    }
    let rows = list.data.into_iter().map(|model| [model.id, model.owned_by]);
    screen::print(&screen::table(["MODEL", "OWNER"], rows))?;
    Ok(())
}
