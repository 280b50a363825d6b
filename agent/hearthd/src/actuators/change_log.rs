//! Which writes are told: a cap that dithers ten times a second must not fill the journal.

use linux::Change;
use machine::BootTime;
use std::collections::BTreeMap;

/// A file that was told about is told about again after this time at the earliest, in microseconds.
const QUIET_USEC: u64 = 10_000_000;

/// What is told: what the file held when last told about, and what it holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) path: String,
    pub(crate) before: String,
    pub(crate) after: String,
    /// Writes that this line stands for.
    pub(crate) writes: u32,
}

/// The first change of a file is told at once, and those that follow closely as one.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog {
    files: BTreeMap<String, File>,
}

#[derive(Debug, Default)]
struct File {
    told_at: Option<BootTime>,
    untold: Option<Line>,
}

impl ChangeLog {
    /// Takes what has changed, and returns what is to be told now.
    pub(crate) fn take(&mut self, now: BootTime, changes: &[Change]) -> Vec<Line> {
        for change in changes {
            self.note(change);
        }
        self.files
            .values_mut()
            .filter_map(|file| file.tell(now))
            .collect()
    }

    /// Everything that was not told yet.
    pub(crate) fn rest(&mut self) -> Vec<Line> {
        self.files
            .values_mut()
            .filter_map(|file| file.untold.take())
            .collect()
    }

    fn note(&mut self, change: &Change) {
        let file = self.files.entry(change.path.clone()).or_default();
        match &mut file.untold {
            Some(line) => {
                line.after.clone_from(&change.after);
                line.writes += 1;
            }
            None => file.untold = Some(Line::from(change)),
        }
    }
}

impl File {
    fn tell(&mut self, now: BootTime) -> Option<Line> {
        if self
            .told_at
            .is_some_and(|told_at| now.0.saturating_sub(told_at.0) < QUIET_USEC)
        {
            return None;
        }
        let line = self.untold.take()?;
        self.told_at = Some(now);
        Some(line)
    }
}

impl From<&Change> for Line {
    fn from(change: &Change) -> Self {
        Self {
            path: change.path.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
            writes: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(before: &str, after: &str) -> Change {
        Change {
            path: "/a".to_owned(),
            before: before.to_owned(),
            wanted: after.to_owned(),
            after: after.to_owned(),
        }
    }

    fn line(before: &str, after: &str, writes: u32) -> Line {
        Line {
            writes,
            ..Line::from(&change(before, after))
        }
    }

    #[test]
    fn the_first_change_is_told_at_once_and_a_dither_as_one() {
        let mut log = ChangeLog::default();
        let start = BootTime(5);
        assert_eq!(log.take(start, &[change("1", "2")]), [line("1", "2", 1)]);
        for tenth in 1..=50 {
            let now = BootTime(start.0 + tenth * 100_000);
            assert_eq!(log.take(now, &[change("2", "3"), change("3", "2")]), []);
        }
        let later = BootTime(start.0 + QUIET_USEC);
        assert_eq!(log.take(later, &[]), [line("2", "2", 100)]);
        assert_eq!(log.take(BootTime(later.0 * 9), &[]), []);
    }

    #[test]
    fn nothing_is_lost_at_the_end() {
        let mut log = ChangeLog::default();
        log.take(BootTime(0), &[change("1", "2")]);
        log.take(BootTime(1), &[change("2", "3")]);
        assert_eq!(log.rest(), [line("2", "3", 1)]);
        assert_eq!(log.rest(), []);
    }
}
