//! `hearth top`: the machine on one screen, live.
//!
//! The gateway tells what happens ([`crate::watch::EVENTS`]); what was before is asked for once. It is drawn once a second
//! at most, and of a screen only what has changed goes over the line.

mod scene;
mod view;

use crate::{
    client::Client,
    events::{Event as Told, Stream},
    history, watch,
};
use anyhow::{Context, bail};
use api::{engine::EngineActivity, jobs::JobList, rest::Status, samples::Samples};
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use scene::{KEPT, Scene};
use std::{
    io::{self, IsTerminal},
    pin::Pin,
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

/// How often it is drawn at most.
const FRAME: Duration = Duration::from_secs(1);
/// How long to wait before the gateway is asked again that has hung up.
const AGAIN: Duration = Duration::from_secs(3);

/// Shows it until a key, a signal, or the terminal's end.
pub(crate) async fn top(client: &Client) -> anyhow::Result<()> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        bail!("a screen wants a terminal (ssh -t); \"hearth events\" is for pipes and programs");
    }
    // Before the terminal is taken: an error is to be read.
    let mut scene = begin(client).await?;
    scene.colour = std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let mut screen = Screen(ratatui::try_init().context("the terminal cannot be drawn on")?);
    watch(client, &mut screen.0, scene).await
}

/// A terminal that is drawn on. It is given back however the program goes on; if it panics, ratatui's hook does it.
struct Screen(DefaultTerminal);

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        ratatui::try_restore().ok();
    }
}

/// What there was before.
async fn begin(client: &Client) -> anyhow::Result<Scene> {
    let status: Status = client.get("/api/v1/status").await?;
    let mut scene = Scene::new(&status, Instant::now().into());
    // Without the agent there is none of them, and the status says so.
    let samples: Option<Samples> = client.get(&history::path(KEPT as u32)).await.ok();
    let engine: Option<EngineActivity> = client.get("/api/v1/engine").await.ok();
    let jobs: Option<JobList> = client.get("/api/v1/jobs").await.ok();
    scene.recall(
        samples.unwrap_or_default(),
        engine,
        jobs.map(|list| list.jobs).unwrap_or_default(),
    );
    Ok(scene)
}

/// The line to the gateway.
enum Link<'a> {
    /// It is asked; kept here, so that nothing that comes meanwhile has it asked anew.
    Beginning(Pin<Box<dyn Future<Output = anyhow::Result<Begun<'a>>> + 'a>>),
    /// It tells.
    Live(Box<Stream<'a>>),
    /// It has hung up, and is asked again then.
    Resting(Instant),
}

/// A stream that has begun, and what there was before, if that was wanted.
struct Begun<'a> {
    stream: Box<Stream<'a>>,
    scene: Option<Box<Scene>>,
}

impl<'a> Link<'a> {
    fn begin(client: &'a Client, anew: bool) -> Self {
        Self::Beginning(Box::pin(async move {
            let stream = Box::new(Stream::begin(client, watch::EVENTS).await?);
            let scene = if anew {
                Some(Box::new(begin(client).await?))
            } else {
                None
            };
            Ok(Begun { stream, scene })
        }))
    }

    /// What the gateway does next. Dropped while it waits, it has lost nothing.
    async fn next(&mut self) -> Next<'a> {
        match self {
            Self::Beginning(begun) => Next::Begun(begun.await),
            Self::Live(stream) => Next::Told(stream.next().await),
            Self::Resting(until) => {
                sleep_until(*until).await;
                Next::Again
            }
        }
    }
}

/// What comes next.
enum Next<'a> {
    Begun(anyhow::Result<Begun<'a>>),
    Told(anyhow::Result<Option<Told>>),
    Again,
    Typed(Option<io::Result<Event>>),
    Frame,
    Leave,
}

async fn watch(client: &Client, terminal: &mut DefaultTerminal, mut scene: Scene) -> anyhow::Result<()> {
    let (mut keys, mut frames) = (EventStream::new(), interval(FRAME));
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut hang_up, mut end) = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
    let (mut link, mut is_new) = (Link::begin(client, false), true);
    loop {
        let next = tokio::select! {
            next = link.next() => next,
            typed = keys.next() => Next::Typed(typed),
            _ = frames.tick() => Next::Frame,
            _ = hang_up.recv() => Next::Leave,
            _ = end.recv() => Next::Leave,
        };
        match next {
            Next::Begun(Ok(begun)) => {
                link = Link::Live(begun.stream);
                if let Some(anew) = begun.scene {
                    (scene, is_new) = (anew.with_alerts_of(scene), true);
                }
            }
            Next::Told(Ok(Some(event))) => is_new |= scene.take(&event),
            Next::Begun(Err(error)) | Next::Told(Err(error)) => {
                scene.lose(&format!("{error:#}"));
                (link, is_new) = (Link::Resting(Instant::now() + AGAIN), true);
            }
            Next::Told(Ok(None)) => {
                scene.lose("the gateway has hung up");
                (link, is_new) = (Link::Resting(Instant::now() + AGAIN), true);
            }
            Next::Again => link = Link::begin(client, true),
            Next::Frame if is_new => {
                terminal.draw(|frame| view::draw(frame, &scene, Instant::now().into()))?;
                is_new = false;
            }
            Next::Frame => (),
            // The terminal is another, so all of it is to be drawn, and at once.
            Next::Typed(Some(Ok(Event::Resize(..)))) => {
                terminal.draw(|frame| view::draw(frame, &scene, Instant::now().into()))?;
            }
            Next::Typed(Some(Ok(Event::Key(key)))) if leaves(&key) => return Ok(()),
            Next::Typed(Some(Ok(_))) => (),
            // Nobody can type any more: the terminal is gone.
            Next::Typed(_) | Next::Leave => return Ok(()),
        }
    }
}

fn leaves(key: &KeyEvent) -> bool {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press
        && match key.code {
            KeyCode::Char('q') | KeyCode::Esc => true,
            KeyCode::Char('c' | 'd') => is_control,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_esc_and_ctrl_c_leave() {
        let key = KeyEvent::new;
        for leaving in [
            key(KeyCode::Char('q'), KeyModifiers::NONE),
            key(KeyCode::Esc, KeyModifiers::NONE),
            key(KeyCode::Char('c'), KeyModifiers::CONTROL),
        ] {
            assert!(leaves(&leaving), "{leaving:?}");
        }
        for staying in [
            key(KeyCode::Char('c'), KeyModifiers::NONE),
            key(KeyCode::Enter, KeyModifiers::NONE),
        ] {
            assert!(!leaves(&staying), "{staying:?}");
        }
    }
}
