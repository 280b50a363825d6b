//! The engine: a handle that anyone may hold, and the model's own thread behind it.
//!
//! The thread alone owns models, sequences and the scheduler, and waits for commands only when no sequence can run.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::catalog::Catalog;
use crate::error::RequestError;
use crate::model::Model;
use crate::request::{Answer, Event, Outbox, Request, answer};
use crate::scheduler::{Scheduler, SlotId, Work};
use crate::sequence::Sequence;
use crate::template::STACK_BYTES;

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
    /// Tokens of a prompt that are run in one turn, see [`crate::scheduler::part`].
    pub chunk: usize,
}

/// What the engine does now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The model that is loaded.
    pub model: Option<String>,
    /// Requests that wait for a slot.
    pub queued: usize,
    /// Sequences that are being answered.
    pub active: usize,
}

/// The handle.
#[derive(Clone)]
pub struct Engine {
    commands: mpsc::Sender<Command>,
    status: Arc<Mutex<Status>>,
    catalog: Catalog,
}

/// Tells when the model's thread has ended, which it does by itself only if it panics.
pub struct Ended(oneshot::Receiver<()>);

impl Ended {
    /// Waits for the end.
    pub async fn wait(self) {
        let _dropped = self.0.await;
    }
}

enum Command {
    Submit(Waiting),
    Load(String, oneshot::Sender<Result<(), RequestError>>),
    Wake,
}

struct Waiting {
    request: Request,
    outbox: Outbox,
}

impl Engine {
    /// Starts the model's thread.
    pub fn start(settings: Settings) -> io::Result<(Self, Ended)> {
        let (commands, inbox) = mpsc::channel();
        let status = Arc::new(Mutex::new(Status::default()));
        let catalog = Catalog::new(settings.folders.clone());
        let worker = Worker {
            inbox,
            catalog: catalog.clone(),
            status: Arc::clone(&status),
            resident: None,
            sequences: (0..settings.slots.max(1)).map(|_| None).collect(),
            scheduler: Scheduler::new(settings.slots, settings.queue, settings.chunk),
            draining: Vec::new(),
            settings,
        };
        let ended = spawn(move || worker.run())?;
        Ok((
            Self {
                commands,
                status,
                catalog,
            },
            ended,
        ))
    }

    /// Hands a request in. What becomes of it, refusals included, comes through the answer.
    pub fn submit(&self, request: Request) -> Answer {
        let commands = self.commands.clone();
        let (outbox, answer) = answer(move || {
            // If the thread has ended there is nobody to wake.
            let _ended = commands.send(Command::Wake);
        });
        if let Err(mpsc::SendError(Command::Submit(mut waiting))) =
            self.commands.send(Command::Submit(Waiting { request, outbox }))
        {
            waiting.outbox.push(Event::Failed(RequestError::Stopping));
        }
        answer
    }

    /// Has a model loaded before anyone asks for it, unless another is answering. Returns when it is.
    pub async fn load(&self, model: &str) -> Result<(), RequestError> {
        let (reply, loaded) = oneshot::channel();
        let sent = self.commands.send(Command::Load(model.to_owned(), reply));
        sent.map_err(|_| RequestError::Stopping)?;
        loaded.await.map_err(|_| RequestError::Stopping)?
    }

    /// What the engine does now.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which models there are.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
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

/// The model's thread.
struct Worker {
    inbox: mpsc::Receiver<Command>,
    catalog: Catalog,
    status: Arc<Mutex<Status>>,
    resident: Option<(String, Arc<Model>)>,
    sequences: Vec<Option<Sequence>>,
    scheduler: Scheduler<Waiting>,
    /// Ends of complete answers that their readers have not made room for yet.
    draining: Vec<Outbox>,
    settings: Settings,
}

impl Worker {
    fn run(mut self) {
        loop {
            self.drop_cancelled();
            self.deliver();
            self.admit();
            self.publish();
            match self.scheduler.next_turn() {
                Some(work) => self.compute(&work),
                None => match self.inbox.recv() {
                    Ok(command) => self.obey(command),
                    Err(mpsc::RecvError) => return,
                },
            }
            while let Ok(command) = self.inbox.try_recv() {
                self.obey(command);
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Wake => {}
            Command::Submit(waiting) => {
                if let Err(mut refused) = self.scheduler.enqueue(waiting) {
                    let waiting = self.scheduler.waiting();
                    refused
                        .outbox
                        .push(Event::Failed(RequestError::QueueFull { waiting }));
                }
            }
            Command::Load(model, reply) => {
                let loaded = if self.scheduler.active() > 0 {
                    Ok(())
                } else {
                    self.model(&model).map(drop)
                };
                // Who asked may have stopped waiting for the answer.
                let _gone = reply.send(loaded);
            }
        }
    }

    /// Forgets requests whose readers have gone.
    fn drop_cancelled(&mut self) {
        self.scheduler
            .retain_waiting(|waiting| !waiting.outbox.is_cancelled());
        self.draining.retain(|outbox| !outbox.is_cancelled());
        for index in 0..self.sequences.len() {
            if self.sequences[index]
                .as_ref()
                .is_some_and(|sequence| sequence.outbox.is_cancelled())
            {
                self.release(SlotId(index));
            }
        }
    }

    /// Sends what readers have made room for, and lets their sequences go on.
    fn deliver(&mut self) {
        self.draining.retain_mut(|outbox| !outbox.flush());
        for (index, sequence) in self.sequences.iter_mut().enumerate() {
            if let Some(sequence) = sequence {
                let blocked = !sequence.outbox.flush();
                self.scheduler.set_blocked(SlotId(index), blocked);
            }
        }
    }

    /// Gives free slots to those who wait. One model is resident at a time: who wants another waits until the
    /// sequences of this one are complete.
    fn admit(&mut self) {
        while let Some(waiting) = self.scheduler.next_waiting() {
            let wanted = waiting.request.model.clone();
            if self.scheduler.active() > 0 && !self.is_resident(&wanted) {
                return;
            }
            let Some(Waiting { request, outbox }) = self.scheduler.take_waiting() else {
                return;
            };
            let sequence = match self.model(&wanted) {
                Ok(model) => Sequence::new(model, request, outbox),
                Err(error) => Err((outbox, error)),
            };
            match sequence {
                Ok(sequence) => self.place(sequence),
                Err((mut outbox, error)) => outbox.push(Event::Failed(error)),
            }
        }
    }

    fn place(&mut self, sequence: Sequence) {
        if let Some(slot) = self.scheduler.occupy(sequence.prompt_tokens()) {
            self.sequences[slot.0] = Some(sequence);
        }
    }

    fn is_resident(&self, model: &str) -> bool {
        self.resident.as_ref().is_some_and(|(id, _)| id == model)
    }

    /// The model of that name, loaded in place of the resident one if need be.
    fn model(&mut self, id: &str) -> Result<Arc<Model>, RequestError> {
        if let Some((_, model)) = self.resident.as_ref().filter(|(resident, _)| resident == id) {
            return Ok(Arc::clone(model));
        }
        let entry = self
            .catalog
            .find(id)
            .ok_or_else(|| RequestError::NoSuchModel(id.to_owned()))?;
        self.resident = None;
        self.publish();
        let model = Model::load(&entry.path, self.settings.context).map_err(|error| RequestError::Load {
            model: id.to_owned(),
            reason: error.to_string(),
        })?;
        let model = Arc::new(model);
        self.resident = Some((id.to_owned(), Arc::clone(&model)));
        self.publish();
        Ok(model)
    }

    fn compute(&mut self, work: &Work) {
        let slot = work.slot();
        let Some(sequence) = &mut self.sequences[slot.0] else {
            return;
        };
        match sequence.step(work) {
            Ok(false) => {}
            Ok(true) => self.release(slot),
            Err(error) => {
                sequence
                    .outbox
                    .push(Event::Failed(RequestError::Internal(error.to_string())));
                self.release(slot);
            }
        }
    }

    /// Frees a slot; what its reader has not taken yet is kept for it.
    fn release(&mut self, slot: SlotId) {
        self.scheduler.release(slot);
        if let Some(mut sequence) = self.sequences[slot.0].take()
            && !sequence.outbox.flush()
        {
            self.draining.push(sequence.outbox);
        }
    }

    fn publish(&self) {
        let status = Status {
            model: self.resident.as_ref().map(|(id, _)| id.clone()),
            queued: self.scheduler.waiting(),
            active: self.scheduler.active(),
        };
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

#[cfg(test)]
mod tests;
