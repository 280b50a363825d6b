//! What is told to whoever listens to `/api/v1/events`. While nobody listens nothing is asked of hearthd.

use crate::{agent, app::App};
use api::engine::EngineActivity;
use bytes::Bytes;
use machine::{Phase, Warning};
use serde::Serialize;
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    sync::broadcast::{self, Receiver, Sender},
    time::{MissedTickBehavior, interval},
};

/// How often hearthd is asked.
const EVERY: Duration = Duration::from_secs(1);
/// Events that wait for a slow listener; what comes beyond pushes the oldest out.
const WAITING: usize = 64;

/// Tells events to all who listen.
#[derive(Debug)]
pub(crate) struct Feed {
    sender: Sender<Bytes>,
    /// Whether a task asks hearthd each second.
    asking: AtomicBool,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            sender: broadcast::channel(WAITING).0,
            asking: AtomicBool::new(false),
        }
    }
}

impl Feed {
    /// Tells an event to all who listen now.
    pub(crate) fn tell(&self, event: &str, data: &impl Serialize) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        self.pass_on(event, &text(data));
    }

    /// Tells what is JSON already.
    fn pass_on(&self, event: &str, data: &str) {
        // Whoever has hung up meanwhile misses it.
        self.sender
            .send(format!("event: {event}\ndata: {data}\n\n").into())
            .ok();
    }

    fn is_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Whether it falls to the caller to ask hearthd.
    fn begin_asking(&self) -> bool {
        !self.asking.swap(true, Ordering::SeqCst)
    }
}

/// Listens from now on.
pub(crate) fn listen(app: &Arc<App>) -> Receiver<Bytes> {
    let receiver = app.feed.sender.subscribe();
    if app.feed.begin_asking() {
        tokio::spawn(ask(app.clone()));
    }
    receiver
}

/// Asks hearthd as long as somebody listens.
async fn ask(app: Arc<App>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::default();
    loop {
        ticks.tick().await;
        if !app.feed.is_heard() {
            app.feed.asking.store(false, Ordering::SeqCst);
            // Somebody may have begun to listen in between, and found that there was somebody who asks.
            if !app.feed.is_heard() || !app.feed.begin_asking() {
                return;
            }
        }
        for (event, data) in watch.see(agent::look(&app.bus).await) {
            app.feed.pass_on(event, &data);
        }
    }
}

/// An event and its data, as JSON.
type Event = (&'static str, String);

/// Strings and numbers always become JSON, in one line.
fn text(data: &impl Serialize) -> String {
    serde_json::to_string(data).unwrap_or_default()
}

/// What was seen last: only what is new is told.
#[derive(Debug, Default)]
struct Watch {
    time: u64,
    engine: Option<EngineActivity>,
    /// `None`: hearthd was not seen yet, and what is wrong since before is no news.
    warnings: Option<Vec<Warning>>,
    silent: bool,
}

impl Watch {
    fn see(&mut self, look: Result<agent::Look, agent::AgentError>) -> Vec<Event> {
        let look = match look {
            Ok(look) => look,
            Err(error) => return self.miss(&error.to_string()),
        };
        let mut events = Vec::new();
        if std::mem::take(&mut self.silent) {
            events.push(alert("info", "hearthd answers again"));
        }
        if let Some(row) = look.row.filter(|row| row.time != self.time) {
            self.time = row.time;
            events.push(("sample", text(&row)));
        }
        events.extend(self.quarantines(&look.engine));
        let is_busy = look.engine.phase != Phase::Idle;
        if is_busy || self.engine.as_ref() != Some(&look.engine) {
            events.push(("engine", text(&look.engine)));
            self.engine = Some(look.engine);
        }
        events.extend(self.warn(look.warnings));
        events
    }

    fn miss(&mut self, problem: &str) -> Vec<Event> {
        let is_news = !std::mem::replace(&mut self.silent, true);
        is_news.then(|| alert("error", problem)).into_iter().collect()
    }

    fn warn(&mut self, now: Vec<Warning>) -> Vec<Event> {
        let before = self.warnings.replace(now);
        let (Some(before), Some(now)) = (before, &self.warnings) else {
            return Vec::new();
        };
        let new = now.iter().filter(|warning| !before.contains(warning));
        new.map(|Warning { path, problem }| alert("warning", &format!("{path} {problem}")))
            .collect()
    }

    fn quarantines(&self, now: &EngineActivity) -> Vec<Event> {
        let Some(before) = &self.engine else {
            return Vec::new();
        };
        let known = |model: &str| before.quarantined.iter().any(|held| held.model == model);
        let new = now.quarantined.iter().filter(|held| !known(&held.model));
        new.map(|held| {
            let (model, reason) = (&held.model, &held.reason);
            alert("error", &format!("the model {model} is quarantined: {reason}"))
        })
        .collect()
    }
}

fn alert(level: &str, message: &str) -> Event {
    let now = OffsetDateTime::now_utc();
    let time = now.format(&Rfc3339).unwrap_or_else(|_| now.to_string());
    let alert = json!({"level": level, "message": message, "time": time});
    ("alert", text(&alert))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{AgentError, Look};
    use api::{engine::Quarantined, samples::Row};

    fn look(time: u64) -> Result<Look, AgentError> {
        Ok(Look {
            row: Some(Row {
                time,
                ..Row::default()
            }),
            engine: EngineActivity::default(),
            warnings: Vec::new(),
        })
    }

    fn names(events: &[Event]) -> Vec<&str> {
        events.iter().map(|(event, _)| *event).collect()
    }

    #[test]
    fn what_stays_is_not_told_again() {
        let mut watch = Watch::default();
        assert_eq!(names(&watch.see(look(1))), ["sample", "engine"]);
        assert_eq!(names(&watch.see(look(1))), [""; 0]);
        assert_eq!(names(&watch.see(look(2))), ["sample"]);
        let set_back = watch.see(look(1));
        assert_eq!(names(&set_back), ["sample"], "the clock was set back");
    }

    #[test]
    fn a_busy_engine_is_told_each_time() {
        let mut watch = Watch::default();
        for time in [1, 2] {
            let mut busy = look(time).unwrap();
            busy.engine.phase = Phase::Decode;
            assert_eq!(names(&watch.see(Ok(busy))), ["sample", "engine"]);
        }
    }

    #[test]
    fn only_what_goes_wrong_from_now_on_is_an_alert() {
        let mut watch = Watch::default();
        let with = |time, paths: &[&str], quarantined: &[&str]| {
            let mut look = look(time).unwrap();
            look.warnings = paths
                .iter()
                .map(|path| Warning {
                    path: (*path).to_owned(),
                    problem: "is gone".to_owned(),
                })
                .collect();
            look.engine.quarantined = quarantined
                .iter()
                .map(|model| Quarantined {
                    model: (*model).to_owned(),
                    since: String::new(),
                    reason: "it fails".to_owned(),
                })
                .collect();
            Ok(look)
        };
        watch.see(with(1, &["/a"], &["m"]));
        let events = watch.see(with(2, &["/a", "/b"], &["m", "n"]));
        let data = events.iter().map(|(_, data)| serde_json::from_str(data).unwrap());
        let messages: Vec<String> = data
            .filter_map(|data: serde_json::Value| data["message"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(messages, ["the model n is quarantined: it fails", "/b is gone"]);
    }

    #[test]
    fn an_agent_that_is_silent_is_told_once_and_that_it_is_back() {
        let mut watch = Watch::default();
        let alerts = |events: Vec<Event>| names(&events).iter().filter(|event| **event == "alert").count();
        assert_eq!(alerts(watch.see(Err(AgentError::NoBus))), 1);
        assert_eq!(alerts(watch.see(Err(AgentError::NoBus))), 0);
        assert_eq!(alerts(watch.see(look(1))), 1);
        assert_eq!(alerts(watch.see(look(2))), 0);
    }
}
