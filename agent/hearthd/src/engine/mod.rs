//! How the engine fares: its failures, the models that they are put down to, and whether it is stuck. Values in, values
//! out: who asks systemd is [`crate::actuators`], who tells the journal is `daemon::told`.

mod book;
mod quarantine;
mod watchdog;

pub(crate) use quarantine::Model;
pub(crate) use watchdog::{Stuck, Verdict};

use crate::state::FileError;
use api::engine::{ActiveState, Engine, Failure, Quarantined, ServiceResult, Unit};
use api::phase::{MOST_QUARANTINED, PhaseRecord};
use book::Book;
use machine::{BootTime, EngineSample, Phase};
use quarantine::{MOST_FAILURES, Quarantine, WINDOW_USEC};
use std::collections::VecDeque;
use std::path::PathBuf;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use watchdog::{Sight, Watchdog};

/// Failures that are shown at most.
const MOST_SHOWN: usize = 32;

/// An instant, as the laws count it and as people read it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) boot: BootTime,
    pub(crate) wall: OffsetDateTime,
}

impl Now {
    /// That instant, which is now.
    pub(crate) fn at(boot: BootTime) -> Self {
        Self {
            boot,
            wall: OffsetDateTime::now_utc(),
        }
    }
}

/// What has happened, to be told.
#[derive(Debug)]
pub(crate) enum News {
    /// The engine is stuck, and is ended.
    Stuck(Stuck),
    /// A run of the engine has failed.
    Failed(Failure),
    /// A model is not loaded any more.
    Quarantined { model: Model, reason: String },
    /// Another model of its name is there.
    Replaced(Model),
    /// What must not be forgotten could not be written down.
    NotKept(FileError),
}

/// Watches the engine.
#[derive(Debug)]
pub(crate) struct Overseer {
    watchdog: Watchdog,
    quarantine: Quarantine,
    book: Book,
    unit: Option<Unit>,
    /// The run whose end was counted last, by its invocation.
    counted: String,
    /// The model that the run that goes on has, or had.
    model: Option<Model>,
    /// Tokens that this model has generated, by the newest record; `None` before the first of this run.
    generated: Option<u64>,
    /// The engine was asked for a record then, and none has come since.
    asked_at: Option<BootTime>,
    /// Why hearthd has ended the run that goes on.
    stuck: Option<Stuck>,
    failures: VecDeque<(BootTime, Failure)>,
}

impl Overseer {
    /// Goes on from what the file holds; `None` in development.
    pub(crate) fn open(file: Option<PathBuf>) -> Self {
        let book = Book::open(file);
        Self {
            watchdog: Watchdog::default(),
            quarantine: book.quarantine(),
            book,
            unit: None,
            counted: String::new(),
            model: None,
            generated: None,
            asked_at: None,
            stuck: None,
            failures: VecDeque::new(),
        }
    }

    /// The engine says something. What it said last counts for its end, too.
    pub(crate) fn hear(&mut self, record: &PhaseRecord, now: Now) -> Vec<News> {
        self.asked_at = None;
        let model = (record.model != 0).then(|| Model {
            tag: record.model,
            name: record.model_name.as_str().to_owned(),
        });
        if self.model != model {
            self.generated = None;
        }
        self.model = model;
        let Some(model) = self.model.clone() else {
            return Vec::new();
        };
        let mut news = Vec::new();
        if self.quarantine.seen(&model) {
            news.push(News::Replaced(model.clone()));
            news.extend(self.keep(now, ""));
        }
        if self.has_answered(record) && self.quarantine.answered(&model) {
            news.extend(self.keep(now, ""));
        }
        news
    }

    /// Whether the model has generated something and nobody waits for more of it: it has answered well.
    fn has_answered(&mut self, record: &PhaseRecord) -> bool {
        let before = *self.generated.get_or_insert(record.generated);
        let rests = record.phase == Phase::Idle && record.active == 0;
        if rests {
            self.generated = Some(record.generated);
        }
        rests && record.generated > before
    }

    /// The engine's connection is closed: it is not watched any more. What it said last counts for its end.
    pub(crate) fn gone(&mut self) {
        self.asked_at = None;
    }

    /// The engine is to be asked for a record, unless it was before and has not answered yet. Whether it is.
    pub(crate) fn ask(&mut self, now: BootTime) -> bool {
        let is_new = self.asked_at.is_none();
        self.asked_at.get_or_insert(now);
        is_new
    }

    /// systemd tells something of the unit. `ours`: hearthd itself keeps it from running, so that no end of it counts.
    pub(crate) fn hear_systemd(&mut self, unit: Unit, ours: bool, now: Now) -> Vec<News> {
        let has_failed = unit.result.is_failure() && unit.invocation_id != self.counted;
        // Of a run that had failed before hearthd came nobody knows when, nor with which model.
        let counts = has_failed && !ours && self.unit.is_some();
        let is_over = has_failed || unit.active_state == ActiveState::Inactive;
        if has_failed {
            self.counted.clone_from(&unit.invocation_id);
        }
        let result = unit.result;
        self.unit = Some(unit);
        let news = if counts {
            self.failed(result, now)
        } else {
            Vec::new()
        };
        if is_over {
            self.model = None;
            self.stuck = None;
        }
        news
    }

    fn failed(&mut self, result: ServiceResult, now: Now) -> Vec<News> {
        let failure = Failure {
            at: rfc3339(now.wall),
            model: self.model.as_ref().map(|model| model.name.clone()),
            result,
            stuck: self.stuck.map(|stuck| stuck.to_string()),
        };
        self.failures.push_back((now.boot, failure.clone()));
        if self.failures.len() > MOST_SHOWN {
            self.failures.pop_front();
        }
        let mut news = vec![News::Failed(failure.clone())];
        if let Some(model) = self.model.clone()
            && self.quarantine.failed(&model, now.boot)
        {
            let reason = reason(&failure);
            news.extend(self.keep(now, &reason));
            news.push(News::Quarantined { model, reason });
        }
        news
    }

    /// Looks whether the engine is stuck.
    pub(crate) fn look(&mut self, engine: Option<&EngineSample>, share: f64, now: BootTime) -> Verdict {
        let verdict = self.watchdog.look(&Sight {
            now,
            engine,
            asked_at: self.asked_at,
            share,
        });
        if let Verdict::Stuck(stuck) = verdict {
            self.stuck = Some(stuck);
        }
        verdict
    }

    /// Sets a model free. Whether it was quarantined, and why that could not be written down.
    pub(crate) fn release(&mut self, name: &str, now: Now) -> Result<bool, FileError> {
        let was_held = self.quarantine.release(name);
        if was_held {
            self.book.note(&self.quarantine, now.wall, "")?;
        }
        Ok(was_held)
    }

    fn keep(&mut self, now: Now, reason: &str) -> Option<News> {
        let kept = self.book.note(&self.quarantine, now.wall, reason);
        kept.err().map(News::NotKept)
    }

    /// What the engine is told: the tags of models that it must not load, and of the one that stands in.
    pub(crate) fn told(&self) -> ([u64; MOST_QUARANTINED], u64) {
        let mut tags = [0; MOST_QUARANTINED];
        for (place, held) in tags.iter_mut().zip(self.quarantine.held()) {
            *place = held.tag;
        }
        (tags, self.quarantine.fallback().map_or(0, |model| model.tag))
    }

    /// What people are shown.
    pub(crate) fn shown(&self, now: BootTime) -> Engine {
        let recent = |at: BootTime| now.0.saturating_sub(at.0) <= WINDOW_USEC;
        let failures = self.failures.iter().filter(|(at, _)| recent(*at));
        let held = self.book.held().iter().map(|held| Quarantined {
            model: held.model.name.clone(),
            since: rfc3339(held.since),
            reason: held.reason.clone(),
        });
        Engine {
            unit: self.unit.clone(),
            failures: failures.map(|(_, failure)| failure.clone()).collect(),
            quarantined: held.collect(),
            fallback: self.quarantine.fallback().map(|model| model.name.clone()),
        }
    }
}

fn reason(last: &Failure) -> String {
    let how = match &last.stuck {
        Some(stuck) => format!("was stuck ({stuck})"),
        None => last.result.said().to_owned(),
    };
    let minutes = WINDOW_USEC / 60_000_000;
    format!(
        "the engine failed {MOST_FAILURES} times within {minutes} minutes with it; the last time it {how}"
    )
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}

#[cfg(test)]
mod tests;
