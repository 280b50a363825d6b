//! Which readings are missing, so that each is logged once when it goes missing and once when it is back.

use machine::Warning;
use std::collections::BTreeMap;

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
    standing: BTreeMap<String, Warning>,
}

impl Alerts {
    /// How many files stand.
    pub(crate) fn count(&self) -> usize {
        self.standing.len()
    }

    /// Takes what stands now, and tells what has changed.
    pub(crate) fn update<'w>(&mut self, now: impl Iterator<Item = &'w Warning>) -> Vec<Alert> {
        let now: BTreeMap<_, _> = now
            .map(|warning| (warning.path.clone(), warning.clone()))
            .collect();
        let appeared = now
            .values()
            .filter(|warning| !self.standing.contains_key(&warning.path));
        let cleared = self.standing.keys().filter(|path| !now.contains_key(*path));
        let changes = appeared
            .cloned()
            .map(Alert::Appeared)
            .chain(cleared.cloned().map(Alert::Cleared))
            .collect();
        self.standing = now;
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(alerts.update([&bad].into_iter()), [Alert::Appeared(bad.clone())]);
        assert_eq!(alerts.update([&bad].into_iter()), []);
        assert_eq!(alerts.count(), 1);
        assert_eq!(alerts.update([].into_iter()), [Alert::Cleared("/a".to_owned())]);
        assert_eq!(alerts.update([].into_iter()), []);
        assert_eq!(alerts.count(), 0);
    }

    #[test]
    fn other_words_for_the_same_file_are_nothing_new() {
        let mut alerts = Alerts::default();
        let before = warning("/a", "-274.0 °C is absurd");
        let after = warning("/a", "-275.0 °C is absurd");
        assert_eq!(alerts.update([&before].into_iter()).len(), 1);
        assert_eq!(alerts.update([&after].into_iter()), []);
    }
}
