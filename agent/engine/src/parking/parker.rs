//! The thread that compresses, writes and reads idle sessions.
//!
//! It is a thread of its own because its work is no part of a batch: a second of compressing, or a disk that takes its
//! time, would otherwise lie between two tokens of somebody's answer. One that waits to go on with its session is served
//! between any two blocks of another's, so that it waits for a few milliseconds of that at most.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use kernels::kv::{KvBlock, KvShape};

use super::codec::{Codec, Held};
use super::file::Header;
use super::folder::{Folder, Loss};
use super::policy::SessionId;
use crate::activity::Pulse;

/// Names a sequence that waits for its keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(pub(crate) u64);

/// What there is to do, in this order.
pub(crate) enum Job {
    /// Compress in memory.
    Pack(SessionId, Vec<Held>),
    /// Write to a file of at most so many bytes.
    Write(SessionId, Header, Vec<Held>, u64),
    /// Remove a file.
    Remove(String),
    /// Look for somebody who waits.
    Serve,
}

/// Somebody who waits for the keys and values of the first `length` tokens of a session.
pub(crate) struct Wanted {
    pub(crate) ticket: Ticket,
    pub(crate) id: SessionId,
    pub(crate) length: usize,
    pub(crate) from: Origin,
}

/// Where they are.
pub(crate) enum Origin {
    /// In memory: the blocks that are needed.
    Memory(KvShape, Vec<Held>),
    /// In a file.
    File(Header),
}

/// What was done.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The blocks of a session, compressed; none if that failed.
    Packed(SessionId, Option<Vec<Held>>),
    /// The bytes of a session's file, which begins like that; none if it could not be written.
    Written(SessionId, Header, Option<u64>),
    /// The blocks that were asked for, or why they cannot be had.
    Restored(Ticket, SessionId, Result<Vec<Arc<KvBlock>>, Loss>),
    /// The thread has ended: nothing more will be done.
    Ended,
}

type Queue = Mutex<VecDeque<Wanted>>;

/// What is between the thread and its handle, beside orders.
#[derive(Default)]
struct Desk {
    waiting: Queue,
    /// Whether somebody waits until all is done.
    is_awaited: AtomicBool,
}

/// The thread's handle. Dropping it waits until what was ordered is done.
pub(crate) struct Parker {
    jobs: Option<mpsc::Sender<Job>>,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl Parker {
    /// Starts the thread. Files are in `folder`, if there are any. The pulse beats for each block that somebody waits for:
    /// what nobody waits for is no sign that those are served who do wait for something.
    pub(crate) fn start(
        folder: Option<&Path>,
        pulse: Pulse,
        report: impl Fn(Outcome) + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, orders) = mpsc::channel();
        let desk = Arc::<Desk>::default();
        let work = Work {
            folder: folder.map(Folder::new),
            desk: Arc::clone(&desk),
            pulse,
            report: Farewell(report),
        };
        let codec = Codec::new()?;
        let thread = std::thread::Builder::new()
            .name("parker".to_owned())
            .spawn(move || work.run(&orders, codec))?;
        Ok(Self {
            jobs: Some(jobs),
            desk,
            thread: Some(thread),
        })
    }

    /// Has something done. If the thread has ended, [`Outcome::Ended`] was reported, and it is not.
    pub(crate) fn order(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ended = jobs.send(job);
        }
    }

    /// Has blocks restored before anything else.
    pub(crate) fn restore(&self, wanted: Wanted) {
        locked(&self.desk.waiting).push_back(wanted);
        self.order(Job::Serve);
    }

    /// Somebody waits until all that was ordered is done, or nobody does any more.
    pub(crate) fn set_awaited(&self, is_awaited: bool) {
        self.desk.is_awaited.store(is_awaited, Ordering::Relaxed);
    }
}

impl Drop for Parker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that parks sessions has panicked; its last words are above");
        }
    }
}

/// Reports, and says in the end that it is the end, however it comes.
struct Farewell<R: Fn(Outcome)>(R);

impl<R: Fn(Outcome)> Drop for Farewell<R> {
    fn drop(&mut self) {
        (self.0)(Outcome::Ended);
    }
}

/// The thread's own.
struct Work<R: Fn(Outcome)> {
    folder: Option<Folder>,
    desk: Arc<Desk>,
    /// Somebody may wait for this thread while nothing is computed.
    pulse: Pulse,
    report: Farewell<R>,
}

impl<R: Fn(Outcome)> Work<R> {
    fn run(self, orders: &mpsc::Receiver<Job>, mut codec: Codec) {
        while let Ok(job) = orders.recv() {
            self.serve(&mut codec);
            match job {
                Job::Serve => {}
                Job::Remove(name) => self.remove(&name),
                Job::Pack(id, blocks) => {
                    let packed = self.pack(&blocks, &mut codec);
                    drop(blocks);
                    let packed =
                        packed.inspect_err(|error| tracing::warn!("cannot compress a session: {error}"));
                    self.tell(Outcome::Packed(id, packed.ok()));
                }
                Job::Write(id, header, blocks, room) => {
                    let bytes = self.write(&header, &blocks, room, &mut codec);
                    // Who is told may give the memory back at once.
                    drop(blocks);
                    self.tell(Outcome::Written(id, header, bytes));
                }
            }
        }
    }

    fn tell(&self, outcome: Outcome) {
        (self.report.0)(outcome);
    }

    fn pack(&self, blocks: &[Held], codec: &mut Codec) -> io::Result<Vec<Held>> {
        let pack = |held: &Held| {
            self.pause(codec);
            codec.pack(held)
        };
        blocks.iter().map(pack).collect()
    }

    /// Compresses what is not, and writes it.
    fn write(&self, header: &Header, blocks: &[Held], room: u64, codec: &mut Codec) -> Option<u64> {
        let folder = self.folder.as_ref()?;
        let packed = self.pack(blocks, codec);
        match packed.and_then(|blocks| folder.write(header, &blocks, room, || self.pause(codec))) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let tokens = header.tokens.len();
                tracing::warn!(
                    "a session of {tokens} tokens cannot be parked in {room} bytes on disk: {error}"
                );
                None
            }
        }
    }

    fn remove(&self, name: &str) {
        if let Some(folder) = &self.folder {
            folder.remove(name);
        }
    }

    /// Between two blocks of what is done in the background.
    fn pause(&self, codec: &mut Codec) {
        if self.desk.is_awaited.load(Ordering::Relaxed) {
            self.pulse.beat();
        }
        self.serve(codec);
    }

    /// Restores what is waited for.
    fn serve(&self, codec: &mut Codec) {
        loop {
            let Some(wanted) = locked(&self.desk.waiting).pop_front() else {
                return;
            };
            let blocks = self.restore(&wanted, codec);
            self.tell(Outcome::Restored(wanted.ticket, wanted.id, blocks));
        }
    }

    fn restore(&self, wanted: &Wanted, codec: &mut Codec) -> Result<Vec<Arc<KvBlock>>, Loss> {
        match &wanted.from {
            Origin::File(header) => {
                let folder = self.folder.as_ref().ok_or(Loss::Gone)?;
                folder.read(header, wanted.length, codec, || self.pulse.beat())
            }
            Origin::Memory(shape, blocks) => {
                let unpack = |held| {
                    self.pulse.beat();
                    codec.unpack(*shape, held)
                };
                let unpacked = blocks.iter().map(unpack);
                let unpacked = unpacked.collect::<io::Result<_>>();
                unpacked.map_err(|error| {
                    tracing::error!("a session in memory cannot be decompressed: {error}");
                    Loss::Gone
                })
            }
        }
    }
}

fn locked(queue: &Queue) -> MutexGuard<'_, VecDeque<Wanted>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use kernels::kv::KvKind;

    use super::super::policy::{Limits, Policy};
    use super::*;

    const SHAPE: fn() -> KvShape = || KvShape::new(1, 1, 32, KvKind::F16).unwrap();

    fn id() -> SessionId {
        let limits = Limits {
            memory: 1,
            disk: 0,
            pack_after: std::time::Duration::MAX,
            write_after: std::time::Duration::MAX,
        };
        let inserted = Policy::new(limits).insert(None, [1].into(), 1, Instant::now());
        inserted.0.unwrap()
    }

    fn blocks(count: usize) -> Vec<Held> {
        let block = || Held::Raw(Arc::new(KvBlock::new(SHAPE())));
        (0..count).map(|_| block()).collect()
    }

    #[test]
    fn who_waits_is_served_before_the_work_that_was_ordered_first() {
        for (is_awaited, beats) in [(false, 1), (true, 1 + 9)] {
            assert_eq!(
                pack_and_restore(is_awaited),
                beats,
                "each block that somebody waits for"
            );
        }
    }

    /// Has nine blocks compressed, and one restored meanwhile. How often the pulse beats.
    fn pack_and_restore(is_awaited: bool) -> u64 {
        let (report, outcomes) = mpsc::channel();
        let work = Work {
            folder: None,
            desk: Arc::default(),
            pulse: Pulse::default(),
            report: Farewell(move |outcome| report.send(outcome).unwrap()),
        };
        work.desk.is_awaited.store(is_awaited, Ordering::Relaxed);
        let pulse = work.pulse.clone();
        let (jobs, orders) = mpsc::channel();
        jobs.send(Job::Pack(id(), blocks(9))).unwrap();
        jobs.send(Job::Serve).unwrap();
        locked(&work.desk.waiting).push_back(Wanted {
            ticket: Ticket(7),
            id: id(),
            length: 64,
            from: Origin::Memory(SHAPE(), blocks(1)),
        });
        drop(jobs);
        work.run(&orders, Codec::new().unwrap());
        let told: Vec<_> = outcomes.iter().collect();
        assert!(
            matches!(
                &told[..],
                [
                    Outcome::Restored(Ticket(7), _, Ok(restored)),
                    Outcome::Packed(_, Some(packed)),
                    Outcome::Ended,
                ] if restored.len() == 1 && packed.len() == 9
            ),
            "{told:?}"
        );
        pulse.count()
    }

    #[test]
    fn what_was_ordered_is_done_before_the_end() {
        let (report, outcomes) = mpsc::channel();
        let parker = Parker::start(None, Pulse::default(), move |outcome| {
            report.send(outcome).unwrap();
        });
        let parker = parker.unwrap();
        parker.order(Job::Pack(id(), blocks(3)));
        drop(parker);
        let told: Vec<_> = outcomes.iter().collect();
        assert!(
            matches!(told[..], [Outcome::Packed(..), Outcome::Ended]),
            "{told:?}"
        );
    }
}
