//! Which idle session is kept how, and which goes: a pure data structure.
//!
//! It holds no keys and values, asks no clock and does no IO. Whoever has them tells it of sessions and of the time, asks
//! it for the next [`Step`], and reports back. One step that takes time is on its way at a time.
//!
//! Whoever asks sees how much of a prompt was there, be it by the time alone. So sessions consist of whole blocks of
//! [`POSITIONS`] tokens ([`whole`]): what is behind the last one neither is gone on from, nor decides which of two sessions
//! stays. Else others' conversations could be guessed one token after the other; so it takes a block's right ones at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kernels::kv::POSITIONS;
use store::Hash;

/// A session that nobody is answered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId(u64);

/// How much may be kept, and how long in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most bytes of keys and values of idle sessions in memory. From half of it on sessions are compressed and written
    /// without delay.
    pub(crate) memory: u64,
    /// Most bytes of files; 0: none are written.
    pub(crate) disk: u64,
    /// After how long without use a session is compressed.
    pub(crate) pack_after: Duration,
    /// After how long without use it is written.
    pub(crate) write_after: Duration,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Compress what is in memory, and tell [`Policy::packed`].
    Pack(SessionId),
    /// Write it in at most `room` bytes, and tell [`Policy::written`].
    Write {
        /// Which.
        id: SessionId,
        /// Bytes.
        room: u64,
    },
    /// Forget it, in memory and on disk.
    Forget(SessionId),
}

/// Where a session's keys and values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In memory.
    Memory,
    /// In a file.
    File,
}

/// Idle sessions.
#[derive(Debug)]
pub(crate) struct Policy {
    limits: Limits,
    sessions: Vec<Session>,
    next: u64,
    under_way: Option<SessionId>,
    /// Whether all are to leave memory.
    clearing: bool,
}

#[derive(Debug)]
struct Session {
    id: SessionId,
    /// Names the model; none if nothing does, and then there can be no file.
    root: Option<Hash>,
    tokens: Arc<[u32]>,
    used: Instant,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Memory {
        bytes: u64,
        packed: bool,
        writable: bool,
    },
    File {
        bytes: u64,
        /// Whether it is gone on from: what cannot be read for now only takes room.
        is_readable: bool,
    },
}

impl Session {
    fn memory(&self) -> u64 {
        match self.form {
            Form::Memory { bytes, .. } => bytes,
            Form::File { .. } => 0,
        }
    }

    fn disk(&self) -> u64 {
        match self.form {
            Form::Memory { .. } => 0,
            Form::File { bytes, .. } => bytes,
        }
    }

    fn is_readable(&self) -> bool {
        !matches!(
            self.form,
            Form::File {
                is_readable: false,
                ..
            }
        )
    }

    fn place(&self) -> Place {
        match self.form {
            Form::Memory { .. } => Place::Memory,
            Form::File { .. } => Place::File,
        }
    }

    /// The least recently used comes first.
    fn age(&self) -> (Instant, SessionId) {
        (self.used, self.id)
    }
}

impl Policy {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sessions: Vec::new(),
            next: 0,
            under_way: None,
            clearing: false,
        }
    }

    /// Takes a session of whole blocks, of so many bytes in memory, unless it is larger than all that may be kept, or the
    /// beginning of one that is there, which counts as used then. Tells which others are to be forgotten: those that it
    /// goes on from, and the least recently used that there is no room for.
    pub(crate) fn insert(
        &mut self,
        root: Option<Hash>,
        tokens: Arc<[u32]>,
        bytes: u64,
        now: Instant,
    ) -> (Option<SessionId>, Vec<SessionId>) {
        let mut gone = Vec::new();
        if bytes > self.limits.memory || self.has_longer(root, &tokens, now) {
            return (None, gone);
        }
        self.remove_where(&mut gone, |old| {
            old.root == root && !old.tokens.is_empty() && tokens.starts_with(&old.tokens)
        });
        while self.memory() + bytes > self.limits.memory
            && let Some(id) = self.oldest(Place::Memory)
        {
            self.remove_where(&mut gone, |old| old.id == id);
        }
        let form = Form::Memory {
            bytes,
            packed: false,
            writable: true,
        };
        (Some(self.push(root, tokens, form, now)), gone)
    }

    /// Whether a session in memory begins with these tokens and has more.
    fn has_longer(&mut self, root: Option<Hash>, tokens: &[u32], now: Instant) -> bool {
        let longer = self.sessions.iter_mut().find(|session| {
            let begins = session.tokens.len() > tokens.len() && session.tokens.starts_with(tokens);
            begins && session.root == root && session.place() == Place::Memory
        });
        longer.is_some_and(|session| {
            session.used = now;
            true
        })
    }

    /// Takes a session of whole blocks that is in a file; of several the least recently used first.
    pub(crate) fn insert_file(
        &mut self,
        root: Hash,
        tokens: Arc<[u32]>,
        bytes: u64,
        now: Instant,
    ) -> SessionId {
        let is_readable = true;
        self.push(Some(root), tokens, Form::File { bytes, is_readable }, now)
    }

    /// Takes a file of which no more is known, for it cannot be read: it takes room on disk until that is needed.
    pub(crate) fn insert_unreadable(&mut self, root: Hash, bytes: u64, now: Instant) -> SessionId {
        let is_readable = false;
        self.push(Some(root), [].into(), Form::File { bytes, is_readable }, now)
    }

    /// A session's file turned out not to be readable for now: see [`Self::insert_unreadable`].
    pub(crate) fn unreadable(&mut self, id: SessionId) {
        if let Some(session) = self.session_mut(id)
            && let Form::File { is_readable, .. } = &mut session.form
        {
            *is_readable = false;
        }
    }

    fn push(&mut self, root: Option<Hash>, tokens: Arc<[u32]>, form: Form, used: Instant) -> SessionId {
        let id = SessionId(self.next);
        self.next += 1;
        self.sessions.push(Session {
            id,
            root,
            tokens,
            used,
            form,
        });
        id
    }

    /// The session that has most of a prompt's first tokens, how many that are, and where it is: whole blocks. One token
    /// of the prompt is left in any case, for something must be run.
    pub(crate) fn find(&self, root: Option<Hash>, prompt: &[u32]) -> Option<(SessionId, usize, Place)> {
        let most = prompt.len().checked_sub(1)?;
        let common = |session: &Session| {
            let pairs = session.tokens.iter().zip(&prompt[..most]);
            whole(pairs.take_while(|(seen, asked)| seen == asked).count())
        };
        self.sessions
            .iter()
            .filter(|session| session.root == root && session.is_readable())
            .map(|session| (common(session), session))
            .filter(|(common, _)| *common > 0)
            .max_by_key(|(common, session)| (*common, session.place() == Place::Memory, session.age()))
            .map(|(common, session)| (session.id, common, session.place()))
    }

    /// A session was used.
    pub(crate) fn touch(&mut self, id: SessionId, now: Instant) {
        if let Some(session) = self.session_mut(id) {
            session.used = now;
        }
    }

    /// The tokens of a session.
    pub(crate) fn tokens(&self, id: SessionId) -> Option<&Arc<[u32]>> {
        self.session(id).map(|session| &session.tokens)
    }

    /// The model of a session, if it has a name.
    pub(crate) fn root(&self, id: SessionId) -> Option<Hash> {
        self.session(id)?.root
    }

    /// Allows so many bytes in memory from now on. What is above leaves without delay: it is written where it can be.
    pub(crate) fn limit_memory(&mut self, bytes: u64) {
        self.limits.memory = bytes;
    }

    /// From now on everything is to leave memory, until [`Self::is_clear`] and [`Self::cleared`].
    pub(crate) fn clear(&mut self) {
        self.clearing = true;
    }

    /// Whether nothing is in memory, nor on its way out of it.
    pub(crate) fn is_clear(&self) -> bool {
        self.under_way.is_none() && self.memory() == 0
    }

    /// What comes next may stay in memory again.
    pub(crate) fn cleared(&mut self) {
        self.clearing = false;
    }

    /// What is to be done, if anything is.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Step> {
        if self.under_way.is_some() {
            return None;
        }
        if self.disk() > self.limits.disk {
            return self.forget(self.oldest(Place::File)?);
        }
        let mut ids: Vec<_> = self.sessions.iter().map(Session::age).collect();
        ids.sort_unstable();
        ids.into_iter().find_map(|(_, id)| self.step(id, now))
    }

    /// When there will be something to do, if nothing happens until then.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.under_way.is_some() {
            return None;
        }
        let due = |session: &Session| {
            let pack = self.can_pack(session).then_some(self.limits.pack_after);
            let write = self.can_write(session).then_some(self.limits.write_after);
            let after = pack.into_iter().chain(write).min()?;
            session.used.checked_add(after)
        };
        self.sessions.iter().filter_map(due).min()
    }

    /// A session was compressed to so many bytes.
    pub(crate) fn packed(&mut self, id: SessionId, now_bytes: u64) {
        self.under_way.take_if(|under_way| *under_way == id);
        if let Some(session) = self.session_mut(id)
            && let Form::Memory { bytes, packed, .. } = &mut session.form
        {
            (*bytes, *packed) = (now_bytes, true);
        }
    }

    /// A session was written, in so many bytes, or could not be. Whether its file is wanted.
    pub(crate) fn written(&mut self, id: SessionId, file: Option<u64>) -> bool {
        self.under_way.take_if(|under_way| *under_way == id);
        let Some(session) = self.session_mut(id) else {
            return false;
        };
        match (file, &mut session.form) {
            (Some(bytes), form) => {
                *form = Form::File {
                    bytes,
                    is_readable: true,
                };
            }
            (None, Form::Memory { writable, .. }) => *writable = false,
            (None, Form::File { .. }) => {}
        }
        true
    }

    /// Forgets a session, which turned out not to be there.
    pub(crate) fn remove(&mut self, id: SessionId) {
        self.under_way.take_if(|under_way| *under_way == id);
        self.sessions.retain(|session| session.id != id);
    }

    /// Forgets all sessions.
    pub(crate) fn remove_all(&mut self) {
        self.under_way = None;
        self.sessions.clear();
    }

    /// Forgets the sessions of the model that has no name, and tells which: the next such model may be another.
    pub(crate) fn remove_nameless(&mut self) -> Vec<SessionId> {
        let mut gone = Vec::new();
        self.remove_where(&mut gone, |session| session.root.is_none());
        gone
    }

    /// Forgets the sessions of named models that are not among `roots`, and tells which.
    pub(crate) fn retain_models(&mut self, roots: &[Hash]) -> Vec<SessionId> {
        let mut gone = Vec::new();
        self.remove_where(&mut gone, |session| {
            session.root.is_some_and(|root| !roots.contains(&root))
        });
        gone
    }

    /// Whether no session is of a named model.
    pub(crate) fn is_nameless(&self) -> bool {
        self.sessions.iter().all(|session| session.root.is_none())
    }

    fn step(&mut self, id: SessionId, now: Instant) -> Option<Step> {
        let session = self
            .session(id)
            .filter(|session| session.place() == Place::Memory)?;
        let idle = now.saturating_duration_since(session.used);
        let (memory, packable) = (session.memory(), self.can_pack(session));
        let pressed = self.memory() > self.limits.memory / 2;
        let leave_now = self.clearing || self.memory() > self.limits.memory;
        let write_now = leave_now || idle >= self.limits.write_after || pressed && !packable;
        if write_now && self.can_write(session) {
            return self.write(id, memory);
        }
        if leave_now {
            return self.forget(id);
        }
        if packable && (pressed || idle >= self.limits.pack_after) {
            self.under_way = Some(id);
            return Some(Step::Pack(id));
        }
        None
    }

    /// Makes room on disk, one file at a time, and has a session written then. Files are smaller than what is in memory;
    /// if one is not, it has at most the room that is left.
    fn write(&mut self, id: SessionId, memory: u64) -> Option<Step> {
        if self.disk() + memory.min(self.limits.disk) > self.limits.disk
            && let Some(oldest) = self.oldest(Place::File)
        {
            return self.forget(oldest);
        }
        self.under_way = Some(id);
        let room = self.limits.disk - self.disk();
        Some(Step::Write { id, room })
    }

    fn forget(&mut self, id: SessionId) -> Option<Step> {
        self.remove(id);
        Some(Step::Forget(id))
    }

    fn can_pack(&self, session: &Session) -> bool {
        matches!(session.form, Form::Memory { packed: false, .. })
    }

    fn can_write(&self, session: &Session) -> bool {
        let writable = matches!(session.form, Form::Memory { writable: true, .. });
        writable && session.root.is_some() && self.limits.disk > 0
    }

    fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id)
    }

    fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    fn oldest(&self, place: Place) -> Option<SessionId> {
        let there = self.sessions.iter().filter(|session| session.place() == place);
        there.map(Session::age).min().map(|(_, id)| id)
    }

    fn remove_where(&mut self, gone: &mut Vec<SessionId>, is_gone: impl Fn(&Session) -> bool) {
        gone.extend(
            self.sessions
                .iter()
                .filter(|session| is_gone(session))
                .map(|session| session.id),
        );
        self.sessions.retain(|session| !is_gone(session));
    }

    /// Whether a step is under way.
    #[cfg(test)]
    pub(crate) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Bytes of sessions in memory.
    pub(crate) fn memory(&self) -> u64 {
        self.sessions.iter().map(Session::memory).sum()
    }

    fn disk(&self) -> u64 {
        self.sessions.iter().map(Session::disk).sum()
    }
}

/// How many of so many tokens are in whole blocks.
pub(crate) fn whole(tokens: usize) -> usize {
    tokens - tokens % POSITIONS
}

#[cfg(test)]
mod tests;
