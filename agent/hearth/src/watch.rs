//! `hearth events`: what happens, a line each, as it happens.

use crate::{
    cli::Watched,
    client::Client,
    events::{Event, Stream},
    history::MEASURES,
    screen::{self, Answer, BAD, NAME, WARN},
};
use anyhow::Context;
use api::{
    engine::{EngineActivity, Life},
    jobs::Job,
    samples::Row,
};
use machine::Phase;
use serde::Deserialize;
use serde_json::{Value, json};

/// Where events come from.
pub(crate) const EVENTS: &str = "/api/v1/events";

/// What the event `alert` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Alert {
    /// `info`, `warning` or `error`.
    pub(crate) level: String,
    /// What is so.
    pub(crate) message: String,
    /// Since when, RFC 3339.
    pub(crate) time: String,
}

/// Shows events until the gateway ends them.
pub(crate) async fn events(client: &Client, wanted: Watched) -> anyhow::Result<()> {
    let mut stream = Stream::begin(client, EVENTS).await?;
    while let Some(event) = stream.next().await? {
        if !wanted.only.is_empty() && !wanted.only.iter().any(|kind| kind.name() == event.name) {
            continue;
        }
        if wanted.json {
            let data: Value = serde_json::from_str(&event.data).context("an event is no JSON")?;
            Answer::new().write(&format!("{}\n", json!({"event": event.name, "data": data})))?;
        } else {
            screen::print(&format!(
                "{NAME}{:<7}{NAME:#} {}\n",
                screen::one_line(&event.name),
                said(&event)?
            ))?;
        }
    }
    anyhow::bail!("the gateway has ended the stream")
}

/// An event in words.
fn said(event: &Event) -> anyhow::Result<String> {
    let data = &event.data;
    let said = match event.name.as_str() {
        "sample" => sample(&serde_json::from_str(data)?),
        "engine" => engine(&serde_json::from_str(data)?),
        "job" => job(&serde_json::from_str(data)?),
        "alert" => alert(&serde_json::from_str(data)?),
        "models" => "the list has changed".to_owned(),
        // A kind of a newer gateway.
        _ => screen::one_line(data),
    };
    Ok(said)
}

fn sample(row: &Row) -> String {
    let said = MEASURES
        .iter()
        .filter_map(|measure| Some((measure.said)((measure.of)(row)?)));
    said.collect::<Vec<_>>().join("  ")
}

/// What the engine does, in words.
pub(crate) fn engine(engine: &EngineActivity) -> String {
    let model = || screen::one_line(engine.model.as_deref().unwrap_or("no model"));
    let state = match engine.state {
        Life::Stopped => "asleep; a request wakes it".to_owned(),
        Life::Loading => format!("loading {}", model()),
        Life::Parked => format!("parked, {}", model()),
        Life::Ready => match engine.phase {
            Phase::Prefill => format!("reading a question, {}", model()),
            Phase::Decode => format!("answering, {}", model()),
            Phase::Idle | Phase::Loading => format!("ready, {}", model()),
        },
    };
    let rate = engine
        .tokens_per_second
        .map(|rate| format!(", {rate:.1} tokens/s"));
    let waiting = (engine.queued > 0).then(|| format!(", {} waiting", engine.queued));
    state + &rate.unwrap_or_default() + &waiting.unwrap_or_default()
}

/// A job in words.
pub(crate) fn job(job: &Job) -> String {
    let subject = job.subject.as_deref().unwrap_or_default();
    let share = crate::job::share(job).map(|share| format!(" {share}"));
    let problem = job
        .problem
        .as_ref()
        .map(|problem| format!(": {}", problem.detail));
    let text = format!(
        "{} {subject} {}{}{}",
        job.kind,
        crate::job::state(job.state),
        share.unwrap_or_default(),
        problem.unwrap_or_default()
    );
    screen::one_line(&text)
}

fn alert(alert: &Alert) -> String {
    let style = if alert.level == "error" { BAD } else { WARN };
    format!("{style}{}{style:#}", screen::one_line(&alert.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, data: &str) -> String {
        let event = Event {
            name: name.to_owned(),
            data: data.to_owned(),
        };
        anstream::adapter::strip_str(&said(&event).unwrap()).to_string()
    }

    #[test]
    fn events_are_told_in_words() {
        let row = r#"{"time":1,"temperature":51.24,"clock":1.8e9,"power":null,"memory_used":104857600,
            "tokens_per_second":null,"phase":"idle"}"#;
        assert_eq!(shown("sample", row), "51.2 °C  1.80 GHz  100.0 MiB");
        let engine = r#"{"state":"ready","phase":"decode","model":"coder","queued":1,"active":1,
            "tokens_per_second":7.5,"quarantined":[]}"#;
        assert_eq!(
            shown("engine", engine),
            "answering, coder, 7.5 tokens/s, 1 waiting"
        );
        let job = r#"{"id":"1","kind":"model.add","subject":"m\u001b[2J","state":"running","progress":{"done":1,
            "total":4,"unit":"bytes"},"result":null,"problem":null,"started":"x","ended":null}"#;
        assert_eq!(shown("job", job), "model.add m\u{fffd}[2J goes on 25 %");
        let alert = r#"{"level":"error","message":"too\nhot","time":"x"}"#;
        assert_eq!(shown("alert", alert), "too hot");
        assert_eq!(shown("weather", "rain"), "rain");
    }
}
