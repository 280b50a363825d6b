//! The model's thread: commands in, turns of computing, answers out.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernels::compute::Compute;
use kernels::pool::Pool;
use tokio::sync::{oneshot, watch};

use super::inbox::Inbox;
use super::resident::Resident;
use super::{Command, Settings, Waiting, Wanted};
use crate::activity::{Activity, Named, Phase, Pulse, State, Witness};
use crate::catalog::Catalog;
use crate::error::{ForwardError, RequestError};
use crate::model::Model;
use crate::pace::Pace;
use crate::parking::{Resume, Sessions};
use crate::request::{Event, Outbox, Request, Summary};
use crate::scheduler::{Scheduler, SlotId, Work};
use crate::sequence::Sequence;

/// The model's thread.
pub(super) struct Worker {
    pub(super) inbox: Inbox,
    pub(super) catalog: Catalog,
    pub(super) activity: watch::Sender<Activity>,
    pub(super) pulse: Pulse,
    pub(super) witness: Witness,
    /// Loads begun.
    pub(super) loads: u64,
    /// Tokens run through the model.
    pub(super) progress: u64,
    /// Tokens generated.
    pub(super) generated: u64,
    pub(super) resident: Option<Resident>,
    pub(super) compute: Compute,
    pub(super) pace: Pace,
    pub(super) sequences: Vec<Option<Sequence>>,
    pub(super) scheduler: Scheduler<Waiting>,
    /// Most requests that are to be answered at once, if somebody says.
    pub(super) limit: Option<usize>,
    /// Most tokens of sequences of models that are loaded from now on.
    pub(super) context: usize,
    /// Whether idle sessions have but half of their memory.
    pub(super) is_trimmed: bool,
    /// The model that was let go of to give its memory back, and will be wanted again.
    pub(super) parked: Option<Named>,
    /// Ends of complete answers that their readers have not made room for yet.
    pub(super) draining: Vec<Outbox>,
    pub(super) sessions: Sessions,
    /// Who is to be told when all is parked.
    pub(super) parking: Vec<oneshot::Sender<bool>>,
    pub(super) settings: Settings,
}
impl Worker {
    pub(super) fn new(
        settings: Settings,
        catalog: Catalog,
        inbox: Inbox,
        activity: watch::Sender<Activity>,
    ) -> io::Result<Self> {
        let (report, pulse) = (inbox.reporter(), Pulse::default());
        let (parking, kv) = (&settings.parking, settings.kv);
        Ok(Self {
            sessions: Sessions::start(parking, kv, pulse.clone(), report, Instant::now())?,
            parking: Vec::new(),
            inbox,
            catalog,
            activity,
            pulse,
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
            context: usize::MAX,
            is_trimmed: false,
            parked: None,
            draining: Vec::new(),
            settings,
        })
    }

    pub(super) fn run(mut self) {
        self.forget_removed();
        loop {
            match self.next_turn() {
                Some(work) => self.compute(&work),
                None => {
                    self.let_go();
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
    pub(super) fn next_turn(&mut self) -> Option<Work> {
        self.drop_cancelled();
        self.deliver();
        self.keep_sessions();
        self.foretell();
        self.admit();
        self.publish(self.phase());
        self.scheduler.next_turn(self.pace.chunk())
    }

    /// Sees to idle sessions whose time has come, also while others are being answered.
    fn keep_sessions(&mut self) {
        let now = Instant::now();
        if self.sessions.deadline().is_some_and(|due| due <= now) {
            self.sessions.work(now);
        }
    }

    /// Says, before anything is done for whoever is let in next, that it is: what never ends there would otherwise look
    /// like rest to those who watch.
    fn foretell(&self) {
        let is_let_in = |waiting: &Waiting| self.may_enter(&waiting.request.model);
        if self.phase() == Phase::Idle && self.scheduler.next_waiting().is_some_and(is_let_in) {
            self.publish(Phase::Loading);
        }
    }

    /// Whether who wants that model may be let in: one is resident at a time, until its sequences are complete.
    fn may_enter(&self, model: &str) -> bool {
        self.scheduler.active() == 0 || self.is_resident(model)
    }

    /// What it is busy with: if with nothing else, with reading what somebody waits for.
    fn phase(&self) -> Phase {
        let waits = |sequence: &Sequence| sequence.waits().is_some();
        match self.scheduler.phase() {
            Phase::Idle if self.sequences.iter().flatten().any(waits) => Phase::Loading,
            phase => phase,
        }
    }

    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Wake => {}
            Command::Limit(slots) => {
                self.limit = slots;
                self.apply_limits();
            }
            Command::Kept(outcome) => self.hear(outcome),
            Command::LimitContext(tokens) => self.context = tokens.unwrap_or(usize::MAX),
            Command::Trim(is_trimmed) => {
                self.is_trimmed = is_trimmed;
                self.apply_memory();
            }
            Command::ParkSessions => {
                self.sessions.clear(Instant::now());
                self.finish_parking();
            }
            Command::Park(reply) => {
                self.parking.push(reply);
                self.sessions.await_clear();
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
            Command::Load(wanted, reply) => {
                let loaded = if self.scheduler.active() + self.scheduler.waiting() > 0 {
                    Ok(())
                } else {
                    self.model(&wanted).map(drop)
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
                let blocked = !sequence.outbox.flush() || sequence.waits().is_some();
                self.scheduler.set_blocked(SlotId(index), blocked);
            }
        }
    }

    /// Gives free slots to those who wait, in their order.
    fn admit(&mut self) {
        while let Some(waiting) = self.scheduler.next_waiting() {
            let wanted = Wanted {
                model: waiting.request.model.clone(),
                context: waiting.request.context,
            };
            if !self.may_enter(&wanted.model) {
                return;
            }
            let Some(Waiting { request, mut outbox }) = self.scheduler.take_waiting() else {
                return;
            };
            let before = (self.loads, Instant::now());
            match self.model(&wanted) {
                Ok(model) => {
                    let loading = (self.loads > before.0).then(|| before.1.elapsed());
                    self.begin(model, request, outbox, loading);
                    self.pulse.beat();
                }
                Err(error) => outbox.push(Event::Failed(error)),
            }
        }
    }

    fn begin(&mut self, model: Arc<Model>, request: Request, mut outbox: Outbox, loading: Option<Duration>) {
        if request.messages.is_empty() {
            outbox.push(Event::Started {
                prompt_tokens: 0,
                loading,
            });
            outbox.push(Event::Finished(Summary::NOTHING));
            return;
        }
        match Sequence::new(model, request, outbox, loading) {
            Ok(sequence) => self.place(sequence),
            Err((mut outbox, error)) => outbox.push(Event::Failed(error)),
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

    pub(super) fn compute(&mut self, work: &Work) {
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
    pub(super) fn publish(&self, phase: Phase) {
        let (state, model) = match (&self.resident, &self.parked) {
            (Some(resident), _) => (State::Ready, Some(resident.named.clone())),
            (None, Some(parked)) => (State::Parked, Some(parked.clone())),
            (None, None) => (State::Empty, None),
        };
        self.tell(phase, state, model);
    }

    pub(super) fn tell(&self, phase: Phase, state: State, model: Option<Named>) {
        let sequences = self.sequences.iter().flatten();
        let mut now = Activity {
            phase,
            state,
            model,
            loads: self.loads,
            queued: self.scheduler.waiting(),
            active: self.scheduler.active(),
            kv_tokens: sequences.map(Sequence::kv_tokens).max().unwrap_or(0),
            context: self.context_in_force(),
            progress: self.progress,
            generated: self.generated,
            generated_at: None,
            kv_bytes: self.sessions.memory(),
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
