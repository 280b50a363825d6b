//! The model that is loaded in an engine that was started and that nobody asks.

use std::sync::Arc;
use std::time::Duration;

use api::phase::EngineOrder;
use engine::catalog::Entry;
use engine::engine::Engine;
use machine::PressureLevel;
use tokio::time::timeout;

use crate::apart::apart;
use crate::life::{Life, Wish};
use crate::model_settings::Reader;
use crate::report::Orders;

/// The image's model, which is loaded where none was chosen.
const IMAGES_MODEL: &str = "smollm2-135m-instruct";

/// Whoever a process was started for has come in by then.
const ARRIVAL: Duration = Duration::from_secs(1);

/// Loads the default model, else `chosen`, the image's or the only one, so that the first question need not wait for it; but
/// not in a process that somebody has started by connecting, who asks for what he wants, and not where memory is short.
pub(crate) async fn preload(
    engine: Engine,
    life: Life,
    settings: Arc<Reader>,
    chosen: Option<String>,
    mut orders: Orders,
) {
    if timeout(ARRIVAL, life.met()).await.is_ok() {
        return;
    }
    let order = orders.first().await;
    if order.pressure >= PressureLevel::Park {
        tracing::info!("no model is loaded yet: memory is short");
        return;
    }
    let looking = engine.clone();
    let (entries, settings) = apart(move || (looking.models(), settings.read())).await;
    let chosen = settings.default_model().or(chosen.as_deref());
    let Some(entry) = unnamed(&entries, chosen, &order) else {
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
/// one the last that answered well, the image's, or any other that is not quarantined, in this order.
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
    let fallback = fallback(entries, order);
    tracing::warn!(
        model = wanted.id,
        fallback = fallback.map(|entry| entry.id.as_str()),
        "the model is quarantined: it has ended the engine time and again"
    );
    fallback
}

/// Which model is there instead of a quarantined one.
pub(crate) fn fallback<'e>(entries: &'e [Entry], order: &EngineOrder) -> Option<&'e Entry> {
    let usable = |entry: &&Entry| entry.tag().is_ok_and(|tag| !order.quarantines(tag));
    let usable: Vec<_> = entries.iter().filter(usable).collect();
    let last = |entry: &&Entry| entry.tag().is_ok_and(|tag| tag == order.fallback);
    let images = |entry: &&Entry| entry.id == IMAGES_MODEL;
    let found = |is: &dyn Fn(&&Entry) -> bool| usable.iter().copied().find(is);
    found(&last)
        .or_else(|| found(&images))
        .or_else(|| usable.first().copied())
}

#[cfg(test)]
mod tests {
    use engine::catalog::Catalog;

    use super::*;

    #[test]
    fn another_model_is_loaded_instead_of_a_quarantined_one_as_long_as_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        for model in ["added", "coder", IMAGES_MODEL] {
            engine::tiny::write(&folder.path().join(format!("{model}.gguf")), 64).unwrap();
        }
        let entries = Catalog::new(vec![folder.path().to_owned()]).entries();
        let [added, coder, images] = std::array::from_fn(|index| entries[index].tag().unwrap());
        let loaded = |quarantined: &[u64], fallback| {
            let mut order = EngineOrder {
                fallback,
                ..EngineOrder::default()
            };
            order.quarantined[..quarantined.len()].copy_from_slice(quarantined);
            unnamed(&entries, Some("coder"), &order).map(|entry| entry.id.as_str())
        };
        assert_eq!(loaded(&[], added), Some("coder"));
        assert_eq!(
            loaded(&[coder], added),
            Some("added"),
            "the last that answered well"
        );
        assert_eq!(loaded(&[coder], 0), Some(IMAGES_MODEL));
        assert_eq!(loaded(&[coder], 7), Some(IMAGES_MODEL), "that one was removed");
        assert_eq!(loaded(&[coder, images], 0), Some("added"));
        assert_eq!(loaded(&[coder, images, added], added), None);
    }
}
