//! Whether a request may be answered, and what it wishes for its model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::phase::EngineOrder;
use engine::catalog::Entry;
use engine::engine::Engine;
use engine::error::RequestError;

use crate::age;
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
        let own = self.settings.read().of(model);
        let wish = Wish {
            model: model.into(),
            keep_alive,
            usual: own.keep_alive,
            pinned: own.pin,
        };
        let asking = self.life.ask(wish).ok_or_else(Refusal::overloaded)?;
        let order = self.orders.clone().first().await;
        if order.pressure >= machine::PressureLevel::Refuse {
            return Err(Refusal::overloaded());
        }
        self.refuse_quarantined(model, &order)?;
        Ok(Admitted {
            asking,
            context: own.context.map(|tokens| tokens as usize),
            start,
        })
    }

    /// Has a model let go of as soon as it has answered.
    pub(crate) fn unload(&self, model: &str) -> Result<(), Refusal> {
        if !self.engine.models().iter().any(|entry| entry.id == model) {
            return Err(RequestError::NoSuchModel(model.to_owned()).into());
        }
        self.life.unload(model);
        Ok(())
    }

    fn refuse_quarantined(&self, model: &str, order: &EngineOrder) -> Result<(), Refusal> {
        if order.quarantined.iter().all(|&tag| tag == 0) {
            return Ok(());
        }
        let entries = self.engine.models();
        let named = entries.iter().find(|entry| entry.id == model);
        let is_quarantined = |entry: &Entry| entry.tag().is_ok_and(|tag| order.quarantines(tag));
        if !named.is_some_and(is_quarantined) {
            return Ok(());
        }
        let fallback = fallback(&entries, order).map(|entry| entry.id.as_str());
        Err(Refusal::quarantined(model, fallback))
    }
}
