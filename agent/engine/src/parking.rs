//! Idle sessions: what was computed for a conversation is kept for its next turn.
//!
//! When an answer ends, the keys and values of its tokens become an idle session. A request whose prompt begins with the
//! same tokens goes on from there and has only the rest run: the bits are those that running all of it would give.
//! Sessions that nobody comes back to are compressed in memory, then written to a folder, where the next process finds
//! them; the least recently used go first where there is no room. What happens when is decided by `policy`, which is
//! pure; compressing and files are the business of a thread of its own (`parker`).

mod codec;
mod file;
mod folder;
mod parker;
mod policy;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernels::kv::{KvBlock, KvKind, KvShape, POSITIONS};
use store::Hash;

use crate::activity::Pulse;
use crate::kv::KvCache;
use codec::Held;
use file::Header;
#[cfg(test)]
pub(crate) use file::VERSION;
use folder::{Folder, Found, Loss};
use parker::{Job, Origin, Parker, Wanted};
pub(crate) use parker::{Outcome, Ticket};
use policy::{Limits, Policy, SessionId, Step};

/// How idle sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most bytes of keys and values of idle sessions in memory; 0: none are kept. When half of it is taken, sessions are
    /// compressed and written without delay.
    pub memory: u64,
    /// How long a session is idle before it is compressed in memory.
    pub pack_after: Duration,
    /// How long a session is idle before it is written, and leaves memory.
    pub write_after: Duration,
    /// Where it is written; nowhere if nothing is said.
    pub disk: Option<Disk>,
}

/// Where idle sessions are written. What is said in them can be read from the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// A folder for nothing else. It is made when the first session is written.
    pub folder: PathBuf,
    /// Most bytes of all files; 0: none are written, and those that are there are removed.
    pub quota: u64,
}

impl Settings {
    /// No session is kept.
    pub const NONE: Self = Self {
        memory: 0,
        pack_after: Duration::MAX,
        write_after: Duration::MAX,
        disk: None,
    };

    fn limits(&self) -> Limits {
        Limits {
            memory: self.memory,
            disk: self.disk.as_ref().map_or(0, |disk| disk.quota),
            pack_after: self.pack_after,
            write_after: self.write_after,
        }
    }
}

/// Whose keys and values they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The model's root hash; a model from a file has none, and its sessions are not written.
    pub(crate) root: Option<Hash>,
    pub(crate) shape: KvShape,
}

/// What a prompt can go on from.
#[derive(Debug)]
pub(crate) enum Resume {
    /// Nothing.
    Nothing,
    /// These.
    Now(Seen),
    /// What [`Sessions::done`] will give with this ticket.
    Later(Ticket),
}

/// Keys and values of the first tokens of a prompt.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) blocks: Vec<Arc<KvBlock>>,
    /// Tokens.
    pub(crate) length: usize,
}

/// For whom keys and values have come; none if they cannot be had after all.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) ticket: Ticket,
    pub(crate) seen: Option<Seen>,
}

/// All idle sessions.
pub(crate) struct Sessions {
    policy: Policy,
    kept: HashMap<SessionId, Kept>,
    /// None where no session is kept.
    parker: Option<Parker>,
    /// Who waits, and for how many tokens.
    waiting: Vec<(Ticket, usize)>,
    tickets: u64,
}

/// Where a session's keys and values are.
enum Kept {
    Memory(KvShape, Vec<Held>),
    File(Header),
    /// In a file of that name, which could not be read when it was found.
    Unread(String),
}

impl Sessions {
    /// Finds the sessions that an earlier process has parked. `report` is called by another thread; what it is called with
    /// is to be given to [`Self::done`]. The pulse beats for each block that passes through that thread for somebody who
    /// waits.
    pub(crate) fn start(
        settings: &Settings,
        kind: KvKind,
        pulse: Pulse,
        report: impl Fn(Outcome) + Send + 'static,
        now: Instant,
    ) -> io::Result<Self> {
        let mut sessions = Self {
            policy: Policy::new(settings.limits()),
            kept: HashMap::new(),
            parker: None,
            waiting: Vec::new(),
            tickets: 0,
        };
        if settings.memory > 0 || settings.disk.is_some() {
            let folder = settings.disk.as_ref().map(|disk| disk.folder.as_path());
            let found = folder.map_or_else(Vec::new, |folder| Folder::new(folder).scan(kind));
            sessions.parker = Some(Parker::start(folder, pulse, report)?);
            found
                .into_iter()
                .for_each(|found| sessions.take_found(found, now));
            sessions.work(now);
        }
        Ok(sessions)
    }

    fn take_found(&mut self, found: Found, now: Instant) {
        let (id, kept) = match found.header {
            Some(header) => {
                let tokens = header.tokens[..policy::whole(header.tokens.len())].into();
                let id = self.policy.insert_file(found.root, tokens, found.bytes, now);
                (id, Kept::File(header))
            }
            None => {
                let id = self.policy.insert_unreadable(found.root, found.bytes, now);
                (id, Kept::Unread(found.name))
            }
        };
        self.kept.insert(id, kept);
    }

    /// Keeps what was computed for `tokens`, of which `kv` may have fewer, but for what is behind the last whole block.
    pub(crate) fn store(&mut self, owner: Owner, tokens: &[u32], kv: KvCache, now: Instant) {
        let tokens = &tokens[..policy::whole(kv.length().min(tokens.len()))];
        if self.parker.is_none() || tokens.is_empty() {
            return;
        }
        let blocks = kv.blocks()[..tokens.len() / POSITIONS].iter();
        let blocks: Vec<_> = blocks.map(|block| Held::Raw(Arc::clone(block))).collect();
        let (id, gone) = self.policy.insert(owner.root, tokens.into(), bytes(&blocks), now);
        gone.into_iter().for_each(|id| self.forget(id));
        if let Some(id) = id {
            self.kept.insert(id, Kept::Memory(owner.shape, blocks));
        }
        self.work(now);
    }

    /// What is there of the first tokens of a prompt, but for its last one.
    pub(crate) fn resume(&mut self, owner: Owner, prompt: &[u32], now: Instant) -> Resume {
        let Some((id, length, _)) = self.policy.find(owner.root, prompt) else {
            return Resume::Nothing;
        };
        let from = match self.kept.get(&id) {
            Some(Kept::Memory(shape, blocks)) if *shape == owner.shape => {
                let blocks = &blocks[..length / POSITIONS];
                if let Some(blocks) = raw(blocks) {
                    self.policy.touch(id, now);
                    return Resume::Now(Seen { blocks, length });
                }
                Origin::Memory(*shape, blocks.to_vec())
            }
            Some(Kept::File(header)) if header.shape == owner.shape => Origin::File(header.clone()),
            _ => return Resume::Nothing,
        };
        self.policy.touch(id, now);
        self.restore(id, length, from)
    }

    fn restore(&mut self, id: SessionId, length: usize, from: Origin) -> Resume {
        let Some(parker) = &self.parker else {
            return Resume::Nothing;
        };
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.waiting.push((ticket, length));
        parker.restore(Wanted {
            ticket,
            id,
            length,
            from,
        });
        Resume::Later(ticket)
    }

    /// Begins what is to be done at that time, if nothing is under way.
    pub(crate) fn work(&mut self, now: Instant) {
        while self.parker.is_some()
            && let Some(step) = self.policy.next(now)
        {
            match step {
                Step::Forget(id) => self.forget(id),
                Step::Pack(id) => {
                    let blocks = self.blocks(id).map(|(_, blocks)| blocks);
                    self.order(id, blocks.map(|blocks| Job::Pack(id, blocks)));
                }
                Step::Write { id, room } => {
                    let session = self.header(id).zip(self.blocks(id));
                    let job = session.map(|(header, (_, blocks))| Job::Write(id, header, blocks, room));
                    self.order(id, job);
                }
            }
        }
    }

    fn order(&mut self, id: SessionId, job: Option<Job>) {
        match (&self.parker, job) {
            (Some(parker), Some(job)) => parker.order(job),
            _ => self.policy.remove(id),
        }
    }

    /// Allows so many bytes of sessions in memory from now on, and has what is above leave it.
    pub(crate) fn limit_memory(&mut self, bytes: u64, now: Instant) {
        self.policy.limit_memory(bytes);
        self.work(now);
    }

    /// From now on all sessions leave memory, until none is there: see [`Self::is_clear`]. Those that cannot be written
    /// are forgotten.
    pub(crate) fn clear(&mut self, now: Instant) {
        self.policy.clear();
        self.work(now);
    }

    /// Somebody waits until they have left it; until [`Self::cleared`].
    pub(crate) fn await_clear(&mut self) {
        if let Some(parker) = &self.parker {
            parker.set_awaited(true);
        }
    }

    /// Whether no session is in memory.
    pub(crate) fn is_clear(&self) -> bool {
        self.parker.is_none() || self.policy.is_clear()
    }

    /// Sessions may stay in memory again.
    pub(crate) fn cleared(&mut self) {
        self.policy.cleared();
        if let Some(parker) = &self.parker {
            parker.set_awaited(false);
        }
    }

    /// Forgets the sessions of a model from a file: the next one of that kind may be another.
    pub(crate) fn forget_nameless(&mut self) {
        let gone = self.policy.remove_nameless();
        gone.into_iter().for_each(|id| self.forget(id));
    }

    /// Forgets the sessions of stored models that there are no more. `roots` tells which there are, and is asked only if
    /// that matters; where it cannot tell, all stay.
    pub(crate) fn forget_removed(&mut self, roots: impl FnOnce() -> Result<Vec<Hash>, store::Error>) {
        if self.policy.is_nameless() {
            return;
        }
        match roots() {
            Ok(roots) => {
                let gone = self.policy.retain_models(&roots);
                gone.into_iter().for_each(|id| self.forget(id));
            }
            Err(error) => tracing::warn!("sessions of removed models are kept for now: {error}"),
        }
    }

    fn forget(&mut self, id: SessionId) {
        let name = match self.kept.remove(&id) {
            Some(Kept::File(header)) => header.name(),
            Some(Kept::Unread(name)) => name,
            _ => return,
        };
        if let Some(parker) = &self.parker {
            parker.order(Job::Remove(name));
        }
    }

    /// The blocks of a session in memory.
    fn blocks(&self, id: SessionId) -> Option<(KvShape, Vec<Held>)> {
        match self.kept.get(&id)? {
            Kept::Memory(shape, blocks) => Some((*shape, blocks.clone())),
            Kept::File(_) | Kept::Unread(_) => None,
        }
    }

    /// What the file of a session in memory begins with.
    fn header(&self, id: SessionId) -> Option<Header> {
        let (root, tokens) = (self.policy.root(id)?, Arc::clone(self.policy.tokens(id)?));
        let (shape, _) = self.blocks(id)?;
        Some(Header { root, shape, tokens })
    }

    /// All blocks in memory as they are computed with, the oldest session's first.
    #[cfg(test)]
    pub(crate) fn computed(&self) -> Vec<Arc<KvBlock>> {
        let mut ids: Vec<_> = self.kept.keys().copied().collect();
        ids.sort_unstable();
        let blocks = ids.into_iter().filter_map(|id| raw(&self.blocks(id)?.1));
        blocks.flatten().collect()
    }

    /// Whether the other thread has something to do that is not waited for.
    #[cfg(test)]
    pub(crate) fn is_busy(&self) -> bool {
        self.policy.is_busy()
    }

    /// Bytes of sessions in memory.
    pub(crate) fn memory(&self) -> u64 {
        self.policy.memory()
    }

    /// When [`Self::work`] will have something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.parker.as_ref().and_then(|_| self.policy.deadline())
    }

    /// Takes what the other thread has done. Who can go on by it.
    pub(crate) fn done(&mut self, outcome: Outcome, now: Instant) -> Vec<Restored> {
        let mut restored = Vec::new();
        match outcome {
            Outcome::Packed(id, blocks) => self.packed(id, blocks),
            Outcome::Written(id, header, bytes) => self.written(id, header, bytes),
            Outcome::Restored(ticket, id, blocks) => restored.extend(self.restored(ticket, id, blocks)),
            Outcome::Ended => restored = self.ended(),
        }
        self.work(now);
        restored
    }

    fn packed(&mut self, id: SessionId, packed: Option<Vec<Held>>) {
        let mut taken = 0;
        if let Some(Kept::Memory(_, blocks)) = self.kept.get_mut(&id) {
            *blocks = packed.unwrap_or_else(|| std::mem::take(blocks));
            taken = bytes(blocks);
        }
        self.policy.packed(id, taken);
    }

    fn written(&mut self, id: SessionId, header: Header, bytes: Option<u64>) {
        let wanted = self.policy.written(id, bytes);
        match (bytes, &self.parker) {
            (Some(_), _) if wanted => {
                self.overwritten(&header.name());
                self.kept.insert(id, Kept::File(header));
            }
            // It was forgotten meanwhile.
            (Some(_), Some(parker)) => parker.order(Job::Remove(header.name())),
            _ => {}
        }
    }

    /// A file that could not be read is another's now, if it had that name.
    fn overwritten(&mut self, name: &str) {
        let policy = &mut self.policy;
        self.kept.retain(|&id, kept| {
            let is_over = matches!(kept, Kept::Unread(unread) if *unread == name);
            if is_over {
                policy.remove(id);
            }
            !is_over
        });
    }

    fn restored(
        &mut self,
        ticket: Ticket,
        id: SessionId,
        blocks: Result<Vec<Arc<KvBlock>>, Loss>,
    ) -> Option<Restored> {
        match &blocks {
            Ok(_) => {}
            Err(Loss::Unreadable) => self.policy.unreadable(id),
            Err(Loss::Gone) => {
                self.policy.remove(id);
                self.kept.remove(&id);
            }
        }
        let index = self.waiting.iter().position(|(waiting, _)| *waiting == ticket)?;
        let (_, length) = self.waiting.swap_remove(index);
        let seen = blocks.ok().map(|blocks| Seen { blocks, length });
        Some(Restored { ticket, seen })
    }

    /// The other thread is gone, which is a mistake of this program: nothing is kept any more.
    fn ended(&mut self) -> Vec<Restored> {
        tracing::error!("the thread that parks sessions has ended: no more are kept");
        self.parker = None;
        self.kept.clear();
        self.policy.remove_all();
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        waiting
            .map(|(ticket, _)| Restored { ticket, seen: None })
            .collect()
    }
}

fn bytes(blocks: &[Held]) -> u64 {
    blocks.iter().map(|held| held.bytes().len() as u64).sum()
}

/// Blocks that can be computed with as they are, if all can.
fn raw(blocks: &[Held]) -> Option<Vec<Arc<KvBlock>>> {
    let raw = |held: &Held| match held {
        Held::Raw(block) => Some(Arc::clone(block)),
        Held::Packed(_) => None,
    };
    blocks.iter().map(raw).collect()
}

#[cfg(test)]
mod tests;
