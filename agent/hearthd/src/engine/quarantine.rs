//! The law of quarantine: a model with which the engine fails five times in ten minutes is not loaded any more, and the
//! last model that answered well is its stand-in. Where there is none, the appliance answers nobody, and what made the
//! engine fail may have been something else: after an hour of that the model is tried again. The law asks no clock and
//! touches no file.

use machine::BootTime;
use std::collections::VecDeque;

/// So many failures with one model ...
pub(crate) const MOST_FAILURES: usize = 5;
/// ... within this time quarantine it, in microseconds.
pub(crate) const WINDOW_USEC: u64 = 600_000_000;
/// After so long without a stand-in all that are held are tried again, in microseconds.
pub(crate) const LAPSE_USEC: u64 = 3_600_000_000;
/// Most models that are held at a time, as an order has no room for more; one more sets the first free.
const MOST_HELD: usize = api::phase::MOST_QUARANTINED;
/// Models that have answered well are remembered up to this number: one of them is not quarantined.
const MOST_GOOD: usize = MOST_HELD + 1;

/// A model: what it is, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Model {
    /// See [`machine::EngineSample::model`]; never 0.
    pub(crate) tag: u64,
    pub(crate) name: String,
}

/// A model is held, and was not before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewlyHeld {
    /// The one that is free for it, as no more can be held.
    pub(crate) displaced: Option<Model>,
}

/// Counts failures, and knows which models are held and which are good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quarantine {
    /// When the engine failed, and the tag of the model it then had; oldest first.
    failures: VecDeque<(BootTime, u64)>,
    held: Vec<Model>,
    /// Models that have answered well, the last one last.
    good: Vec<Model>,
    /// Since when somebody is held and nobody stands in.
    alone_since: Option<BootTime>,
}

impl Quarantine {
    /// Goes on from what was known before.
    pub(crate) fn resume(held: Vec<Model>, good: Vec<Model>) -> Self {
        let mut resumed = Self::default();
        held.into_iter().for_each(|model| {
            resumed.hold(model);
        });
        good.into_iter().for_each(|model| {
            resumed.answered(&model);
        });
        resumed
    }

    /// The engine has failed with this model. What that has come to, if the model is held for it and was not before.
    pub(crate) fn failed(&mut self, model: &Model, now: BootTime) -> Option<NewlyHeld> {
        self.forget_before(BootTime(now.0.saturating_sub(WINDOW_USEC)));
        self.failures.push_back((now, model.tag));
        let count = self.failures.iter().filter(|(_, tag)| *tag == model.tag).count();
        let is_newly_held = count >= MOST_FAILURES && !self.holds(model.tag);
        is_newly_held.then(|| NewlyHeld {
            displaced: self.hold(model.clone()),
        })
    }

    /// Sets all free if nobody has stood in for them for [`LAPSE_USEC`]. Who they are.
    pub(crate) fn lapse(&mut self, now: BootTime) -> Vec<Model> {
        if self.held.is_empty() || self.fallback().is_some() {
            self.alone_since = None;
            return Vec::new();
        }
        let since = *self.alone_since.get_or_insert(now);
        if now.0.saturating_sub(since.0) < LAPSE_USEC {
            return Vec::new();
        }
        self.alone_since = None;
        let freed = self.held.clone();
        self.release_where(|_| true);
        freed
    }

    /// This model has answered somebody to the end. Whether that is news.
    pub(crate) fn answered(&mut self, model: &Model) -> bool {
        if self.good.last() == Some(model) {
            return false;
        }
        self.good.retain(|good| good.name != model.name);
        self.good.push(model.clone());
        if self.good.len() > MOST_GOOD {
            self.good.remove(0);
        }
        true
    }

    /// This model is there. Sets those free that had its name and were something else; whether there was one. Such a one
    /// is not there any more, and cannot stand in.
    pub(crate) fn seen(&mut self, model: &Model) -> bool {
        let replaced = |known: &Model| known.name == model.name && known.tag != model.tag;
        self.good.retain(|good| !replaced(good));
        self.release_where(replaced)
    }

    /// Sets a model free by its name, and counts its failures anew. Whether it was held.
    pub(crate) fn release(&mut self, name: &str) -> bool {
        self.release_where(|held| held.name == name)
    }

    /// Whether a model of this name is held.
    pub(crate) fn holds_named(&self, name: &str) -> bool {
        self.held.iter().any(|held| held.name == name)
    }

    /// There is no model of this name any more. Whether anything was known of it.
    pub(crate) fn forget(&mut self, name: &str) -> bool {
        let known = self.good.len();
        self.good.retain(|good| good.name != name);
        self.release(name) || self.good.len() < known
    }

    /// Models that are held, longest first.
    pub(crate) fn held(&self) -> &[Model] {
        &self.held
    }

    /// Models that have answered well, the last one last.
    pub(crate) fn good(&self) -> &[Model] {
        &self.good
    }

    /// The last model that answered well and is not held, nor is another of its name, by which it would be asked for.
    pub(crate) fn fallback(&self) -> Option<&Model> {
        let is_free = |good: &&Model| !self.holds(good.tag) && !self.holds_named(&good.name);
        self.good.iter().rev().find(is_free)
    }

    fn holds(&self, tag: u64) -> bool {
        self.held.iter().any(|held| held.tag == tag)
    }

    /// Holds this one, too. Who is free for it.
    fn hold(&mut self, model: Model) -> Option<Model> {
        let displaced = (self.held.len() == MOST_HELD).then(|| self.held.remove(0));
        self.held.push(model);
        displaced
    }

    fn release_where(&mut self, free: impl Fn(&Model) -> bool) -> bool {
        let freed: Vec<Model> = self.held.extract_if(.., |held| free(held)).collect();
        self.failures
            .retain(|(_, tag)| freed.iter().all(|model| model.tag != *tag));
        !freed.is_empty()
    }

    fn forget_before(&mut self, begin: BootTime) {
        while self.failures.front().is_some_and(|(at, _)| *at < begin) {
            self.failures.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000;

    fn model(tag: u64) -> Model {
        Model {
            tag,
            name: format!("model {tag}"),
        }
    }

    fn fails(quarantine: &mut Quarantine, tag: u64, at_seconds: u64) -> bool {
        let newly = quarantine.failed(&model(tag), BootTime(at_seconds * SECOND));
        newly.is_some()
    }

    fn fails_five_times(quarantine: &mut Quarantine, tag: u64) {
        assert!((0..5).any(|at| fails(quarantine, tag, at)));
    }

    #[test]
    fn the_fifth_failure_in_ten_minutes_quarantines() {
        let mut quarantine = Quarantine::default();
        assert!(!(0..4).any(|at| fails(&mut quarantine, 1, at * 150)));
        assert!(fails(&mut quarantine, 1, 600));
        assert!(!fails(&mut quarantine, 1, 601), "it is already");
        assert_eq!(quarantine.held(), [model(1)]);
    }

    #[test]
    fn failures_that_are_far_apart_or_of_others_do_not() {
        let mut quarantine = Quarantine::default();
        assert!(!(0..100).any(|at| fails(&mut quarantine, 1, at * 151)));
        assert!(!(0..4).any(|at| fails(&mut quarantine, 2, 90_000 + at)));
        assert!(!(0..4).any(|at| fails(&mut quarantine, 3, 90_004 + at)));
    }

    #[test]
    fn the_last_good_model_stands_in() {
        let mut quarantine = Quarantine::default();
        assert_eq!(quarantine.fallback(), None);
        for tag in [1, 2, 1, 3] {
            assert!(quarantine.answered(&model(tag)));
        }
        assert!(!quarantine.answered(&model(3)), "no news");
        assert_eq!(quarantine.fallback(), Some(&model(3)));
        fails_five_times(&mut quarantine, 3);
        assert_eq!(quarantine.fallback(), Some(&model(1)));
    }

    #[test]
    fn a_model_that_is_released_has_five_failures_before_it_again() {
        let mut quarantine = Quarantine::default();
        fails_five_times(&mut quarantine, 1);
        assert!(!quarantine.release("model 2"));
        assert!(quarantine.release("model 1"));
        assert!(quarantine.held().is_empty());
        assert!(!(5..9).any(|at| fails(&mut quarantine, 1, at)));
        assert!(fails(&mut quarantine, 1, 9));
    }

    #[test]
    fn another_model_of_the_name_sets_it_free() {
        let mut quarantine = Quarantine::default();
        fails_five_times(&mut quarantine, 1);
        assert!(!quarantine.seen(&model(1)) && !quarantine.seen(&model(2)));
        let replaced = Model { tag: 9, ..model(1) };
        assert!(quarantine.seen(&replaced));
        assert!(quarantine.held().is_empty());
    }

    #[test]
    fn one_that_was_replaced_stands_in_for_nobody() {
        let replacing = Model { tag: 9, ..model(1) };
        let fails_often = |quarantine: &mut Quarantine| {
            (0..5).for_each(|at| drop(quarantine.failed(&replacing, BootTime(at))));
            assert_eq!(quarantine.held(), std::slice::from_ref(&replacing));
        };
        let mut quarantine = Quarantine::default();
        quarantine.answered(&model(1));
        quarantine.seen(&replacing);
        assert_eq!(quarantine.good(), []);
        fails_often(&mut quarantine);
        assert_eq!(quarantine.lapse(BootTime(0)), []);
        assert_eq!(
            quarantine.lapse(BootTime(LAPSE_USEC)),
            std::slice::from_ref(&replacing)
        );

        let mut unseen = Quarantine::default();
        unseen.answered(&model(1));
        fails_often(&mut unseen);
        assert_eq!(unseen.fallback(), None, "it has the name of the one that is held");
    }

    #[test]
    fn no_more_are_held_than_can_be_told_and_one_good_one_is_left() {
        let mut quarantine = Quarantine::default();
        for tag in 1..=20 {
            quarantine.answered(&model(tag));
        }
        for tag in 1..=20 {
            (0..4).for_each(|at| assert!(!fails(&mut quarantine, tag, at)));
            let newly = quarantine.failed(&model(tag), BootTime(4 * SECOND)).unwrap();
            assert_eq!(newly.displaced, (tag > 8).then(|| model(tag - 8)));
        }
        let held: Vec<u64> = quarantine.held().iter().map(|held| held.tag).collect();
        assert_eq!(held, (13..=20).collect::<Vec<_>>());
        assert_eq!(quarantine.fallback(), Some(&model(12)));
        let resumed = Quarantine::resume(quarantine.held().to_vec(), quarantine.good().to_vec());
        assert_eq!(
            (resumed.held(), resumed.good()),
            (quarantine.held(), quarantine.good())
        );
    }

    #[test]
    fn a_model_that_was_removed_is_neither_held_nor_a_stand_in() {
        let mut quarantine = Quarantine::default();
        (1..=3).for_each(|tag| assert!(quarantine.answered(&model(tag))));
        fails_five_times(&mut quarantine, 1);
        let name = |tag| model(tag).name;
        assert!(quarantine.holds_named(&name(1)) && !quarantine.holds_named(&name(3)));
        assert!(quarantine.forget(&name(3)) && !quarantine.forget(&name(3)));
        assert_eq!(quarantine.fallback(), Some(&model(2)));
        assert!(quarantine.forget(&name(1)));
        assert_eq!((quarantine.held(), quarantine.good()), (&[][..], &[model(2)][..]));
    }

    #[test]
    fn those_that_nobody_stands_in_for_are_tried_again_after_an_hour() {
        let mut quarantine = Quarantine::default();
        fails_five_times(&mut quarantine, 1);
        let start = BootTime(5 * SECOND);
        let hour = BootTime(start.0 + LAPSE_USEC);
        assert_eq!(quarantine.lapse(start), []);
        assert_eq!(quarantine.lapse(BootTime(hour.0 - 1)), []);
        assert_eq!(quarantine.lapse(hour), [model(1)]);
        assert!(quarantine.held().is_empty());
        assert!(!fails(&mut quarantine, 1, 3605), "it is counted anew");
    }

    #[test]
    fn one_that_another_stands_in_for_is_held_for_good() {
        let mut quarantine = Quarantine::default();
        fails_five_times(&mut quarantine, 1);
        assert_eq!(quarantine.lapse(BootTime(0)), []);
        quarantine.answered(&model(2));
        assert_eq!(quarantine.lapse(BootTime(2 * LAPSE_USEC)), []);
        assert_eq!(quarantine.held(), [model(1)]);
    }

    proptest! {
        /// Failures of a few models, each some seconds after the one before: the law says what a plain count says.
        #[test]
        fn it_is_quarantined_when_a_plain_count_says_so(story in vec((1..4_u64, 0..200_u64), 0..60)) {
            let mut quarantine = Quarantine::default();
            let mut told: Vec<(u64, u64)> = Vec::new();
            let mut now = 0;
            for (tag, pause) in story {
                now += pause * SECOND;
                told.push((tag, now));
                let recent = told.iter().filter(|(of, at)| *of == tag && now - at <= WINDOW_USEC).count();
                let was_held = quarantine.held().contains(&model(tag));
                let quarantined = quarantine.failed(&model(tag), BootTime(now)).is_some();
                prop_assert_eq!(quarantined, recent >= MOST_FAILURES && !was_held);
                prop_assert_eq!(quarantine.held().contains(&model(tag)), was_held || quarantined);
            }
        }

        /// Whatever happens in whatever order, a model that is held stands in for nobody.
        #[test]
        fn the_stand_in_is_never_quarantined(story in vec((0..3_u8, 1..6_u64), 0..200)) {
            let mut quarantine = Quarantine::default();
            for (what, tag) in story {
                let _news = match what {
                    0 => fails(&mut quarantine, tag, 0),
                    1 => quarantine.answered(&model(tag)),
                    _ => quarantine.release(&model(tag).name),
                };
                let fallback = quarantine.fallback();
                prop_assert!(fallback.is_none_or(|model| !quarantine.held().contains(model)));
                let good_and_free = quarantine.good().iter().any(|good| !quarantine.held().contains(good));
                prop_assert_eq!(fallback.is_some(), good_and_free);
            }
        }
    }
}
