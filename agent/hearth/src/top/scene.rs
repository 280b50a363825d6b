//! What is on the screen: pure, so that it is tested without a terminal or a gateway.

use crate::{events::Event, screen, span, watch::Alert};
use api::{
    engine::EngineActivity,
    jobs::{Job, JobState},
    rest::Status,
    samples::{Row, Samples},
};
use machine::Bytes;
use std::{collections::VecDeque, time::Instant};

/// Seconds of history that are held: more than a terminal has columns.
pub(super) const KEPT: usize = 600;
/// A row that is older than the newest by fewer seconds has been told twice, as history and as it happened.
const STRAY: u64 = 5;
/// Alerts that are held, and jobs.
const FEW: usize = 16;

/// All that is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    /// The host's name and what it runs.
    pub(super) title: String,
    /// All memory of the machine.
    pub(super) memory_total: Option<Bytes>,
    /// What was measured, oldest first, at most [`KEPT`] seconds.
    pub(super) rows: VecDeque<Row>,
    /// What the engine does.
    pub(super) engine: Option<EngineActivity>,
    /// Long work, newest first.
    pub(super) jobs: Vec<Job>,
    /// What has gone wrong, newest first.
    pub(super) alerts: VecDeque<Alert>,
    /// Why nothing new comes.
    pub(super) lost: Option<String>,
    /// Whether colours are drawn.
    pub(super) colour: bool,
    /// How long the machine was up in seconds, and when that was told.
    pub(super) up: Option<(f64, Instant)>,
}

impl Scene {
    /// Of a machine that was in this state then.
    pub(super) fn new(status: &Status, now: Instant) -> Self {
        let alert = |message: &String| Alert {
            level: "error".to_owned(),
            message: message.clone(),
            time: String::new(),
        };
        let title = format!("{}  Hearth {}", status.hostname, status.version);
        Self {
            title: screen::one_line(&title),
            memory_total: status.sample.as_ref().and_then(|sample| sample.memory.mem_total),
            alerts: status.agent_problem.iter().map(alert).collect(),
            up: Some((status.uptime_seconds, now)),
            ..Self::default()
        }
    }

    /// What there was before.
    pub(super) fn recall(&mut self, samples: Samples, engine: Option<EngineActivity>, jobs: Vec<Job>) {
        self.rows = samples.rows.into_iter().map(Row::from).collect();
        self.shorten();
        self.engine = engine;
        self.jobs = jobs.into_iter().rev().take(FEW).collect();
    }

    /// This, with what went wrong in another before.
    pub(super) fn with_alerts_of(mut self, other: Self) -> Self {
        self.colour = other.colour;
        let known = self.alerts.len();
        self.alerts.extend(other.alerts);
        self.alerts.truncate(FEW.max(known));
        self
    }

    /// Nothing comes any more.
    pub(super) fn lose(&mut self, why: &str) {
        self.lost = Some(screen::one_line(why));
    }

    /// Whether nothing comes.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// How long the machine has been up, in words. Its own clock is not asked, which may be set meanwhile.
    pub(super) fn up(&self, now: Instant) -> String {
        let seconds = |(told, at): (f64, Instant)| told + now.saturating_duration_since(at).as_secs_f64();
        span::show(self.up.map_or(0.0, seconds))
    }

    /// Takes an event in. Tells whether the screen is another then.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        match event.name.as_str() {
            "sample" => self.read(event, Self::measured),
            "engine" => self.read(event, |scene, engine| scene.engine = Some(engine)),
            "job" => self.read(event, Self::go_on),
            "alert" => self.read(event, |scene, alert: Alert| {
                scene.alerts.push_front(alert);
                scene.alerts.truncate(FEW);
            }),
            // A list that is not shown, or a kind of a newer gateway.
            _ => false,
        }
    }

    /// What is not understood is of a newer gateway, and passed over.
    fn read<T: serde::de::DeserializeOwned>(&mut self, event: &Event, take: impl Fn(&mut Self, T)) -> bool {
        let read = serde_json::from_str(&event.data).ok();
        read.map(|read| take(self, read)).is_some()
    }

    /// What lies after a row that is much older was measured before the clock was set back, and goes.
    fn measured(&mut self, row: Row) {
        let ahead = self.rows.back().and_then(|last| last.time.checked_sub(row.time));
        if ahead.is_some_and(|ahead| ahead < STRAY) {
            return;
        }
        while self.rows.back().is_some_and(|last| last.time >= row.time) {
            self.rows.pop_back();
        }
        self.rows.push_back(row);
        self.shorten();
    }

    fn go_on(&mut self, job: Job) {
        let known = self.jobs.iter().position(|known| known.id == job.id);
        match known.filter(|_| job.state == JobState::Running) {
            Some(place) => self.jobs[place] = job,
            // What is new comes first, and a job's end is.
            None => {
                self.jobs.retain(|known| known.id != job.id);
                self.jobs.insert(0, job);
            }
        }
        // Those that go on stay, whatever else has come.
        let mut room = FEW;
        self.jobs.retain(|job| {
            room = room.saturating_sub(1);
            room > 0 || job.state == JobState::Running
        });
    }

    fn shorten(&mut self) {
        let Some(now) = self.rows.back().map(|row| row.time) else {
            return;
        };
        while self
            .rows
            .front()
            .is_some_and(|row| row.time + (KEPT as u64) <= now)
        {
            self.rows.pop_front();
        }
    }

    /// A measure over the last seconds, a place for each, the newest last; nothing where nothing was measured.
    pub(super) fn course(&self, seconds: usize, of: impl Fn(&Row) -> Option<f32>) -> Vec<Option<f32>> {
        let mut course = vec![None; seconds];
        let now = self.rows.back().map_or(0, |row| row.time);
        for row in self.rows.iter().rev() {
            let ago = usize::try_from(now.abs_diff(row.time)).unwrap_or(usize::MAX);
            match seconds.checked_sub(ago.saturating_add(1)) {
                Some(place) => course[place] = of(row),
                None => break,
            }
        }
        course
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn event(name: &str, data: &str) -> Event {
        Event {
            name: name.to_owned(),
            data: data.to_owned(),
        }
    }

    fn sample(time: u64) -> Event {
        let row = Row {
            time,
            temperature: Some(time as f32),
            ..Row::default()
        };
        event("sample", &serde_json::to_string(&row).unwrap())
    }

    fn job(id: usize, state: &str) -> Event {
        let job = format!(
            r#"{{"id":"{id}","kind":"model.add","subject":"m","state":"{state}","progress":null,"result":null,
            "problem":null,"started":"x","ended":null}}"#
        );
        event("job", &job)
    }

    #[test]
    fn a_second_without_a_row_is_a_gap() {
        let mut scene = Scene::default();
        assert!([10, 11, 13].into_iter().all(|time| scene.take(&sample(time))));
        scene.take(&sample(12));
        let course = scene.course(5, |row| row.temperature);
        assert_eq!(course, [None, Some(10.0), Some(11.0), None, Some(13.0)]);
        assert_eq!(scene.course(1, |row| row.temperature), [Some(13.0)]);
    }

    #[test]
    fn a_clock_that_is_set_leaves_the_course_alive_and_the_uptime_as_it_is() {
        let begin = Instant::now();
        let mut scene = Scene {
            up: Some((60.0, begin)),
            ..Scene::default()
        };
        let day = 86_400;
        for time in [10, 11, 11 + day, 12 + day, 12, 13] {
            scene.take(&sample(time));
        }
        let course = scene.course(4, |row| row.temperature);
        assert_eq!(course, [None, None, Some(12.0), Some(13.0)]);
        assert_eq!(scene.up(begin + Duration::from_secs(180)), "4 min");
    }

    #[test]
    fn no_more_is_held_than_is_shown() {
        let mut scene = Scene::default();
        for time in 0..2 * KEPT as u64 {
            scene.take(&sample(time));
        }
        assert_eq!(scene.rows.len(), KEPT);
        for id in 0..100 {
            scene.take(&job(id, if id == 3 { "running" } else { "done" }));
            scene.take(&event("alert", r#"{"level":"error","message":"m","time":"t"}"#));
        }
        assert_eq!(scene.alerts.len(), FEW);
        assert!(scene.jobs.len() <= FEW && scene.jobs.iter().any(|job| job.id == "3"));
        scene.take(&job(3, "done"));
        assert_eq!(scene.jobs.iter().filter(|job| job.id == "3").count(), 1);
    }

    #[test]
    fn what_is_not_understood_changes_nothing() {
        let mut scene = Scene::default();
        for odd in [
            event("models", "{}"),
            event("sample", "[]"),
            event("weather", "1"),
        ] {
            assert!(!scene.take(&odd), "{odd:?}");
        }
    }

    #[test]
    fn alerts_outlive_a_lost_line() {
        let mut scene = Scene {
            colour: true,
            ..Scene::default()
        };
        scene.take(&event("alert", r#"{"level":"error","message":"m","time":"t"}"#));
        scene.lose("the\nline");
        assert!(scene.is_lost());
        let anew = Scene::default().with_alerts_of(scene);
        assert!(!anew.is_lost() && anew.colour && anew.alerts.len() == 1);
    }
}
