//! The engine: a handle that anyone may hold, and the model's own thread behind it.
//!
//! The thread alone owns models, sequences and the scheduler, and waits for commands only when no sequence can run. What
//! takes time and is no arithmetic, a session's way to disk and back, is another thread's; its outcomes are commands, too.

mod inbox;
mod resident;
mod rest;
mod worker;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;

use kernels::compute::Fusions;
use kernels::kv::KvKind;
use tokio::sync::{oneshot, watch};

use crate::activity::{Activity, Pulse, Witness};
use crate::capacity::Limit;
use crate::catalog::{Catalog, Entry};
use crate::error::RequestError;
use crate::parking::{self, Outcome};
use crate::request::{Answer, Event, Outbox, Request, answer};
use crate::template::STACK_BYTES;
use crate::template::renderer::Renderer;
use inbox::{Commands, inbox};
use worker::Worker;

/// How an engine is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folders with models.
    pub folders: Vec<PathBuf>,
    /// Sequences that are computed in turns.
    pub slots: usize,
    /// Requests that may wait for a slot.
    pub queue: usize,
    /// Most tokens of a sequence; a model that was trained for less has less.
    pub context: usize,
    /// Which instructions compute.
    pub path: kernels::path::Path,
    /// Threads that compute, at least one.
    pub threads: usize,
    /// Which operators are computed together.
    pub fused: Fusions,
    /// How keys and values are kept.
    pub kv: KvKind,
    /// Most bytes of weights in memory at a time; what is over it is read again for each token. `None`: all are mapped.
    pub memory_budget: Option<usize>,
    /// Bytes that the machine has to give, before any model is loaded; `None`: nobody says. Where there is not enough
    /// memory for all slots, a model has fewer, or shorter ones.
    pub available: Option<u64>,
    /// What this process may not go above. It is asked at each load.
    pub limit: Limit,
    /// How conversations are kept between their turns.
    pub parking: parking::Settings,
    /// Where templates are run.
    pub renderer: Renderer,
}

/// The handle.
#[derive(Clone)]
pub struct Engine {
    commands: Arc<Commands>,
    activity: watch::Receiver<Activity>,
    pulse: Pulse,
    witness: Witness,
    catalog: Catalog,
}

/// Tells when the model's thread has ended, which it does by itself only if it panics.
pub struct Ended(oneshot::Receiver<()>);

impl Ended {
    /// Waits for the end.
    pub async fn wait(&mut self) {
        let _dropped = (&mut self.0).await;
    }
}

enum Command {
    Submit(Waiting),
    Load(Wanted, oneshot::Sender<Result<(), RequestError>>),
    Limit(Option<usize>),
    LimitContext(Option<usize>),
    Park(oneshot::Sender<bool>),
    ParkSessions,
    Trim(bool),
    Kept(Outcome),
    Wake,
}

/// A model that is to be there.
#[derive(Clone)]
struct Wanted {
    model: String,
    /// Most tokens of a sequence, if it is loaded for this.
    context: Option<usize>,
}

struct Waiting {
    request: Request,
    outbox: Outbox,
}

impl Engine {
    /// Starts the model's thread, and those that compute with it.
    pub fn start(settings: Settings) -> io::Result<(Self, Ended)> {
        let (commands, inbox) = inbox();
        let (publisher, activity) = watch::channel(Activity::default());
        let catalog = Catalog::new(settings.folders.clone());
        let worker = Worker::new(settings, catalog.clone(), inbox, publisher)?;
        let (pulse, witness) = (worker.pulse.clone(), worker.witness.clone());
        let ended = spawn(move || worker.run())?;
        Ok((
            Self {
                commands,
                activity,
                pulse,
                witness,
                catalog,
            },
            ended,
        ))
    }

    /// Hands a request in. What becomes of it, refusals included, comes through the answer.
    pub fn submit(&self, request: Request) -> Answer {
        let commands = Arc::clone(&self.commands);
        let (outbox, answer) = answer(move || {
            // If the thread has ended there is nobody to wake.
            let _ended = commands.0.send(Command::Wake);
        });
        if let Err(mpsc::SendError(Command::Submit(mut waiting))) =
            self.commands.0.send(Command::Submit(Waiting { request, outbox }))
        {
            waiting.outbox.push(Event::Failed(RequestError::Stopping));
        }
        answer
    }

    /// Has a model loaded before anyone asks for it, unless somebody is being answered or waits to be. Returns when it
    /// is. `context`: most tokens of a sequence; as many as the engine was set up for if nothing is said.
    pub async fn load(&self, model: &str, context: Option<usize>) -> Result<(), RequestError> {
        let (reply, loaded) = oneshot::channel();
        let model = model.to_owned();
        let sent = self
            .commands
            .0
            .send(Command::Load(Wanted { model, context }, reply));
        sent.map_err(|_| RequestError::Stopping)?;
        loaded.await.map_err(|_| RequestError::Stopping)?
    }

    /// Answers no more than that many requests at once from now on, at least one; `None`: as many as it was set up for.
    /// Those that are being answered are answered to their end; others wait in the queue.
    pub fn limit_slots(&self, slots: Option<usize>) {
        // If the thread has ended there is nobody to hold back.
        let _ended = self.commands.0.send(Command::Limit(slots));
    }

    /// Gives memory back: conversations that nobody is answered in are written, or forgotten where they cannot be, and the
    /// model is let go of, unless somebody is being answered meanwhile: `false` then. The next request has the model
    /// mapped again, and finds its conversation.
    pub async fn park(&self) -> Result<bool, RequestError> {
        let (reply, parked) = oneshot::channel();
        let sent = self.commands.0.send(Command::Park(reply));
        sent.map_err(|_| RequestError::Stopping)?;
        parked.await.map_err(|_| RequestError::Stopping)
    }

    /// Has conversations that nobody is answered in leave memory; the model stays.
    pub fn park_sessions(&self) {
        // If the thread has ended it holds none.
        let _ended = self.commands.0.send(Command::ParkSessions);
    }

    /// Keeps no more than half of the conversations in memory that may be there, or all again.
    pub fn trim(&self, is_trimmed: bool) {
        // As above.
        let _ended = self.commands.0.send(Command::Trim(is_trimmed));
    }

    /// Gives the conversations of models that are loaded from now on no more than so many tokens; `None`: as many as the
    /// engine was set up for.
    pub fn limit_context(&self, tokens: Option<usize>) {
        // If the thread has ended it loads nothing.
        let _ended = self.commands.0.send(Command::LimitContext(tokens));
    }

    /// What the engine does. A change of phase, depth or model wakes who waits for one; the counters move on silently.
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.activity.clone()
    }

    /// Beats for each layer that is computed and each piece of weights that is read.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Whoever tells others what the engine does says there how far he has come.
    pub fn witness(&self) -> Witness {
        self.witness.clone()
    }

    /// Which models there are. One that is loaded and not among them any more is let go of, unless it is answering.
    pub fn models(&self) -> Vec<Entry> {
        // If the thread has ended it holds no model either.
        let _ended = self.commands.0.send(Command::Wake);
        self.catalog.entries()
    }

    /// The folders that are searched for models.
    pub fn folders(&self) -> &[PathBuf] {
        self.catalog.folders()
    }
}

/// Starts the model's thread.
fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<Ended> {
    let (alive, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("model".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let _alive: oneshot::Sender<()> = alive;
            run();
        })?;
    Ok(Ended(ended))
}

#[cfg(test)]
mod tests;
