//! How the engine fares: its failures, the models that they are put down to, and whether it is stuck. Values in, values
//! out: who asks systemd is [`crate::actuators`], who tells the journal is `daemon::told`.

mod administered;
mod book;
mod quarantine;
mod watchdog;

pub(crate) use administered::{Administered, AdministeredBook, BadLimit, Room, check, check_own};
pub(crate) use quarantine::Model;
pub(crate) use watchdog::{Stuck, Verdict};

use crate::state::FileError;
use api::engine::{ActiveState, Engine, Failure, Quarantined, ServiceResult, Unit};
use api::phase::{MOST_QUARANTINED, PhaseRecord};
use book::Book;
use machine::{BootTime, EngineSample, Phase};
use quarantine::{LAPSE_USEC, MOST_FAILURES, Quarantine, WINDOW_USEC};
use std::collections::VecDeque;
use std::path::PathBuf;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use watchdog::{Sight, Watchdog};

/// The status of a run that `SIGKILL` has ended, which is how the kernel ends one for want of memory.
const SIGKILL: i32 = 9;

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

/// What else is so when systemd tells something of the unit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Circumstances {
    /// hearthd itself keeps the engine from running: no end of it is a failure.
    pub(crate) is_stopped: bool,
    /// Others have taken the memory, now or a moment ago: whom the kernel ends for it is not to blame.
    pub(crate) is_excused: bool,
}

/// What has happened, to be told.
#[derive(Debug)]
pub(crate) enum News {
    /// The engine is stuck, and is ended.
    Stuck(Stuck),
    /// A run of the engine has failed.
    Failed(Failure),
    /// That is not put down to the model: others had taken the memory.
    Excused(Model),
    /// A model is not loaded any more.
    Quarantined { model: Model, reason: String },
    /// A model is free because so many others are quarantined.
    Displaced(Model),
    /// A model is free because nobody has stood in for it for so many minutes.
    Lapsed { model: Model, minutes: u64 },
    /// Another model of its name is there.
    Replaced(Model),
    /// What must not be forgotten could not be written down.
    NotKept(FileError),
}

/// A run of the engine, by what it has said.
#[derive(Debug, Default)]
struct Speaker {
    /// Its process; `None` where that is not known.
    process: Option<u32>,
    /// The model that it has, or had.
    model: Option<Model>,
    /// Tokens that this model has generated, by the newest record; `None` before the first.
    generated: Option<u64>,
}

impl Speaker {
    /// Whether it is the run with that main process, as far as that is known.
    fn is(&self, process: u32) -> bool {
        process == 0 || self.process.is_none_or(|own| own == process)
    }

    /// The record tells of its model. Whether that has generated something and nobody waits for more of it: it has
    /// answered well.
    fn has_answered(&mut self, record: &PhaseRecord) -> bool {
        let before = *self.generated.get_or_insert(record.generated);
        let rests = record.phase == Phase::Idle && record.active == 0;
        if rests {
            self.generated = Some(record.generated);
        }
        rests && record.generated > before
    }
}

/// Watches the engine.
#[derive(Debug)]
pub(crate) struct Overseer {
    watchdog: Watchdog,
    quarantine: Quarantine,
    book: Book,
    /// It was told that the book cannot be written, and it could not be since.
    has_complained: bool,
    unit: Option<Unit>,
    /// The run whose end was counted last, by its invocation.
    counted: String,
    /// The run that hearthd has kept from going on last, by its invocation: it may end when another may run already.
    stopped: String,
    /// The run that has said something last.
    speaker: Speaker,
    /// The one that did before, of whose end systemd may tell when the next has spoken already.
    earlier: Speaker,
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
            has_complained: false,
            unit: None,
            counted: String::new(),
            stopped: String::new(),
            speaker: Speaker::default(),
            earlier: Speaker::default(),
            asked_at: None,
            stuck: None,
            failures: VecDeque::new(),
        }
    }

    /// The engine says something, by the process of its run. What it said last counts for its end, too.
    pub(crate) fn hear(&mut self, record: &PhaseRecord, process: Option<u32>, now: Now) -> Vec<News> {
        self.asked_at = None;
        if self.speaker.process != process {
            let next = Speaker {
                process,
                ..Speaker::default()
            };
            self.earlier = std::mem::replace(&mut self.speaker, next);
        }
        let model = (record.model != 0).then(|| Model {
            tag: record.model,
            name: record.model_name.as_str().to_owned(),
        });
        if self.speaker.model != model {
            self.speaker.generated = None;
        }
        self.speaker.model.clone_from(&model);
        let Some(model) = model else {
            return Vec::new();
        };
        let mut news = Vec::new();
        if self.quarantine.seen(&model) {
            news.push(News::Replaced(model.clone()));
            news.extend(self.keep(now, ""));
        }
        if self.speaker.has_answered(record) {
            news.extend(self.answered(&model, now));
        }
        news
    }

    /// A model that has never answered before is worth waiting for the disk. In what order the others did is not: chats
    /// with two models in turn would have the loop wait at each answer.
    fn answered(&mut self, model: &Model, now: Now) -> Option<News> {
        let is_known = self.quarantine.good().contains(model);
        if !self.quarantine.answered(model) {
            return None;
        }
        self.book.note(&self.quarantine, now.wall, "");
        if is_known { None } else { self.write() }
    }

    /// Writes down what is not yet, before hearthd ends.
    pub(crate) fn close(&mut self) -> Vec<News> {
        self.write().into_iter().collect()
    }

    /// Sets models free that nobody has stood in for for long.
    pub(crate) fn lapse(&mut self, now: Now) -> Vec<News> {
        let freed = self.quarantine.lapse(now.boot);
        if freed.is_empty() {
            return Vec::new();
        }
        let minutes = LAPSE_USEC / 60_000_000;
        let told = freed.into_iter().map(|model| News::Lapsed { model, minutes });
        let mut news: Vec<News> = told.collect();
        news.extend(self.keep(now, ""));
        news
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

    /// systemd tells something of the unit.
    pub(crate) fn hear_systemd(&mut self, unit: Unit, what: Circumstances, now: Now) -> Vec<News> {
        let has_failed = unit.result.is_failure() && unit.invocation_id != self.counted;
        // Of a run that had failed before hearthd came nobody knows when, nor with which model.
        let is_stopped = what.is_stopped || unit.invocation_id == self.stopped;
        let counts = has_failed && !is_stopped && self.unit.is_some();
        if what.is_stopped {
            self.stopped.clone_from(&unit.invocation_id);
        }
        let is_over = has_failed || unit.active_state == ActiveState::Inactive;
        if has_failed {
            self.counted.clone_from(&unit.invocation_id);
        }
        let is_excused = what.is_excused && is_kill(&unit);
        let news = if counts {
            self.failed(&unit, is_excused, now)
        } else {
            Vec::new()
        };
        if is_over {
            self.end(unit.exec_main_pid);
        }
        self.unit = Some(unit);
        news
    }

    /// The run with that main process is over. The next may have spoken already.
    fn end(&mut self, process: u32) {
        if self.speaker.is(process) {
            self.speaker.model = None;
        }
        self.earlier = Speaker::default();
        self.stuck = None;
    }

    /// The model of the run with that main process.
    fn model_of(&self, process: u32) -> Option<&Model> {
        let runs = [&self.speaker, &self.earlier];
        runs.into_iter().find(|run| run.is(process))?.model.as_ref()
    }

    fn failed(&mut self, unit: &Unit, is_excused: bool, now: Now) -> Vec<News> {
        let model = self.model_of(unit.exec_main_pid).cloned();
        let failure = Failure {
            at: rfc3339(now.wall),
            model: model.as_ref().map(|model| model.name.clone()),
            result: unit.result,
            stuck: self.stuck.map(|stuck| stuck.to_string()),
        };
        self.failures.push_back((now.boot, failure.clone()));
        if self.failures.len() > MOST_SHOWN {
            self.failures.pop_front();
        }
        let mut news = vec![News::Failed(failure.clone())];
        match model {
            Some(model) if is_excused => news.push(News::Excused(model)),
            Some(model) => news.extend(self.blame(model, &failure, now)),
            None => {}
        }
        news
    }

    fn blame(&mut self, model: Model, failure: &Failure, now: Now) -> Vec<News> {
        let Some(newly) = self.quarantine.failed(&model, now.boot) else {
            return Vec::new();
        };
        let reason = reason(failure);
        let mut news: Vec<News> = self.keep(now, &reason).into_iter().collect();
        news.push(News::Quarantined { model, reason });
        news.extend(newly.displaced.map(News::Displaced));
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

    /// The newest run that systemd has told of, by its invocation; empty before the first.
    pub(crate) fn run(&self) -> &str {
        self.unit.as_ref().map_or("", |unit| &unit.invocation_id)
    }

    /// Sets a model free. Whether it was quarantined, and why that could not be written down.
    pub(crate) fn release(&mut self, name: &str, now: Now) -> Result<bool, FileError> {
        let was_held = self.quarantine.release(name);
        if was_held {
            self.book.note(&self.quarantine, now.wall, "");
            self.book.keep()?;
        }
        Ok(was_held)
    }

    /// Whether a model of this name is quarantined.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.quarantine.holds_named(name)
    }

    /// A model was removed: it is neither quarantined any more, nor can it stand in.
    pub(crate) fn forget(&mut self, name: &str, now: Now) -> Result<(), FileError> {
        if !self.quarantine.forget(name) {
            return Ok(());
        }
        self.book.note(&self.quarantine, now.wall, "");
        self.book.keep()
    }

    fn keep(&mut self, now: Now, reason: &str) -> Option<News> {
        self.book.note(&self.quarantine, now.wall, reason);
        self.write()
    }

    /// Writes the book. That it cannot be written is told once until it can.
    fn write(&mut self) -> Option<News> {
        let problem = self.book.keep().err();
        let is_known = std::mem::replace(&mut self.has_complained, problem.is_some());
        problem.filter(|_| !is_known).map(News::NotKept)
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
    pub(crate) fn shown(&self, administered: &Administered, now: BootTime) -> Engine {
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
            held_since: administered.held_since.map(rfc3339),
        }
    }
}

/// Whether the run was ended as the kernel does it for want of memory. What systemd makes of it depends on the unit's
/// `OOMPolicy=`.
fn is_kill(unit: &Unit) -> bool {
    match unit.result {
        ServiceResult::OomKill => true,
        ServiceResult::Signal => unit.exec_main_status == SIGKILL,
        _ => false,
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
