//! Long work that goes on when its request has been answered.

use crate::{
    feed::Feed,
    refusal::{Kind, Refusal},
};
use api::{
    jobs::{Job, JobProgress, JobState},
    rest::Problem,
};
use serde_json::Value;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio_util::sync::CancellationToken;

/// Jobs that are remembered; beyond it those are forgotten that have ended, the oldest first.
const REMEMBERED: usize = 64;
/// Jobs of a kind that may go on at the same time: who has begun many of one does not keep others from another.
const AT_ONCE: usize = 8;
/// Those of a kind of which there is one: the engine loads one model after the other.
const ALONE: [&str; 2] = ["engine.load", "engine.unload"];
/// Progress is told no more often.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// All jobs.
#[derive(Debug)]
pub(crate) struct Jobs {
    entries: Mutex<VecDeque<Entry>>,
    feed: Arc<Feed>,
}

#[derive(Debug)]
struct Entry {
    job: Job,
    cancel: CancellationToken,
}

impl Jobs {
    /// None yet. Whoever listens to the feed hears of them.
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        Self {
            entries: Mutex::default(),
            feed,
        }
    }

    /// All of them, oldest first.
    pub(crate) fn list(&self) -> Vec<Job> {
        self.lock().iter().map(|entry| entry.job.clone()).collect()
    }

    /// One of them.
    pub(crate) fn find(&self, id: &str) -> Result<Job, Refusal> {
        let found = self
            .lock()
            .iter()
            .find(|entry| entry.job.id == id)
            .map(|entry| entry.job.clone());
        found.ok_or_else(|| unknown(id))
    }

    /// Ends a job before its time.
    pub(crate) fn cancel(&self, id: &str) -> Result<Job, Refusal> {
        let mut entries = self.lock();
        let entry = entries
            .iter_mut()
            .find(|entry| entry.job.id == id)
            .ok_or_else(|| unknown(id))?;
        if entry.job.state != JobState::Running {
            let detail = format!("the job {id} has ended already");
            return Err(Refusal::new(Kind::Conflict, detail));
        }
        entry.cancel.cancel();
        entry.job.state = JobState::Cancelled;
        entry.job.ended = Some(now());
        self.feed.tell("job", &entry.job);
        Ok(entry.job.clone())
    }

    /// Begins a job.
    pub(crate) fn begin(self: &Arc<Self>, kind: &str, subject: &str) -> Result<Running, Refusal> {
        let id = getrandom::u64()
            .map_err(|error| Refusal::new(Kind::Internal, format!("cannot name a job: {error}")))?;
        let job = Job {
            id: format!("{:012x}", id >> 16),
            kind: kind.to_owned(),
            subject: Some(subject.to_owned()),
            state: JobState::Running,
            progress: None,
            result: None,
            problem: None,
            started: now(),
            ended: None,
        };
        let cancel = CancellationToken::new();
        let mut entries = self.lock();
        let of_kind = |entry: &&Entry| entry.job.state == JobState::Running && entry.job.kind == kind;
        let most = if ALONE.contains(&kind) { 1 } else { AT_ONCE };
        if entries.iter().filter(of_kind).count() >= most {
            let detail = format!("{most} of the kind {kind} go on already; wait for one, or cancel one");
            return Err(Refusal::new(Kind::Conflict, detail));
        }
        if entries.len() >= REMEMBERED {
            oldest(&entries).map(|place| entries.remove(place));
        }
        self.feed.tell("job", &job);
        entries.push_back(Entry {
            job: job.clone(),
            cancel: cancel.clone(),
        });
        Ok(Running {
            jobs: self.clone(),
            job,
            cancel,
            told: Instant::now(),
        })
    }

    /// Changes a job that goes on; one that was cancelled stays so.
    fn update(&self, id: &str, tell: bool, change: impl FnOnce(&mut Job)) {
        let mut entries = self.lock();
        let entry = entries
            .iter_mut()
            .find(|entry| entry.job.id == id && entry.job.state == JobState::Running);
        if let Some(entry) = entry {
            change(&mut entry.job);
            if tell {
                self.feed.tell("job", &entry.job);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that goes on. One that is dropped without an end has failed.
#[derive(Debug)]
pub(crate) struct Running {
    jobs: Arc<Jobs>,
    job: Job,
    cancel: CancellationToken,
    told: Instant,
}

impl Running {
    /// As it was begun.
    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// Fires when somebody cancels it.
    pub(crate) fn cancelled(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Tells how far it is, in bytes.
    pub(crate) fn progress(&mut self, done: u64, total: u64) {
        let tell = self.told.elapsed() >= TELL_EVERY;
        if tell {
            self.told = Instant::now();
        }
        let unit = "bytes".to_owned();
        let progress = JobProgress { done, total, unit };
        self.jobs
            .update(&self.job.id, tell, |job| job.progress = Some(progress));
    }

    /// Ends it.
    pub(crate) fn end(self, outcome: Result<Value, Problem>) {
        self.finish(outcome);
    }

    fn finish(&self, outcome: Result<Value, Problem>) {
        self.jobs.update(&self.job.id, true, |job| {
            job.ended = Some(now());
            match outcome {
                Ok(result) => (job.state, job.result) = (JobState::Done, Some(result)),
                Err(problem) => (job.state, job.problem) = (JobState::Failed, Some(problem)),
            }
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Of one that has ended nothing is changed by this.
        let problem = Refusal::new(Kind::Internal, "the job was left without an end").problem();
        self.finish(Err(problem));
    }
}

/// Which job is forgotten first: the oldest that has ended, of those that anybody who may ask a model begins before those
/// that only an administrator does.
fn oldest(entries: &VecDeque<Entry>) -> Option<usize> {
    let has_ended = |entry: &Entry| entry.job.state != JobState::Running;
    let is_small = |entry: &Entry| has_ended(entry) && ALONE.contains(&entry.job.kind.as_str());
    let small = entries.iter().position(is_small);
    small.or_else(|| entries.iter().position(has_ended))
}

fn unknown(id: &str) -> Refusal {
    let detail = format!("there is no job {id:?}; those that have ended are forgotten in time");
    Refusal::new(Kind::NotFound, detail)
}

fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let whole = now.replace_nanosecond(0).unwrap_or(now);
    whole.format(&Rfc3339).unwrap_or_else(|_| now.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Arc<Jobs> {
        Arc::new(Jobs::new(Arc::default()))
    }

    #[test]
    fn a_job_is_shown_from_its_beginning_to_its_end() {
        let jobs = jobs();
        let mut running = jobs.begin("model.verify", "m").unwrap();
        let id = running.job().id.clone();
        running.progress(3, 7);
        let shown = jobs.find(&id).unwrap();
        assert_eq!(
            (shown.state, shown.progress.unwrap().done),
            (JobState::Running, 3)
        );
        running.end(Ok(5.into()));
        let shown = jobs.find(&id).unwrap();
        assert_eq!((shown.state, shown.result), (JobState::Done, Some(5.into())));
        assert!(shown.ended.is_some() && shown.problem.is_none());
        assert_eq!(jobs.cancel(&id).unwrap_err().kind, Kind::Conflict);
        assert_eq!(jobs.cancel("x").unwrap_err().kind, Kind::NotFound);
    }

    #[test]
    fn one_that_was_cancelled_stays_so_and_hears_of_it() {
        let jobs = jobs();
        let running = jobs.begin("model.add", "m").unwrap();
        let (id, cancelled) = (running.job().id.clone(), running.cancelled());
        assert_eq!(jobs.cancel(&id).unwrap().state, JobState::Cancelled);
        assert!(cancelled.is_cancelled());
        running.end(Ok(5.into()));
        let shown = jobs.find(&id).unwrap();
        assert_eq!((shown.state, shown.result), (JobState::Cancelled, None));
    }

    #[test]
    fn one_that_is_dropped_has_failed() {
        let jobs = jobs();
        drop(jobs.begin("model.add", "m").unwrap());
        assert_eq!(jobs.list()[0].state, JobState::Failed);
    }

    #[test]
    fn many_of_one_kind_are_in_nobody_elses_way() {
        let jobs = jobs();
        let _verifying: Vec<_> = (0..AT_ONCE)
            .map(|_| jobs.begin("model.verify", "m").unwrap())
            .collect();
        let loading = jobs.begin("engine.load", "m").unwrap();
        let refused = jobs.begin("engine.load", "n").unwrap_err();
        assert!(
            refused.detail.starts_with("1 of the kind engine.load"),
            "{refused}"
        );
        let _adding = jobs.begin("model.add", "m").unwrap();
        let _unloading = jobs.begin("engine.unload", "m").unwrap();
        loading.end(Ok(Value::Null));
        assert!(jobs.begin("engine.load", "n").is_ok());
    }

    #[test]
    fn only_so_many_go_on_and_only_so_many_are_remembered() {
        let jobs = jobs();
        let running: Vec<_> = (0..AT_ONCE).map(|_| jobs.begin("a", "b").unwrap()).collect();
        assert_eq!(jobs.begin("a", "b").unwrap_err().kind, Kind::Conflict);
        let first = running[0].job().id.clone();
        running
            .into_iter()
            .skip(1)
            .for_each(|job| job.end(Ok(Value::Null)));
        for _ in 0..2 * REMEMBERED {
            drop(jobs.begin("a", "b"));
        }
        assert_eq!(jobs.list().len(), REMEMBERED);
        assert!(jobs.find(&first).is_err(), "it was dropped with the others");
    }

    #[test]
    fn who_loads_on_and_on_has_no_administrators_job_forgotten() {
        let jobs = jobs();
        let added = jobs.begin("model.add", "m").unwrap();
        let id = added.job().id.clone();
        added.end(Ok(Value::Null));
        for _ in 0..2 * REMEMBERED {
            drop(jobs.begin("engine.load", "m").unwrap());
        }
        assert!(jobs.find(&id).is_ok());
    }
}
