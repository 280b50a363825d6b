//! Who computes next: a pure data structure of slots and a bounded queue.
//!
//! It holds no tensor, asks no clock and does no IO. The model's thread asks it for [`Work`], does it, and reports
//! back. Slots take turns; a turn is one token of an answer or one chunk of a prompt, so that a long prompt delays
//! the others by a chunk at most, and a cancellation is noticed as soon.

use std::collections::VecDeque;
use std::ops::Range;

use crate::activity::Phase;

/// A place for one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotId(pub usize);

/// One turn of computing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Run a part of the prompt.
    Prefill {
        /// Whose.
        slot: SlotId,
        /// Which of its tokens.
        tokens: Range<usize>,
        /// Whether it is the last part, after which the first token is chosen.
        last: bool,
    },
    /// Run the token chosen last and choose the next.
    Decode {
        /// Whose.
        slot: SlotId,
    },
}

impl Work {
    /// Whose turn it is.
    pub fn slot(&self) -> SlotId {
        match self {
            Self::Prefill { slot, .. } | Self::Decode { slot } => *slot,
        }
    }

    /// How many tokens are run.
    pub fn tokens(&self) -> usize {
        match self {
            Self::Prefill { tokens, .. } => tokens.len(),
            Self::Decode { .. } => 1,
        }
    }
}

/// Which tokens of a prompt are run next, when `done` have been run: `chunk` of them, or all if fewer than one and a half
/// chunks are left.
///
/// A short rest is not run alone because candle multiplies a few rows by another kernel than many, with other rounding:
/// so divided, by chunks that are a multiple of 32, a prompt gives the same bits as run at once.
pub fn part(prompt: usize, done: usize, chunk: usize) -> Range<usize> {
    let left = prompt - done;
    let end = if left < chunk + chunk / 2 {
        prompt
    } else {
        done + chunk
    };
    done..end
}

/// Slots and a queue of things that wait for one.
#[derive(Debug)]
pub struct Scheduler<T> {
    slots: Vec<Option<Slot>>,
    /// Slots that may be taken, of those there are.
    limit: usize,
    queue: VecDeque<T>,
    queue_limit: usize,
    chunk: usize,
    turn: usize,
}

#[derive(Debug)]
struct Slot {
    prompt: usize,
    prefilled: usize,
    blocked: bool,
}

impl<T> Scheduler<T> {
    /// `slots` places, a queue of `queue_limit`, prompts run in parts of `chunk` tokens.
    pub fn new(slots: usize, queue_limit: usize, chunk: usize) -> Self {
        let slots: Vec<_> = (0..slots.max(1)).map(|_| None).collect();
        Self {
            limit: slots.len(),
            slots,
            queue: VecDeque::new(),
            queue_limit,
            chunk: chunk.max(1),
            turn: 0,
        }
    }

    /// Gives out no more than that many slots, at least one; `None`: all there are. What has a slot keeps it.
    pub fn limit(&mut self, slots: Option<usize>) {
        let all = self.slots.len();
        self.limit = slots.map_or(all, |slots| slots.clamp(1, all));
    }

    /// Puts something at the end of the queue. Gives it back if the queue is full: as many wait as may, beside those
    /// for which a slot is free.
    pub fn enqueue(&mut self, item: T) -> Result<(), T> {
        if self.queue.len() >= self.queue_limit + self.free() {
            return Err(item);
        }
        self.queue.push_back(item);
        Ok(())
    }

    /// What waits longest, if there is a slot for it.
    pub fn next_waiting(&self) -> Option<&T> {
        self.queue.front().filter(|_| self.free() > 0)
    }

    /// Takes what waits longest out of the queue.
    pub fn take_waiting(&mut self) -> Option<T> {
        self.queue.pop_front()
    }

    /// Drops from the queue what `keep` says no to.
    pub fn retain_waiting(&mut self, keep: impl FnMut(&T) -> bool) {
        self.queue.retain(keep);
    }

    /// Gives a slot to a sequence with a prompt of that many tokens. None is free: none is given.
    pub fn occupy(&mut self, prompt: usize) -> Option<SlotId> {
        let empty = self.slots.iter().position(Option::is_none);
        let index = empty.filter(|_| self.free() > 0)?;
        self.slots[index] = Some(Slot {
            prompt,
            prefilled: 0,
            blocked: false,
        });
        Some(SlotId(index))
    }

    /// Takes a slot back.
    pub fn release(&mut self, slot: SlotId) {
        self.slots[slot.0] = None;
    }

    /// Skips a slot, or no longer.
    pub fn set_blocked(&mut self, slot: SlotId, blocked: bool) {
        if let Some(slot) = &mut self.slots[slot.0] {
            slot.blocked = blocked;
        }
    }

    /// The next turn, if any slot can have one. It counts as done.
    pub fn next_turn(&mut self) -> Option<Work> {
        let count = self.slots.len();
        let order = (0..count).map(|step| (self.turn + step) % count);
        let index = order.into_iter().find(|&index| self.is_runnable(index))?;
        self.turn = (index + 1) % count;
        let chunk = self.chunk;
        self.slots[index]
            .as_mut()
            .map(|slot| slot.advance(SlotId(index), chunk))
    }

    /// Slots that are taken.
    pub fn active(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Things that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// What the next turns are.
    pub fn phase(&self) -> Phase {
        let mut runnable = self
            .slots
            .iter()
            .flatten()
            .filter(|slot| !slot.blocked)
            .peekable();
        if runnable.peek().is_none() {
            Phase::Idle
        } else if runnable.any(|slot| slot.prefilled < slot.prompt) {
            Phase::Prefill
        } else {
            Phase::Decode
        }
    }

    /// Slots that may be taken.
    fn free(&self) -> usize {
        self.limit.saturating_sub(self.active())
    }

    fn is_runnable(&self, index: usize) -> bool {
        self.slots[index].as_ref().is_some_and(|slot| !slot.blocked)
    }
}

impl Slot {
    fn advance(&mut self, id: SlotId, chunk: usize) -> Work {
        if self.prefilled == self.prompt {
            return Work::Decode { slot: id };
        }
        let start = self.prefilled;
        self.prefilled = part(self.prompt, start, chunk).end;
        Work::Prefill {
            slot: id,
            tokens: start..self.prefilled,
            last: self.prefilled == self.prompt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_prompt_runs_in_chunks_and_then_decodes() {
        let mut scheduler = Scheduler::<()>::new(1, 0, 4);
        let slot = scheduler.occupy(6).unwrap();
        assert_eq!(
            scheduler.next_turn(),
            Some(Work::Prefill {
                slot,
                tokens: 0..4,
                last: false
            })
        );
        assert_eq!(
            scheduler.next_turn(),
            Some(Work::Prefill {
                slot,
                tokens: 4..6,
                last: true
            })
        );
        assert_eq!(scheduler.next_turn(), Some(Work::Decode { slot }));
    }

    #[test]
    fn a_short_rest_is_run_with_the_chunk_before_it() {
        assert_eq!(part(37, 0, 32), 0..37);
        assert_eq!(part(48, 0, 32), 0..32);
        assert_eq!(part(48, 32, 32), 32..48);
        assert_eq!(part(5, 0, 32), 0..5);
    }

    #[test]
    fn a_long_prompt_does_not_starve_an_answer() {
        let mut scheduler = Scheduler::<()>::new(2, 0, 4);
        let answering = scheduler.occupy(1).unwrap();
        scheduler.next_turn();
        let reading = scheduler.occupy(100).unwrap();
        let turns: Vec<_> = (0..6)
            .filter_map(|_| scheduler.next_turn())
            .map(|work| work.slot())
            .collect();
        assert_eq!(
            turns,
            [reading, answering, reading, answering, reading, answering]
        );
    }

    #[test]
    fn a_blocked_slot_is_skipped() {
        let mut scheduler = Scheduler::<()>::new(2, 0, 4);
        let (a, b) = (scheduler.occupy(1).unwrap(), scheduler.occupy(1).unwrap());
        scheduler.set_blocked(a, true);
        assert_eq!(
            [scheduler.next_turn(), scheduler.next_turn()].map(|work| work.unwrap().slot()),
            [b, b]
        );
        scheduler.set_blocked(b, true);
        assert_eq!(scheduler.next_turn(), None);
        scheduler.set_blocked(a, false);
        assert_eq!(scheduler.next_turn().unwrap().slot(), a);
    }

    #[test]
    fn prefill_outweighs_decode_and_a_blocked_slot_weighs_nothing() {
        let mut scheduler = Scheduler::<()>::new(2, 0, 4);
        assert_eq!(scheduler.phase(), Phase::Idle);
        let answering = scheduler.occupy(1).unwrap();
        assert_eq!(scheduler.phase(), Phase::Prefill);
        scheduler.next_turn();
        assert_eq!(scheduler.phase(), Phase::Decode);
        let reading = scheduler.occupy(8).unwrap();
        assert_eq!(scheduler.phase(), Phase::Prefill);
        scheduler.set_blocked(reading, true);
        assert_eq!(scheduler.phase(), Phase::Decode);
        scheduler.set_blocked(answering, true);
        assert_eq!(scheduler.phase(), Phase::Idle);
    }

    #[test]
    fn a_limit_lets_running_sequences_finish_and_makes_new_ones_wait() {
        let mut scheduler = Scheduler::new(3, 1, 4);
        let (a, b) = (scheduler.occupy(1).unwrap(), scheduler.occupy(1).unwrap());
        scheduler.limit(Some(1));
        assert_eq!(scheduler.enqueue('c'), Ok(()));
        assert_eq!(
            scheduler.enqueue('d'),
            Err('d'),
            "a slot beyond the limit is no room"
        );
        assert_eq!(scheduler.next_waiting(), None);
        assert_eq!(scheduler.occupy(1), None);
        let turns = [scheduler.next_turn(), scheduler.next_turn()];
        assert_eq!(turns.map(|work| work.unwrap().slot()), [a, b]);
        scheduler.release(a);
        assert_eq!(scheduler.next_waiting(), None, "one still runs");
        scheduler.release(b);
        assert_eq!(scheduler.next_waiting(), Some(&'c'));
    }

    #[test]
    fn a_limit_is_lifted_and_never_leaves_nothing() {
        let mut scheduler = Scheduler::new(2, 1, 4);
        scheduler.limit(Some(0));
        assert!(scheduler.occupy(1).is_some());
        assert_eq!(scheduler.enqueue('a'), Ok(()));
        assert_eq!(scheduler.next_waiting(), None);
        scheduler.limit(None);
        assert_eq!(scheduler.next_waiting(), Some(&'a'));
        scheduler.limit(Some(99));
        assert!(scheduler.occupy(1).is_some());
        assert_eq!(scheduler.occupy(1), None);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut scheduler = Scheduler::new(1, 1, 4);
        assert_eq!(scheduler.enqueue('a'), Ok(()));
        assert_eq!(scheduler.take_waiting(), Some('a'));
        let slot = scheduler.occupy(1).unwrap();
        assert_eq!(scheduler.enqueue('b'), Ok(()));
        assert_eq!(scheduler.enqueue('c'), Err('c'));
        assert_eq!(scheduler.next_waiting(), None);
        scheduler.release(slot);
        assert_eq!(scheduler.next_waiting(), Some(&'b'));
    }

    proptest! {
        /// Every prompt token is run once and in order, and between two turns of a slot every other that can run has
        /// one.
        #[test]
        fn turns_are_fair_and_prompts_complete(
            prompts in proptest::collection::vec(1_usize..50, 1..5),
            chunk in 1_usize..9,
        ) {
            let mut scheduler = Scheduler::<()>::new(prompts.len(), 0, chunk);
            let slots: Vec<_> = prompts.iter().map(|&prompt| scheduler.occupy(prompt).unwrap()).collect();
            let mut read = vec![0; prompts.len()];
            for round in 0..60 {
                for &slot in &slots {
                    let work = scheduler.next_turn().unwrap();
                    prop_assert_eq!(work.slot(), slot, "round {}", round);
                    if let Work::Prefill { tokens, last, .. } = work {
                        prop_assert_eq!(tokens.start, read[slot.0]);
                        prop_assert!(!tokens.is_empty() && tokens.len() < chunk + chunk.max(2) / 2 + 1);
                        read[slot.0] = tokens.end;
                        prop_assert_eq!(last, tokens.end == prompts[slot.0]);
                    } else {
                        prop_assert_eq!(read[slot.0], prompts[slot.0]);
                    }
                }
            }
        }
    }
}
