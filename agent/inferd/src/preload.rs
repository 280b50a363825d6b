//! The model that is loaded before anybody asks.

use api::phase::EngineOrder;
use engine::catalog::Entry;
use engine::engine::Engine;

use crate::life::{Life, Wish};
use crate::model_settings::Reader;
use crate::report::Orders;

/// The image's model, which is loaded where none was chosen.
const IMAGES_MODEL: &str = "smollm2-135m-instruct";

/// Loads the default model, or the only one, so that the first question need not wait for it; unless it is there already.
pub(crate) async fn preload(engine: Engine, life: Life, settings: &Reader, mut orders: Orders) {
    let order = orders.first().await;
    let (entries, settings) = (engine.models(), settings.read());
    let Some(entry) = unnamed(&entries, settings.default_model(), &order) else {
        tracing::info!(models = entries.len(), folders = ?engine.folders(), "no model is loaded yet");
        return;
    };
    let own = settings.of(&entry.id);
    let wish = Wish {
        model: entry.id.as_str().into(),
        keep_alive: None,
        usual: own.keep_alive,
        pinned: own.pin,
    };
    let Some(mut asking) = life.ask_unless_asked(wish) else {
        return;
    };
    let context = own.context.map(|tokens| tokens as usize);
    match engine.load(&entry.id, context).await {
        Ok(()) => asking.answered(),
        Err(error) => tracing::error!("{error}"),
    }
}

/// The model that is loaded without being named: the chosen one, the image's, or the only one; or instead of a quarantined
/// one the last that answered well.
fn unnamed<'e>(entries: &'e [Entry], chosen: Option<&str>, order: &EngineOrder) -> Option<&'e Entry> {
    let named = |name: &str| entries.iter().find(|entry| entry.id == name);
    let only = || entries.first().filter(|_| entries.len() == 1);
    let wanted = chosen
        .and_then(named)
        .or_else(|| named(IMAGES_MODEL))
        .or_else(only)?;
    if !wanted.tag().is_ok_and(|tag| order.quarantines(tag)) {
        return Some(wanted);
    }
    let fallback = entries
        .iter()
        .find(|entry| entry.tag().is_ok_and(|tag| tag == order.fallback));
    tracing::warn!(
        model = wanted.id,
        fallback = fallback.map(|entry| entry.id.as_str()),
        "the model is quarantined: it has ended the engine time and again"
    );
    fallback
}
