//! The model that is loaded, and how it comes and goes.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Wanted;
use super::worker::Worker;
use crate::activity::{Named, Phase, State};
use crate::capacity::{Capacity, Memory};
use crate::catalog::{Catalog, Entry};
use crate::error::{LoadError, RequestError};
use crate::graph::Graph;
use crate::model::{self, Model, Terms};
use crate::pace::Pace;

/// How long a load waits until somebody who outlives this process knows of which model.
const TESTIMONY: Duration = Duration::from_millis(100);

/// The model that is loaded.
pub(super) struct Resident {
    pub(super) named: Named,
    /// What it was loaded from.
    pub(super) entry: Entry,
    pub(super) model: Arc<Model>,
    pub(super) graph: Graph,
}

/// A model that is to be loaded.
struct Next {
    named: Named,
    entry: Entry,
    /// Most tokens of a sequence, if somebody says.
    context: Option<usize>,
}

impl Next {
    /// The one that is loaded, to be loaded again as it is.
    fn again(resident: &Resident) -> Self {
        Self {
            named: resident.named.clone(),
            entry: resident.entry.clone(),
            context: Some(resident.model.context()),
        }
    }
}

/// Whether the model that is loaded is still the one of its name.
fn is_current(catalog: &Catalog, resident: &Resident) -> bool {
    let found = catalog.find(&resident.named.name);
    found.is_some_and(|found| resident.entry.is_still(&found))
}
impl Worker {
    pub(super) fn is_resident(&self, model: &str) -> bool {
        self.resident
            .as_ref()
            .is_some_and(|resident| *resident.named.name == *model)
    }

    /// The model of that name, loaded in place of the resident one if need be. What is answering is there to the end of
    /// its answers, whatever becomes of its folder.
    pub(super) fn model(&mut self, wanted: &Wanted) -> Result<Arc<Model>, RequestError> {
        let id = wanted.model.as_str();
        self.let_go();
        if let Some(resident) = self
            .resident
            .as_ref()
            .filter(|resident| *resident.named.name == *id)
        {
            return Ok(Arc::clone(&resident.model));
        }
        let entry = self
            .catalog
            .find(id)
            .ok_or_else(|| RequestError::NoSuchModel(id.to_owned()))?;
        let unusable = |error: &dyn Display| RequestError::Load {
            model: id.to_owned(),
            reason: error.to_string(),
        };
        let named = Named {
            name: id.into(),
            tag: entry.tag().map_err(|error| unusable(&error))?,
        };
        self.testify(&named);
        let next = Next {
            named,
            entry,
            context: wanted.context,
        };
        let loaded = match self.resident.as_ref().map(Next::again) {
            Some(held) => self.replace(held, next),
            None => self.load(next),
        };
        loaded.map_err(|error| unusable(&error))
    }

    /// Loads a model in place of the one that is held. There is memory for one: what can be told of the new one is told
    /// while the other is there yet, and if its weights are damaged, the other comes back.
    fn replace(&mut self, held: Next, next: Next) -> Result<Arc<Model>, LoadError> {
        if let Err(error) = model::foresee(&next.entry.source, &self.terms(next.context)) {
            self.publish(self.scheduler.phase());
            return Err(error);
        }
        self.load(next).inspect_err(|_| {
            let name = Arc::clone(&held.named.name);
            self.testify(&held.named);
            if let Err(error) = self.load(held) {
                tracing::warn!("the model {name} was given up for another, and cannot be had again: {error}");
            }
            self.publish(self.scheduler.phase());
        })
    }

    fn load(&mut self, next: Next) -> Result<Arc<Model>, LoadError> {
        self.unload();
        let (terms, begun) = (self.terms(next.context), Instant::now());
        let (model, graph) = model::load_on(&next.entry.source, &terms, &self.pulse)?;
        let model = Arc::new(model);
        let milliseconds = begun.elapsed().as_millis() as u64;
        tracing::info!(model = &*next.named.name, milliseconds, "loaded");
        self.resident = Some(Resident {
            named: next.named,
            entry: next.entry,
            model: Arc::clone(&model),
            graph,
        });
        self.parked = None;
        self.pace = Pace::default();
        self.apply_limits();
        self.apply_memory();
        self.publish(Phase::Loading);
        Ok(model)
    }

    /// Says which model is about to be loaded, and sees to it that this is known before the model is touched: one that
    /// ends the process says nothing any more.
    fn testify(&mut self, named: &Named) {
        self.loads += 1;
        self.tell(Phase::Loading, State::Loading, Some(named.clone()));
        self.witness.wait(self.loads, TESTIMONY);
    }

    fn terms(&self, context: Option<usize>) -> Terms {
        Terms {
            budget: self.settings.memory_budget,
            wanted: Capacity {
                slots: self.sequences.len(),
                context: self.allowed(context),
            },
            kv: self.settings.kv,
            memory: Memory {
                available: self.settings.available,
                limit: self.settings.limit.now(),
            },
            idle_kv: self.settings.parking.memory,
            renderer: self.settings.renderer,
        }
    }

    /// Most tokens of a sequence of a model that is loaded now, of which that was said.
    fn allowed(&self, context: Option<usize>) -> usize {
        context.unwrap_or(self.settings.context).min(self.context)
    }

    /// Most tokens of a sequence of the resident model; where there is none, of the next one, of which nothing was said.
    pub(super) fn context_in_force(&self) -> usize {
        let resident = self.resident.as_ref();
        resident.map_or_else(|| self.allowed(None), |resident| resident.model.context())
    }

    /// Gives out as many slots as the model has memory for, and no more than was said.
    pub(super) fn apply_limits(&mut self) {
        let room = self.resident.as_ref().map(|resident| resident.model.slots());
        self.scheduler.limit(room.into_iter().chain(self.limit).min());
    }

    /// Gives idle sessions the memory that there is for them.
    pub(super) fn apply_memory(&mut self) {
        let room = self.resident.as_ref().map(|resident| resident.model.idle_kv());
        let room = room.unwrap_or(self.settings.parking.memory);
        let room = if self.is_trimmed { room / 2 } else { room };
        self.sessions.limit_memory(room, Instant::now());
    }

    /// Gives up a model that was removed, or that another was stored in place of, once nobody is being answered by it:
    /// its blocks take room on the disk for as long as they are mapped.
    pub(super) fn let_go(&mut self) {
        if self.scheduler.active() > 0 {
            return;
        }
        let gone = |resident: &Resident| !is_current(&self.catalog, resident);
        if self.resident.as_ref().is_some_and(gone) {
            self.unload();
            self.publish(self.scheduler.phase());
        }
        let catalog = &self.catalog;
        self.parked.take_if(|parked| catalog.find(&parked.name).is_none());
    }

    /// Gives the resident model's memory back.
    pub(super) fn unload(&mut self) {
        self.resident = None;
        self.parked = None;
        self.sessions.forget_nameless();
        self.forget_removed();
        self.apply_limits();
    }

    /// Files of models that were removed take room from others.
    pub(super) fn forget_removed(&mut self) {
        let catalog = &self.catalog;
        self.sessions.forget_removed(|| catalog.roots());
    }
}
