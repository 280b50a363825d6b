//! Idle sessions of the resident model, and the engine's rest.

use std::time::Instant;

use store::trim_heap;

use super::worker::Worker;
use crate::parking::{Outcome, Owner};
use crate::scheduler::SlotId;

impl Worker {
    /// Takes what has become of sessions; who waited for one goes on.
    pub(super) fn hear(&mut self, outcome: Outcome) {
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
    pub(super) fn finish_parking(&mut self) {
        if !self.sessions.is_clear() {
            return;
        }
        self.sessions.cleared();
        if self.parking.is_empty() {
            return;
        }
        let idle = self.scheduler.active() == 0;
        if idle {
            let parked = self.resident.as_ref().map(|resident| resident.named.clone());
            let parked = parked.or(self.parked.take());
            self.unload();
            self.parked = parked;
            trim_heap();
            self.publish(self.scheduler.phase());
        }
        for reply in self.parking.drain(..) {
            // Who asked may have stopped waiting for the answer.
            let _gone = reply.send(idle);
        }
    }

    /// Whose keys and values those of the resident model are.
    pub(super) fn owner(&self) -> Option<Owner> {
        self.resident.as_ref().map(|resident| Owner {
            root: resident.graph.root(),
            shape: resident.model.kv_shape(),
        })
    }
}
