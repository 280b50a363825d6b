//! Whether a request may be answered, and what it wishes for its model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::phase::EngineOrder;
use engine::catalog::Entry;
use engine::engine::Engine;
use engine::error::RequestError;

use crate::age;
use crate::apart::apart;
use crate::life::{Asking, KeepAlive, Life, Wish};
use crate::model_settings::Reader;
use crate::preload::fallback;
use crate::refusal::Refusal;
use crate::report::Orders;

/// Decides on requests.
#[derive(Clone)]
pub(crate) struct Admission {
    engine: Engine,
    life: Life,
    orders: Orders,
    settings: Arc<Reader>,
    /// Whether there was a request.
    is_asked: Arc<AtomicBool>,
}

/// A request that may be answered.
pub(crate) struct Admitted {
    /// To be kept until it is.
    pub(crate) asking: Asking,
    /// Most tokens of a conversation with its model, if that was set.
    pub(crate) context: Option<usize>,
    /// How old the process was, if this is its first request.
    pub(crate) start: Option<Duration>,
}

impl Admission {
    /// For the requests to an engine.
    pub(crate) fn new(engine: Engine, life: Life, orders: Orders, settings: Arc<Reader>) -> Self {
        Self {
            engine,
            life,
            orders,
            settings,
            is_asked: Arc::default(),
        }
    }

    /// Admits a request, or refuses it for want of memory or for its model's sake; never because the engine is idle.
    pub(crate) async fn admit(
        &self,
        model: &str,
        keep_alive: Option<KeepAlive>,
    ) -> Result<Admitted, Refusal> {
        let start = (!self.is_asked.swap(true, Ordering::Relaxed))
            .then(age::of_process)
            .flatten();
        // Before anything is waited for: an engine that somebody asks has something to do.
        let asking = self.life.ask().ok_or_else(Refusal::overloaded)?;
        let (settings, name) = (Arc::clone(&self.settings), model.to_owned());
        let own = apart(move || settings.read().of(&name)).await;
        let asking = asking.wishing(Wish {
            model: model.into(),
            keep_alive,
            usual: own.keep_alive,
            pinned: own.pin,
        });
        let order = self.orders.clone().first().await;
        if order.pressure >= machine::PressureLevel::Refuse {
            return Err(Refusal::overloaded());
        }
        self.refuse_quarantined(model, order).await?;
        Ok(Admitted {
            asking,
            context: own.context.map(|tokens| tokens as usize),
            start,
        })
    }

    /// Has a model let go of as soon as it has answered, also where its first answer is under way.
    pub(crate) async fn unload(&self, model: &str) -> Result<(), Refusal> {
        let engine = self.engine.clone();
        let entries = apart(move || engine.models()).await;
        if !entries.iter().any(|entry| entry.id == model) {
            return Err(RequestError::NoSuchModel(model.to_owned()).into());
        }
        self.life.unload(model);
        Ok(())
    }

    async fn refuse_quarantined(&self, model: &str, order: EngineOrder) -> Result<(), Refusal> {
        if order.quarantined.iter().all(|&tag| tag == 0) {
            return Ok(());
        }
        let (engine, model) = (self.engine.clone(), model.to_owned());
        let refusal = apart(move || quarantined(&engine.models(), &model, &order)).await;
        refusal.map_or(Ok(()), Err)
    }
}

/// Why a model is not loaded, if it is quarantined.
fn quarantined(entries: &[Entry], model: &str, order: &EngineOrder) -> Option<Refusal> {
    let named = entries.iter().find(|entry| entry.id == model)?;
    let is_held = named.tag().is_ok_and(|tag| order.quarantines(tag));
    let fallback = || fallback(entries, order).map(|entry| entry.id.as_str());
    is_held.then(|| Refusal::quarantined(model, fallback()))
}
