//! A ring of buffers between one that reads ahead and those that compute.
//!
//! What is read are *units*, in an order that comes round again with each token. The one who computes acquires one
//! unit after the other; meanwhile the reader fills the buffers that nobody holds with the units that follow.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::error::Error;
use crate::memory::Pages;
use crate::workers::locked;

/// Buffers, and what is in them.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Units come round from the last to this one.
    first: usize,
    units: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    slots: Vec<Slot>,
    /// The unit that was asked for last.
    position: usize,
    /// A unit that could not be read, until somebody asks for it.
    failed: Option<(usize, Error)>,
    ended: bool,
}

#[derive(Debug)]
struct Slot {
    unit: Option<usize>,
    /// None while the reader has it.
    pages: Option<Arc<Pages>>,
}

/// A unit in memory; its buffer is used again when this is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    ring: &'a Ring,
    pages: Option<Arc<Pages>>,
}

impl Ring {
    /// A ring for the units from `first` to `units`, of which there is at least one.
    pub(crate) fn new(first: usize, units: usize, buffers: Vec<Pages>) -> Self {
        let slot = |pages| Slot {
            unit: None,
            pages: Some(Arc::new(pages)),
        };
        Self {
            first,
            units,
            state: Mutex::new(State {
                slots: buffers.into_iter().map(slot).collect(),
                position: first,
                failed: None,
                ended: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits until a unit is in memory. Who holds as many as there are buffers waits for ever.
    pub(crate) fn acquire(&self, unit: usize) -> Result<Held<'_>, Error> {
        let mut state = locked(&self.state);
        state.position = unit;
        self.changed.notify_all();
        loop {
            // What failed ahead of its use is told when it is used, and then tried again.
            if let Some((_, error)) = state.failed.take_if(|(failed, _)| *failed == unit) {
                return Err(error);
            }
            let there = |slot: &&Slot| slot.unit == Some(unit) && slot.pages.is_some();
            if let Some(slot) = state.slots.iter().find(there) {
                return Ok(Held {
                    ring: self,
                    pages: slot.pages.clone(),
                });
            }
            assert!(!state.ended, "the thread that reads weights has ended");
            state = self.wait(state);
        }
    }

    /// Reads ahead until [`Self::end`]: the reader's thread.
    pub(crate) fn fill(&self, read: impl Fn(usize, &mut Pages) -> Result<(), Error>) {
        // If `read` panics, those who wait are to know.
        let _ended = Ended(self);
        let mut state = locked(&self.state);
        while !state.ended {
            let Some((slot, unit, mut pages)) = self.next(&mut state) else {
                state = self.wait(state);
                continue;
            };
            drop(state);
            let result = read(unit, &mut pages);
            state = locked(&self.state);
            state.slots[slot].pages = Some(Arc::new(pages));
            if let Err(error) = result {
                state.slots[slot].unit = None;
                state.failed = Some((unit, error));
            }
            self.changed.notify_all();
        }
    }

    /// Ends [`Self::fill`].
    pub(crate) fn end(&self) {
        locked(&self.state).ended = true;
        self.changed.notify_all();
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes the buffer that is to be filled next, and tells with what: the first unit from the position on that is
    /// in no buffer, into one that nobody holds and that has none of those units.
    fn next(&self, state: &mut State) -> Option<(usize, usize, Pages)> {
        let streamed = self.units - self.first;
        let ahead = |steps| self.first + (state.position - self.first + steps) % streamed;
        let window: Vec<usize> = (0..state.slots.len().min(streamed)).map(ahead).collect();
        let is_in = |unit: &usize| state.slots.iter().any(|slot| slot.unit == Some(*unit));
        let unit = *window.iter().find(|unit| !is_in(unit))?;
        if state.failed.as_ref().is_some_and(|(failed, _)| *failed == unit) {
            return None;
        }
        let free = |slot: &Slot| {
            let unheld = slot
                .pages
                .as_ref()
                .is_some_and(|pages| Arc::strong_count(pages) == 1);
            unheld && slot.unit.is_none_or(|unit| !window.contains(&unit))
        };
        let index = state.slots.iter().position(free)?;
        let slot = &mut state.slots[index];
        let pages = Arc::into_inner(slot.pages.take()?)?;
        slot.unit = Some(unit);
        Some((index, unit, pages))
    }
}

/// Says that the reader has ended, however it did.
struct Ended<'a>(&'a Ring);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Held<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.pages.as_ref().map_or(&[], |pages| pages.bytes())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Under the lock, so that the reader, who counts holders under it, does not miss the last one going.
        let _state = locked(&self.ring.state);
        self.pages = None;
        self.ring.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn with_ring(first: usize, units: usize, slots: usize, work: impl FnOnce(&Ring, &AtomicUsize)) {
        let buffers = (0..slots).map(|_| Pages::new(4096).unwrap()).collect();
        let (ring, reads) = (Ring::new(first, units, buffers), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                ring.fill(|unit, pages| {
                    reads.fetch_add(1, Ordering::Relaxed);
                    pages.bytes_mut().fill(unit as u8);
                    if unit == 99 {
                        let path = std::path::Path::new("unit 99");
                        return Err(Error::io("read", path)(std::io::ErrorKind::Other.into()));
                    }
                    Ok(())
                });
            });
            // Ends the reader even if an assertion fails.
            let ended = Ended(&ring);
            work(&ring, &reads);
            drop(ended);
        });
    }

    #[test]
    fn units_come_round_in_order_each_read_once() {
        with_ring(2, 9, 2, |ring, reads| {
            for unit in (2..9).cycle().take(70) {
                assert_eq!(ring.acquire(unit).unwrap().bytes()[4095], unit as u8);
            }
            // One more may be on its way.
            assert!((70..=72).contains(&reads.load(Ordering::Relaxed)));
        });
    }

    #[test]
    fn any_other_order_is_served_too() {
        for slots in 1..4 {
            with_ring(0, 5, slots, |ring, _| {
                for unit in [4, 0, 0, 3, 1, 1, 2, 4, 2, 0, 4] {
                    assert_eq!(ring.acquire(unit).unwrap().bytes()[0], unit as u8);
                }
            });
        }
    }

    #[test]
    fn what_is_held_does_not_change() {
        with_ring(0, 50, 3, |ring, _| {
            let held = ring.acquire(7).unwrap();
            for unit in 8..40 {
                assert_eq!(ring.acquire(unit).unwrap().bytes()[0], unit as u8);
                assert!(held.bytes().iter().all(|&byte| byte == 7));
            }
        });
    }

    #[test]
    fn a_failure_is_told_to_whom_it_concerns_and_tried_again() {
        with_ring(98, 101, 2, |ring, _| {
            for _ in 0..5 {
                assert!(ring.acquire(98).is_ok());
                assert!(ring.acquire(99).unwrap_err().to_string().contains("unit 99"));
                assert!(ring.acquire(100).is_ok());
            }
        });
    }
}
