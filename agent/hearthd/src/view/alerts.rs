//! Which readings are missing, so that each is logged once when it goes missing and once when it is back.

use machine::{BootTime, Warning};
use std::collections::BTreeMap;

/// So often the problem of one file is told as it comes …
const BURST: u64 = 8;
/// … and then once in this time, in microseconds: what comes and goes with every sample must not fill the journal.
const PERIOD_USEC: u64 = 60_000_000;

/// What has changed since the last look.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Alert {
    /// A file can no longer be read or believed.
    Appeared(Warning),
    /// It can again.
    Cleared(String),
}

/// The problems that stand, by the file's path. A problem that changes its wording is still the same.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    /// Those that stand, and whether each was told.
    standing: BTreeMap<String, bool>,
    /// From when on a file's problem may be told [`BURST`] times again.
    forgiven_at: BTreeMap<String, BootTime>,
}

impl Alerts {
    /// How many files stand.
    pub(crate) fn count(&self) -> usize {
        self.standing.len()
    }

    /// Takes what stands at a time, and returns what is to be told of it.
    pub(crate) fn update<'w>(&mut self, at: BootTime, now: impl Iterator<Item = &'w Warning>) -> Vec<Alert> {
        self.forgiven_at.retain(|_, forgiven_at| *forgiven_at > at);
        let mut before = std::mem::take(&mut self.standing);
        let mut changes = Vec::new();
        for warning in now {
            let Warning { path, .. } = warning;
            if self.standing.contains_key(path) {
                continue;
            }
            let was_told = before.remove(path) == Some(true);
            let told = was_told || self.may_tell(path, at);
            if told && !was_told {
                changes.push(Alert::Appeared(warning.clone()));
            }
            self.standing.insert(path.clone(), told);
        }
        let cleared = before.into_iter().filter(|(_, told)| *told);
        changes.extend(cleared.map(|(path, _)| Alert::Cleared(path)));
        changes
    }

    fn may_tell(&mut self, path: &str, at: BootTime) -> bool {
        let forgiven_at = self.forgiven_at.get(path).map_or(at.0, |time| time.0);
        let may = forgiven_at.saturating_sub(at.0) <= PERIOD_USEC * (BURST - 1);
        if may {
            let later = BootTime(forgiven_at.saturating_add(PERIOD_USEC));
            self.forgiven_at.insert(path.to_owned(), later);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: BootTime = BootTime(5);

    fn warning(path: &str, problem: &str) -> Warning {
        Warning {
            path: path.to_owned(),
            problem: problem.to_owned(),
        }
    }

    #[test]
    fn a_problem_is_told_once_and_its_end_once() {
        let mut alerts = Alerts::default();
        let bad = warning("/a", "is missing");
        assert_eq!(
            alerts.update(AT, [&bad].into_iter()),
            [Alert::Appeared(bad.clone())]
        );
        assert_eq!(alerts.update(AT, [&bad].into_iter()), []);
        assert_eq!(alerts.count(), 1);
        assert_eq!(
            alerts.update(AT, [].into_iter()),
            [Alert::Cleared("/a".to_owned())]
        );
        assert_eq!(alerts.update(AT, [].into_iter()), []);
        assert_eq!(alerts.count(), 0);
    }

    #[test]
    fn other_words_for_the_same_file_are_nothing_new() {
        let mut alerts = Alerts::default();
        let before = warning("/a", "-274.0 °C is absurd");
        let after = warning("/a", "-275.0 °C is absurd");
        assert_eq!(alerts.update(AT, [&before].into_iter()).len(), 1);
        assert_eq!(alerts.update(AT, [&after].into_iter()), []);
    }

    #[test]
    fn what_comes_and_goes_all_the_time_is_told_now_and_then() {
        let mut alerts = Alerts::default();
        let bad = warning("/a", "is missing");
        let mut told = 0;
        for tenth in 0..6000 {
            let at = BootTime(tenth * 100_000);
            let standing = (tenth % 2 == 0).then_some(&bad);
            told += alerts.update(at, standing.into_iter()).len();
        }
        assert!((30..=40).contains(&told), "{told} lines in ten minutes");
        let later = BootTime(3600 * 1_000_000);
        assert_eq!(alerts.update(later, [&bad].into_iter()).len(), 1, "forgiven");
    }

    #[test]
    fn what_was_not_told_for_its_flapping_and_then_stands_is_told() {
        let mut alerts = Alerts::default();
        let bad = warning("/a", "is missing");
        for _ in 0..20 {
            alerts.update(AT, [&bad].into_iter());
            alerts.update(AT, [].into_iter());
        }
        assert_eq!(alerts.update(AT, [&bad].into_iter()), []);
        let later = BootTime(AT.0 + PERIOD_USEC);
        assert_eq!(alerts.update(later, [&bad].into_iter()).len(), 1);
        assert_eq!(alerts.update(later, [&bad].into_iter()), []);
    }
}
