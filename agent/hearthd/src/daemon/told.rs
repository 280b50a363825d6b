//! What the journal is told: each fact once, with its figures as fields.

use super::reclaim::ReclaimLaw;
use crate::actuators::{ChangeLog, Line};
use crate::bus::Caller;
use crate::engine::{Model, News};
use crate::journal::MESSAGE;
use crate::state::{Ended, PowerOff};
use crate::view::{Alert, Alerts};
use api::phase::MOST_QUARANTINED;
use linux::{Applied, Reclaimed};
use machine::{
    BootTime, Decision, MemorySample, PressureDecision, PressureLevel, Reclaim, ReclaimState, Rung, Warning,
};
use time::format_description::well_known::Rfc3339;
use tracing::{error, info, warn};

/// What was told already.
#[derive(Debug, Default)]
pub(crate) struct Told {
    writes: ChangeLog,
    /// Files that cannot be written.
    problems: Alerts,
    /// Sensors and fans that are not believed.
    distrust: Alerts,
    /// Files that another program writes, too.
    foreign: Vec<Warning>,
    /// Control groups that cannot be asked for memory.
    unasked: Alerts,
}

impl Told {
    /// What the laws have decided.
    pub(crate) fn decision(&mut self, now: BootTime, decision: &Decision) {
        for note in &decision.notes {
            let (step, reason) = (&note.step, &note.reason);
            if decision.thermal.rung >= Rung::CpuQuota {
                warn!(step, reason, "{step}: {reason}");
            } else {
                info!(step, reason, "{step}: {reason}");
            }
        }
        alerts(
            &self.distrust.update(now, decision.warnings.iter()),
            "is believed again",
        );
    }

    /// What came of writing.
    pub(crate) fn applied(&mut self, now: BootTime, applied: &Applied) {
        self.writes.take(now, &applied.changes).iter().for_each(write);
        alerts(
            &self.problems.update(now, applied.problems.iter()),
            "is as wanted again",
        );
        for Warning { path, problem } in &applied.foreign {
            warn!(path, problem, "{path} {problem}");
        }
        self.foreign.extend_from_slice(&applied.foreign);
    }

    /// What came of asking for memory back: once at the end of each time that some was taken, and what went wrong.
    pub(crate) fn reclaimed(
        &mut self,
        now: BootTime,
        before: &Reclaim,
        law: &ReclaimLaw,
        sample: &MemorySample,
        done: &[Reclaimed],
    ) {
        let status = law.status();
        let ended = before.state == ReclaimState::Reclaiming && status.state != ReclaimState::Reclaiming;
        if let (true, Some(used)) = (ended, sample.memory.used()) {
            let (asked, yielded) = (status.asked, status.yielded);
            info!(
                used = used.0,
                asked = asked.0,
                yielded = yielded.0,
                "{used} of memory are used; idle programs gave {yielded} of {asked} asked for since hearthd started"
            );
        }
        let problems: Vec<Warning> = done.iter().filter_map(unasked).collect();
        // Where nobody was asked, nothing has become better or worse.
        if !done.is_empty() {
            alerts(
                &self.unasked.update(now, problems.iter()),
                "can be asked for memory again",
            );
        }
    }

    /// What came of putting things back; the last that is told.
    pub(crate) fn restored(&mut self, applied: &Applied) {
        self.writes.rest().iter().for_each(write);
        let lines: Vec<Line> = applied.changes.iter().map(Line::from).collect();
        lines.iter().for_each(write);
        for Warning { path, problem } in &applied.problems {
            warn!(path, problem, "{path} {problem}");
        }
    }

    /// Files that another program writes, too.
    pub(crate) fn foreign(&self) -> &[Warning] {
        &self.foreign
    }
}

fn unasked(done: &Reclaimed) -> Option<Warning> {
    Some(Warning {
        path: format!("/sys/fs/cgroup/{}/memory.reclaim", done.request.cgroup),
        problem: done.problem.clone()?,
    })
}

/// How far the engine gives memory up, where that is other than before.
pub(crate) fn pressure(before: &PressureDecision, now: &PressureDecision) {
    let seen = now.seen;
    let share =
        |share: Option<f32>| share.map_or_else(|| "unknown".to_owned(), |share| format!("{share:.1} %"));
    let (some, full, available) = (share(seen.some), share(seen.full), share(seen.available));
    if now.level > before.level {
        let level = now.level;
        warn!(
            some,
            full,
            available,
            "memory is short (some task waited for it {some} of the time, all {full}; {available} are available): {}",
            relief(level)
        );
    } else if now.level < before.level {
        info!(
            some,
            full,
            available,
            "memory is less short (some task waited for it {some} of the time, all {full}; {available} are available): {}",
            relief(now.level)
        );
    }
    if now.context != before.context {
        match now.context {
            Some(context) => info!(context, "the next engine has a context of {context} tokens"),
            None => info!("the next engine has its whole context"),
        }
    }
}

fn relief(level: PressureLevel) -> &'static str {
    match level {
        PressureLevel::None => "the engine may use what it was set up for",
        PressureLevel::Trim => "the engine gives half of its idle conversations' memory back",
        PressureLevel::Park => "the engine puts idle conversations on the disk",
        PressureLevel::Refuse => "the engine refuses new requests",
        PressureLevel::Shrink => "the engine ends, and begins anew when somebody asks",
    }
}

/// Files that went bad or well.
pub(crate) fn readings(changes: &[Alert]) {
    alerts(changes, "can be read again");
}

/// `MESSAGE_ID`s of what an administrator may want to be told of: see `systemd.journal-fields(7)`.
const STUCK_ID: &str = "2b0f4a1a5d0e4b7a9b8e6f7d3c5a9e01";
const FAILED_ID: &str = "6a4d1d7f0f6c4c0f8a4c2f1be0d7b702";
const QUARANTINED_ID: &str = "c1f7e5b39a624b3c8f0d2a6e4b8c7d03";
const RELEASED_ID: &str = "f39c2e8d71b54a06a5d3e0c9b1f24804";

/// How the engine fares.
pub(crate) fn engine(news: &[News]) {
    news.iter().for_each(|news| match news {
        News::Stuck(stuck) => {
            let reason = stuck.to_string();
            error!(target: MESSAGE, message_id = STUCK_ID, hearth_reason = reason, "the engine is stuck and is ended: {reason}");
        }
        News::Failed(failure) => {
            let model = failure.model.as_deref();
            let said = failure.result.said();
            let with = model.map_or_else(String::new, |model| format!(" with the model {model}"));
            warn!(target: MESSAGE, message_id = FAILED_ID, hearth_model = model, "the engine {said}{with}");
        }
        News::Quarantined { model: Model { name, .. }, reason } => {
            error!(
                target: MESSAGE,
                message_id = QUARANTINED_ID,
                hearth_model = name,
                hearth_reason = reason,
                "the model {name} is quarantined: {reason}; \"hearth model release {name}\" lets it be loaded again"
            );
        }
        News::Excused(Model { name, .. }) => {
            info!(
                hearth_model = name,
                "that is not counted against the model {name}: the machine was short of memory"
            );
        }
        News::Displaced(Model { name, .. }) => released(name, &format!("so many others are, and no more than {MOST_QUARANTINED} can be")),
        News::Lapsed { model: Model { name, .. }, minutes } => {
            released(name, &format!("no model has stood in for it for {minutes} minutes, and it is tried again"));
        }
        News::Replaced(Model { name, .. }) => released(name, "it is another one now"),
        News::NotKept(error) => warn!("the quarantine of models holds only until hearthd restarts: {error}"),
    });
}

/// A model that may be loaded again.
pub(crate) fn released(name: &str, why: &str) {
    info!(
        target: MESSAGE,
        message_id = RELEASED_ID,
        hearth_model = name,
        "the model {name} is not quarantined any more: {why}"
    );
}

/// The power-off that ended the last run.
pub(crate) fn power_off(off: &PowerOff) {
    let at = off.at.format(&Rfc3339).unwrap_or_else(|_| off.at.to_string());
    let reason = &off.reason;
    error!(at, reason, "The machine was powered off at {at} because {reason}");
}

/// Holds that are over.
pub(crate) fn ended(ended: &[Ended], why: &str) {
    for Ended { hold, .. } in ended {
        info!(
            hold = hold.id,
            holder = hold.holder,
            "the hold {} of {} by {} is over: {why}",
            hold.id,
            hold.profile,
            hold.holder
        );
    }
}

/// A change that somebody asked for: the audit's line.
pub(crate) fn asked(what: &str, caller: &Caller) {
    let Caller { name, uid } = caller;
    info!(uid, caller = name, "{what} by user {uid}");
}

fn alerts(changes: &[Alert], well: &str) {
    for change in changes {
        match change {
            Alert::Appeared(Warning { path, problem }) => warn!(path, problem, "{path} {problem}"),
            Alert::Cleared(path) => info!(path, "{path} {well}"),
        }
    }
}

fn write(line: &Line) {
    let Line {
        path,
        before,
        after,
        writes,
    } = line;
    if *writes == 1 {
        info!(path, before, after, "{path}: {before} -> {after}");
    } else {
        info!(
            path,
            before, after, writes, "{path}: {before} -> {after} after {writes} writes"
        );
    }
}
