//! The engine: a handle that anyone may hold, and the model's own thread behind it.
//!
//! The thread alone owns models, sequences and the scheduler, and waits for commands only when no sequence can run. What
//! takes time and is no arithmetic, a session's way to disk and back, is another thread's; its outcomes are commands, too.

mod inbox;

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kernels::compute::{Compute, Fusions};
use kernels::kv::KvKind;
use kernels::pool::Pool;
use store::trim_heap;
use tokio::sync::{oneshot, watch};

use crate::activity::{Activity, Named, Phase, Pulse, State, Witness};
use crate::capacity::{Capacity, Memory};
use crate::catalog::{Catalog, Entry};
use crate::error::{ForwardError, RequestError};
use crate::graph::Graph;
use crate::model::{self, Model, Terms};
use crate::pace::Pace;
use crate::parking::{self, Outcome, Owner, Resume, Sessions};
use crate::request::{Answer, Event, Outbox, Request, answer};
use crate::scheduler::{Scheduler, SlotId, Work};
use crate::sequence::Sequence;
use crate::template::STACK_BYTES;
use crate::template::renderer::Renderer;
use inbox::{Commands, Inbox, inbox};

/// How long a load waits until somebody who outlives this process knows of which model.
const TESTIMONY: Duration = Duration::from_millis(100);

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
    /// The memory there is: where it is not enough for all slots, a model has fewer, or shorter ones.
    pub memory: Memory,
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
    pub async fn wait(self) {
        let _dropped = self.0.await;
    }
}

enum Command {
    Submit(Waiting),
    Load(String, oneshot::Sender<Result<(), RequestError>>),
    Limit(Option<usize>),
    Park(oneshot::Sender<bool>),
    Kept(Outcome),
    Wake,
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

    /// Has a model loaded before anyone asks for it, unless another is answering. Returns when it is.
    pub async fn load(&self, model: &str) -> Result<(), RequestError> {
        let (reply, loaded) = oneshot::channel();
        let sent = self.commands.0.send(Command::Load(model.to_owned(), reply));
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

/// The model that is loaded.
struct Resident {
    named: Named,
    /// What it was loaded from.
    entry: Entry,
    model: Arc<Model>,
    graph: Graph,
}

/// Whether the model that is loaded is still the one of its name.
fn is_current(catalog: &Catalog, resident: &Resident) -> bool {
    let found = catalog.find(&resident.named.name);
    found.is_some_and(|found| resident.entry.is_still(&found))
}

/// The model's thread.
struct Worker {
    inbox: Inbox,
    catalog: Catalog,
    activity: watch::Sender<Activity>,
    pulse: Pulse,
    witness: Witness,
    /// Loads begun.
    loads: u64,
    /// Tokens run through the model.
    progress: u64,
    /// Tokens generated.
    generated: u64,
    resident: Option<Resident>,
    compute: Compute,
    pace: Pace,
    sequences: Vec<Option<Sequence>>,
    scheduler: Scheduler<Waiting>,
    /// Most requests that are to be answered at once, if somebody says.
    limit: Option<usize>,
    /// Ends of complete answers that their readers have not made room for yet.
    draining: Vec<Outbox>,
    sessions: Sessions,
    /// Who is to be told when all is parked.
    parking: Vec<oneshot::Sender<bool>>,
    settings: Settings,
}

impl Worker {
    fn new(
        settings: Settings,
        catalog: Catalog,
        inbox: Inbox,
        activity: watch::Sender<Activity>,
    ) -> io::Result<Self> {
        let report = inbox.reporter();
        Ok(Self {
            sessions: Sessions::start(&settings.parking, settings.kv, report, Instant::now())?,
            parking: Vec::new(),
            inbox,
            catalog,
            activity,
            pulse: Pulse::default(),
            witness: Witness::default(),
            loads: 0,
            progress: 0,
            generated: 0,
            resident: None,
            compute: Compute::new(settings.path, Pool::new(settings.threads)?, settings.fused),
            pace: Pace::default(),
            sequences: (0..settings.slots.max(1)).map(|_| None).collect(),
            scheduler: Scheduler::new(settings.slots, settings.queue),
            limit: None,
            draining: Vec::new(),
            settings,
        })
    }

    fn run(mut self) {
        self.forget_removed();
        loop {
            match self.next_turn() {
                Some(work) => self.compute(&work),
                None => {
                    self.let_go();
                    self.sessions.work(Instant::now());
                    match self.inbox.wait(self.sessions.deadline()) {
                        Some(command) => self.obey(command),
                        None => return,
                    }
                }
            }
            while let Some(command) = self.inbox.next() {
                self.obey(command);
            }
        }
    }

    /// What to compute next, if anything can be: after readers that left or came back, and with who waits let in.
    fn next_turn(&mut self) -> Option<Work> {
        self.drop_cancelled();
        self.deliver();
        self.admit();
        self.publish(self.phase());
        self.scheduler.next_turn(self.pace.chunk())
    }

    /// What it is busy with: if with nothing else, with reading what somebody waits for.
    fn phase(&self) -> Phase {
        let waits = |sequence: &Sequence| sequence.waits().is_some();
        match self.scheduler.phase() {
            Phase::Idle if self.sequences.iter().flatten().any(waits) => Phase::Loading,
            phase => phase,
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Wake => {}
            Command::Limit(slots) => {
                self.limit = slots;
                self.apply_limits();
            }
            Command::Kept(outcome) => self.hear(outcome),
            Command::Park(reply) => {
                self.parking.push(reply);
                self.sessions.clear(Instant::now());
                self.finish_parking();
            }
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

    /// Takes what has become of sessions; who waited for one goes on.
    fn hear(&mut self, outcome: Outcome) {
        let left_memory = matches!(outcome, Outcome::Written(..));
        for restored in self.sessions.done(outcome, Instant::now()) {
            for (index, sequence) in self.sequences.iter_mut().enumerate() {
                if let Some(sequence) = sequence.as_mut().filter(|it| it.waits() == Some(restored.ticket)) {
                    let seen = restored.seen.clone();
                    self.scheduler.skip(SlotId(index), sequence.resume(seen));
                }
            }
        }
        if left_memory && self.scheduler.active() == 0 {
            trim_heap();
        }
        self.finish_parking();
    }

    /// When no session is in memory any more, the model goes, too: its pages are the page cache's then, clean, and the
    /// kernel may have them.
    fn finish_parking(&mut self) {
        if self.parking.is_empty() || !self.sessions.is_clear() {
            return;
        }
        self.sessions.cleared();
        let idle = self.scheduler.active() == 0;
        if idle {
            self.unload();
            trim_heap();
            self.publish(self.scheduler.phase());
        }
        for reply in self.parking.drain(..) {
            // Who asked may have stopped waiting for the answer.
            let _gone = reply.send(idle);
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
                let blocked = !sequence.outbox.flush() || sequence.waits().is_some();
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

    /// Gives a sequence a slot, and what was kept of its beginning.
    fn place(&mut self, mut sequence: Sequence) {
        let Some(slot) = self.scheduler.occupy(sequence.prompt().len()) else {
            return;
        };
        if let Some(owner) = self.owner() {
            match self.sessions.resume(owner, sequence.prompt(), Instant::now()) {
                Resume::Nothing => {}
                Resume::Now(seen) => self.scheduler.skip(slot, sequence.resume(Some(seen))),
                Resume::Later(ticket) => {
                    sequence.wait(ticket);
                    self.scheduler.set_blocked(slot, true);
                }
            }
        }
        self.sequences[slot.0] = Some(sequence);
    }

    /// Whose keys and values those of the resident model are.
    fn owner(&self) -> Option<Owner> {
        self.resident.as_ref().map(|resident| Owner {
            root: resident.graph.root(),
            shape: resident.model.kv_shape(),
        })
    }

    fn is_resident(&self, model: &str) -> bool {
        self.resident
            .as_ref()
            .is_some_and(|resident| *resident.named.name == *model)
    }

    /// The model of that name, loaded in place of the resident one if need be. What is answering is there to the end of
    /// its answers, whatever becomes of its folder.
    fn model(&mut self, id: &str) -> Result<Arc<Model>, RequestError> {
        self.let_go();
        if let Some(resident) = self
            .resident
            .as_ref()
            .filter(|resident| *resident.named.name == *id)
        {
            return Ok(Arc::clone(&resident.model));
        }
        let entry = self
            .catalog
            .find(id)
            .ok_or_else(|| RequestError::NoSuchModel(id.to_owned()))?;
        let unusable = |error: &dyn Display| RequestError::Load {
            model: id.to_owned(),
            reason: error.to_string(),
        };
        let named = Named {
            name: id.into(),
            tag: entry.tag().map_err(|error| unusable(&error))?,
        };
        self.unload();
        self.testify(&named);
        let loaded = model::load_on(&entry.source, &self.terms(), &self.pulse);
        let (model, graph) = loaded.map_err(|error| unusable(&error))?;
        let model = Arc::new(model);
        self.sessions.limit_memory(model.idle_kv(), Instant::now());
        self.resident = Some(Resident {
            named,
            entry,
            model: Arc::clone(&model),
            graph,
        });
        self.pace = Pace::default();
        self.apply_limits();
        self.publish(Phase::Loading);
        Ok(model)
    }

    /// Says which model is about to be loaded, and sees to it that this is known before the model is touched: one that
    /// ends the process says nothing any more.
    fn testify(&mut self, named: &Named) {
        self.loads += 1;
        self.tell(Phase::Loading, State::Loading, Some(named.clone()));
        self.witness.wait(self.loads, TESTIMONY);
    }

    fn terms(&self) -> Terms {
        Terms {
            budget: self.settings.memory_budget,
            wanted: Capacity {
                slots: self.sequences.len(),
                context: self.settings.context,
            },
            kv: self.settings.kv,
            memory: self.settings.memory,
            idle_kv: self.settings.parking.memory,
            renderer: self.settings.renderer,
        }
    }

    /// Gives out as many slots as the model has memory for, and no more than was said.
    fn apply_limits(&mut self) {
        let room = self.resident.as_ref().map(|resident| resident.model.slots());
        self.scheduler.limit(room.into_iter().chain(self.limit).min());
    }

    /// Gives up a model that was removed, or that another was stored in place of, once nobody is being answered by it:
    /// its blocks take room on the disk for as long as they are mapped.
    fn let_go(&mut self) {
        if self.scheduler.active() > 0 {
            return;
        }
        let gone = |resident: &Resident| !is_current(&self.catalog, resident);
        if self.resident.as_ref().is_some_and(gone) {
            self.unload();
            self.publish(self.scheduler.phase());
        }
    }

    /// Gives the resident model's memory back.
    fn unload(&mut self) {
        self.resident = None;
        self.sessions.forget_nameless();
        self.forget_removed();
        self.apply_limits();
    }

    /// Files of models that were removed take room from others.
    fn forget_removed(&mut self) {
        let catalog = &self.catalog;
        self.sessions.forget_removed(|| catalog.roots());
    }

    fn compute(&mut self, work: &Work) {
        let ended = match self.step(work) {
            Ok(ended) => ended,
            Err(error) => {
                self.fail(work.slots(), &error);
                work.slots().to_vec()
            }
        };
        ended.into_iter().for_each(|slot| self.release(slot));
    }

    /// Does one turn. Whose answers are complete then.
    fn step(&mut self, work: &Work) -> Result<Vec<SlotId>, ForwardError> {
        let Some(resident) = &mut self.resident else {
            return Ok(Vec::new());
        };
        let mut running: Vec<(SlotId, &mut Sequence)> = self
            .sequences
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| work.slots().contains(&SlotId(*index)))
            .filter_map(|(index, sequence)| Some((SlotId(index), sequence.as_mut()?)))
            .collect();
        let mut parts: Vec<_> = running
            .iter_mut()
            .map(|(_, sequence)| sequence.part(work))
            .collect();
        let start = Instant::now();
        let logits = resident.graph.forward(&mut self.compute, &mut parts)?;
        if let Work::Prefill { tokens, .. } = work {
            self.pace.took(tokens.len(), start.elapsed());
        }
        self.progress += work.tokens() as u64;
        let mut ended = Vec::new();
        for ((slot, sequence), row) in running.into_iter().zip(0..logits.rows()) {
            let before = sequence.made();
            if sequence.commit(logits.row(row)) {
                ended.push(slot);
            }
            self.generated += (sequence.made() - before) as u64;
        }
        Ok(ended)
    }

    fn fail(&mut self, slots: &[SlotId], error: &ForwardError) {
        let named = self.resident.as_ref().map(|resident| &resident.named);
        let model = named.map_or("", |named| &*named.name);
        let error = RequestError::Internal(format!("the model `{model}`: {error}"));
        for slot in slots {
            if let Some(sequence) = &mut self.sequences[slot.0] {
                sequence.outbox.push(Event::Failed(error.clone()));
                sequence.spoil();
            }
        }
    }

    /// Frees a slot; what its reader has not taken yet is kept for it, and what was computed for the next turn.
    fn release(&mut self, slot: SlotId) {
        self.scheduler.release(slot);
        let Some(sequence) = self.sequences[slot.0].take() else {
            return;
        };
        let (tokens, kv, mut outbox) = sequence.end();
        if !outbox.flush() {
            self.draining.push(outbox);
        }
        if let Some(owner) = self.owner() {
            self.sessions.store(owner, &tokens, kv, Instant::now());
        }
    }

    /// Tells what is done. Every turn comes by here: it costs a lock that is hardly ever contended, and no allocation.
    fn publish(&self, phase: Phase) {
        let model = self.resident.as_ref().map(|resident| resident.named.clone());
        let state = model.as_ref().map_or(State::Empty, |_| State::Ready);
        self.tell(phase, state, model);
    }

    fn tell(&self, phase: Phase, state: State, model: Option<Named>) {
        let sequences = self.sequences.iter().flatten();
        let mut now = Activity {
            phase,
            state,
            model,
            loads: self.loads,
            queued: self.scheduler.waiting(),
            active: self.scheduler.active(),
            kv_tokens: sequences.map(Sequence::kv_tokens).max().unwrap_or(0),
            progress: self.progress,
            generated: self.generated,
            generated_at: None,
            kv_bytes: 0,
        };
        self.activity.send_if_modified(|activity| {
            now.generated_at = if now.generated == activity.generated {
                activity.generated_at
            } else {
                Some(Instant::now())
            };
            let differs = now.differs(activity);
            *activity = now;
            differs
        });
    }
}

#[cfg(test)]
mod tests;
