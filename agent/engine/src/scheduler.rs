//! Who computes next: a pure data structure of slots and a bounded queue.
//!
//! It holds no tensor, asks no clock and does no IO. The model's thread asks it for [`Work`], does it, and reports
//! back. All slots that answer take a step together, in one batch; slots that read their prompts take turns of one part
//! each, with a step of the others between any two: a long prompt delays the others by a part at most, and a
//! cancellation is noticed as soon.

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
    /// Run the tokens chosen last and choose the next.
    Decode {
        /// Whose, in ascending order.
        slots: Vec<SlotId>,
    },
}

impl Work {
    /// Whose turn it is.
    pub fn slots(&self) -> &[SlotId] {
        match self {
            Self::Prefill { slot, .. } => std::slice::from_ref(slot),
            Self::Decode { slots } => slots,
        }
    }

    /// How many tokens are run.
    pub fn tokens(&self) -> usize {
        match self {
            Self::Prefill { tokens, .. } => tokens.len(),
            Self::Decode { slots } => slots.len(),
        }
    }
}

/// Which tokens of a prompt are run next, when `done` have been run: what is left is divided into as few parts as
/// there can be of at most `chunk` tokens, all of about the same length, for a short rest would take about as long as
/// a whole part.
pub fn part(prompt: usize, done: usize, chunk: usize) -> Range<usize> {
    let left = prompt - done;
    let parts = left.div_ceil(chunk.max(1)).max(1);
    done..done + left.div_ceil(parts)
}

/// Slots and a queue of things that wait for one.
#[derive(Debug)]
pub struct Scheduler<T> {
    slots: Vec<Option<Slot>>,
    /// Slots that may be taken, of those there are.
    limit: usize,
    queue: VecDeque<T>,
    queue_limit: usize,
    /// The slot whose prompt is read on next, if it has one.
    turn: usize,
    /// Whether the last turn was a part of a prompt.
    read: bool,
}

#[derive(Debug)]
struct Slot {
    prompt: usize,
    prefilled: usize,
    blocked: bool,
}

impl<T> Scheduler<T> {
    /// `slots` places and a queue of `queue_limit`.
    pub fn new(slots: usize, queue_limit: usize) -> Self {
        let slots: Vec<_> = (0..slots.max(1)).map(|_| None).collect();
        Self {
            limit: slots.len(),
            slots,
            queue: VecDeque::new(),
            queue_limit,
            turn: 0,
            read: false,
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

    /// Says that the first `tokens` of a slot's prompt need not be run; one at least is left.
    pub fn skip(&mut self, slot: SlotId, tokens: usize) {
        if let Some(slot) = &mut self.slots[slot.0] {
            slot.prefilled = tokens.min(slot.prompt - 1);
        }
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

    /// The next turn, if any slot can have one; a part of a prompt has at most `chunk` tokens. It counts as done.
    pub fn next_turn(&mut self, chunk: usize) -> Option<Work> {
        let answering = self.answering();
        if !answering.is_empty() && (self.read || self.next_reading().is_none()) {
            self.read = false;
            return Some(Work::Decode { slots: answering });
        }
        let index = self.next_reading()?;
        self.turn = (index + 1) % self.slots.len();
        self.read = true;
        let slot = self.slots[index].as_mut()?;
        Some(slot.read_on(SlotId(index), chunk))
    }

    /// Slots that can take a step of their answers.
    fn answering(&self) -> Vec<SlotId> {
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(_, slot)| {
                slot.as_ref()
                    .is_some_and(|slot| slot.can_run() && !slot.is_reading())
            })
            .map(|(index, _)| SlotId(index))
            .collect()
    }

    /// The slot whose turn it is to read on in its prompt.
    fn next_reading(&self) -> Option<usize> {
        let count = self.slots.len();
        let mut order = (0..count).map(|step| (self.turn + step) % count);
        order.find(|&index| {
            self.slots[index]
                .as_ref()
                .is_some_and(|slot| slot.can_run() && slot.is_reading())
        })
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
        let runnable = || self.slots.iter().flatten().filter(|slot| slot.can_run());
        if runnable().any(Slot::is_reading) {
            Phase::Prefill
        } else if runnable().next().is_some() {
            Phase::Decode
        } else {
            Phase::Idle
        }
    }

    /// Slots that may be taken.
    fn free(&self) -> usize {
        self.limit.saturating_sub(self.active())
    }
}

impl Slot {
    fn can_run(&self) -> bool {
        !self.blocked
    }

    fn is_reading(&self) -> bool {
        self.prefilled < self.prompt
    }

    fn read_on(&mut self, id: SlotId, chunk: usize) -> Work {
        let tokens = part(self.prompt, self.prefilled, chunk);
        self.prefilled = tokens.end;
        Work::Prefill {
            slot: id,
            tokens,
            last: !self.is_reading(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(slots: &[SlotId]) -> Option<Work> {
        Some(Work::Decode {
            slots: slots.to_vec(),
        })
    }

    fn read(slot: SlotId, tokens: Range<usize>, last: bool) -> Option<Work> {
        Some(Work::Prefill { slot, tokens, last })
    }

    #[test]
    fn a_prompt_runs_in_parts_and_then_decodes() {
        let mut scheduler = Scheduler::<()>::new(1, 0);
        let slot = scheduler.occupy(6).unwrap();
        assert_eq!(scheduler.next_turn(4), read(slot, 0..3, false));
        assert_eq!(scheduler.next_turn(4), read(slot, 3..6, true));
        assert_eq!(scheduler.next_turn(4), decode(&[slot]));
    }

    #[test]
    fn the_length_of_parts_may_change_on_the_way() {
        let mut scheduler = Scheduler::<()>::new(1, 0);
        let slot = scheduler.occupy(100).unwrap();
        assert_eq!(scheduler.next_turn(4), read(slot, 0..4, false));
        assert_eq!(scheduler.next_turn(500), read(slot, 4..100, true));
    }

    #[test]
    fn a_rest_is_divided_evenly() {
        assert_eq!(part(33, 0, 32), 0..17);
        assert_eq!(part(33, 17, 32), 17..33);
        assert_eq!(part(32, 0, 32), 0..32);
        assert_eq!(part(5, 0, 0), 0..1);
    }

    #[test]
    fn a_long_prompt_does_not_starve_answers_and_they_go_together() {
        let mut scheduler = Scheduler::<()>::new(3, 0);
        let (a, b) = (scheduler.occupy(1).unwrap(), scheduler.occupy(1).unwrap());
        assert_eq!(scheduler.next_turn(4), read(a, 0..1, true));
        assert_eq!(scheduler.next_turn(4), decode(&[a]));
        assert_eq!(scheduler.next_turn(4), read(b, 0..1, true));
        let reading = scheduler.occupy(8).unwrap();
        assert_eq!(scheduler.next_turn(4), decode(&[a, b]));
        assert_eq!(scheduler.next_turn(4), read(reading, 0..4, false));
        assert_eq!(scheduler.next_turn(4), decode(&[a, b]));
        assert_eq!(scheduler.next_turn(4), read(reading, 4..8, true));
        assert_eq!(scheduler.next_turn(4), decode(&[a, b, reading]));
        assert_eq!(scheduler.next_turn(4), decode(&[a, b, reading]));
    }

    #[test]
    fn what_was_seen_of_a_prompt_is_not_run_but_for_one_token() {
        for (skipped, left) in [(0, 0..3), (4, 4..6), (6, 5..6), (9, 5..6)] {
            let mut scheduler = Scheduler::<()>::new(1, 0);
            let slot = scheduler.occupy(6).unwrap();
            scheduler.skip(slot, skipped);
            let last = left.end == 6;
            assert_eq!(scheduler.next_turn(4), read(slot, left, last));
        }
    }

    #[test]
    fn a_blocked_slot_is_skipped() {
        let mut scheduler = Scheduler::<()>::new(2, 0);
        let (a, b) = (scheduler.occupy(1).unwrap(), scheduler.occupy(1).unwrap());
        scheduler.set_blocked(a, true);
        assert_eq!(scheduler.next_turn(4), read(b, 0..1, true));
        assert_eq!(scheduler.next_turn(4), decode(&[b]));
        scheduler.set_blocked(b, true);
        assert_eq!(scheduler.next_turn(4), None);
        scheduler.set_blocked(a, false);
        assert_eq!(scheduler.next_turn(4), read(a, 0..1, true));
    }

    #[test]
    fn prefill_outweighs_decode_and_a_blocked_slot_weighs_nothing() {
        let mut scheduler = Scheduler::<()>::new(2, 0);
        assert_eq!(scheduler.phase(), Phase::Idle);
        let answering = scheduler.occupy(1).unwrap();
        assert_eq!(scheduler.phase(), Phase::Prefill);
        scheduler.next_turn(4);
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
        let mut scheduler = Scheduler::new(3, 1);
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
        scheduler.next_turn(4);
        scheduler.next_turn(4);
        scheduler.next_turn(4);
        assert_eq!(scheduler.next_turn(4), decode(&[a, b]));
        scheduler.release(a);
        assert_eq!(scheduler.next_waiting(), None, "one still runs");
        scheduler.release(b);
        assert_eq!(scheduler.next_waiting(), Some(&'c'));
    }

    #[test]
    fn a_limit_is_lifted_and_never_leaves_nothing() {
        let mut scheduler = Scheduler::new(2, 1);
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
        let mut scheduler = Scheduler::new(1, 1);
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
        /// Every prompt token is run once and in order, prompts take turns, and whoever answers has a step after each
        /// part of a prompt.
        #[test]
        fn turns_are_fair_and_prompts_complete(
            prompts in proptest::collection::vec(1_usize..50, 1..5),
            chunk in 1_usize..9,
        ) {
            let mut scheduler = Scheduler::<()>::new(prompts.len(), 0);
            let slots: Vec<_> = prompts.iter().map(|&prompt| scheduler.occupy(prompt).unwrap()).collect();
            let mut read = vec![0; prompts.len()];
            let (mut parts, mut before) = (vec![0_usize; prompts.len()], None);
            // Each part of a prompt, and a step of the answers after it.
            for _ in 0..2 * prompts.iter().sum::<usize>() {
                let work = scheduler.next_turn(chunk).unwrap();
                let answering: Vec<_> = slots.iter().copied().filter(|slot| read[slot.0] == prompts[slot.0]).collect();
                match &work {
                    Work::Prefill { slot, tokens, last } => {
                        let twice = matches!(before, Some(Work::Prefill { .. }));
                        prop_assert!(answering.is_empty() || !twice);
                        prop_assert_eq!(tokens.start, read[slot.0]);
                        prop_assert!(!tokens.is_empty() && tokens.len() <= chunk);
                        read[slot.0] = tokens.end;
                        prop_assert_eq!(*last, tokens.end == prompts[slot.0]);
                        parts[slot.0] += 1;
                        let behind = slots.iter().filter(|slot| read[slot.0] < prompts[slot.0]);
                        prop_assert!(behind.into_iter().all(|other| parts[other.0] + 1 >= parts[slot.0]));
                    }
                    Work::Decode { slots } => prop_assert_eq!(slots, &answering),
                }
                before = Some(work);
            }
            prop_assert_eq!(read, prompts);
        }
    }
}
