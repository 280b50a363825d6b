//! What is known of a file that has been written: whether it still holds what the kernel made of it, and if not,
//! whether to write it again.

use machine::Warning;

/// The most looks at a contested file between two writes.
const LONGEST_PAUSE: u32 = 16;

/// What a file holds, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) value: String,
    /// Another inode under the same name is another driver's file: what was held there is gone with the old one.
    pub(super) inode: u64,
}

/// A file that is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hold {
    inode: Option<u64>,
    /// What it shall hold, before clamping.
    wish: Option<String>,
    /// What was last written into it.
    written: Option<String>,
    /// What it read after that.
    after: Option<String>,
    /// What was wrong at the last try.
    pub(super) problem: Option<Warning>,
    /// It is back at its first-seen value, and no longer looked after.
    pub(super) returned: bool,
    pace: Pace,
}

/// What to do about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: it is as it was left, or it is not yet time to try again.
    Rest,
    /// Try, as something new is wanted.
    Begin,
    /// Try again: it is not as it was left, or the last try failed.
    Again,
}

impl Hold {
    /// A file that an earlier writer wrote, nobody knows what.
    pub(super) fn unknown() -> Self {
        Self {
            written: Some(String::new()),
            ..Self::default()
        }
    }

    /// Compares what is wanted with what is there.
    pub(super) fn judge(&mut self, wish: &str, found: &Found) -> Next {
        if self.inode.is_some_and(|inode| inode != found.inode) {
            *self = if self.was_written() {
                Self::unknown()
            } else {
                Self::default()
            };
        }
        self.inode = Some(found.inode);
        if self.wish.as_deref() != Some(wish) {
            self.wish = Some(wish.to_owned());
            self.problem = None;
            return Next::Begin;
        }
        if self.problem.is_none() && self.after.as_ref() == Some(&found.value) {
            self.pace.calm();
            return Next::Rest;
        }
        if self.pace.is_due() {
            Next::Again
        } else {
            Next::Rest
        }
    }

    /// Whether this value has to be written. A file can show it already and still hide another one, if firmware limits
    /// what was written last.
    pub(super) fn lacks(&self, value: &str, found: &Found) -> bool {
        let other = |written: &String| written != value;
        found.value != value || self.written.as_ref().is_some_and(other)
    }

    /// A value was written, or stood there already, and reads `after` now. Tells whether somebody else had changed it:
    /// firmware's limits and the kernel's rounding let the same write lead to the same reading again, so that a reading
    /// that moves when the last value is written once more was another program's.
    pub(super) fn settle(&mut self, next: Next, written: Option<&str>, before: &str, after: &str) -> bool {
        let same = written.is_some() && self.written.as_deref() == written;
        // Where a limit of firmware's moves in this very moment, the reading ends up elsewhere.
        let took = written == Some(after) || self.after.as_deref() == Some(after);
        let moved = self.after.as_deref() != Some(before) && before != after && took;
        if let Some(written) = written {
            self.written = Some(written.to_owned());
        }
        self.after = Some(after.to_owned());
        self.problem = None;
        next == Next::Again && same && moved
    }

    /// It could not be done.
    pub(super) fn fail(&mut self, found: &str, problem: Warning) {
        self.after = Some(found.to_owned());
        self.problem = Some(problem);
    }

    /// What is wanted is written at the next look, whatever was tried before.
    pub(super) fn insist(&mut self) {
        self.wish = None;
    }

    /// It is out of reach, as when its processor is offline. When it is back it may hold anything, without anybody's
    /// doing, and is tried at once.
    pub(super) fn lose(&mut self) {
        self.insist();
        self.after = None;
        self.problem = None;
    }

    /// Whether it was written once, and the last try failed.
    pub(super) fn refuses(&self) -> bool {
        self.was_written() && self.problem.is_some()
    }

    /// Whether it was ever written, so that there is something to bring back.
    pub(super) fn was_written(&self) -> bool {
        self.written.is_some()
    }
}

/// How often a file is tried again: at once, then after ever more looks, and sooner again as it stays quiet. It counts
/// looks, as nothing here knows a clock; a wish that changes is never kept waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pace {
    pause: u32,
    wait: u32,
}

impl Pace {
    fn is_due(&mut self) -> bool {
        if self.wait > 0 {
            self.wait -= 1;
            return false;
        }
        self.pause = (self.pause * 2).clamp(1, LONGEST_PAUSE);
        self.wait = self.pause;
        true
    }

    fn calm(&mut self) {
        if self.wait > 0 {
            self.wait -= 1;
        } else {
            self.pause = self.pause.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &str) -> Found {
        Found {
            value: value.into(),
            inode: 7,
        }
    }

    fn held(value: &str, after: &str) -> Hold {
        let mut hold = Hold::default();
        assert_eq!(hold.judge(value, &found("before")), Next::Begin);
        assert!(!hold.settle(Next::Begin, Some(value), "before", after));
        hold
    }

    #[test]
    fn what_reads_as_it_was_left_rests() {
        let mut hold = held("3400000", "3400000");
        assert_eq!(hold.judge("3400000", &found("3400000")), Next::Rest);
        assert_eq!(hold.judge("800000", &found("3400000")), Next::Begin);
    }

    #[test]
    fn rounding_is_nobodys_doing() {
        let mut hold = held("3333333", "3300000");
        assert_eq!(hold.judge("3333333", &found("3300000")), Next::Rest);
    }

    #[test]
    fn a_limit_of_firmware_is_told_from_another_writer_by_writing_once_more() {
        let mut hold = held("3400000", "3400000");
        // _PPC lowers the maximum: the same write leaves the same reading.
        assert_eq!(hold.judge("3400000", &found("2000000")), Next::Again);
        assert!(!hold.settle(Next::Again, Some("3400000"), "2000000", "2000000"));
        assert_eq!(hold.judge("3400000", &found("2000000")), Next::Rest);
        // It is lifted: nothing to write, and nobody's doing.
        hold.pace = Pace::default();
        assert_eq!(hold.judge("3400000", &found("3400000")), Next::Again);
        assert!(!hold.lacks("3400000", &found("3400000")));
        assert!(!hold.settle(Next::Again, None, "3400000", "3400000"));

        hold.pace = Pace::default();
        assert_eq!(hold.judge("3400000", &found("2500000")), Next::Again);
        assert!(
            hold.settle(Next::Again, Some("3400000"), "2500000", "3400000"),
            "somebody's"
        );
        hold.pace = Pace::default();
        assert_eq!(hold.judge("3400000", &found("2500000")), Next::Again);
        assert!(
            !hold.settle(Next::Again, Some("3400000"), "2500000", "2300000"),
            "a limit that moves"
        );
    }

    #[test]
    fn a_file_that_shows_the_value_can_hide_another() {
        // 3.4 GHz was asked for while firmware allowed 1.5: back to 1.5 has to be written all the same.
        let hold = held("3400000", "1500000");
        assert!(hold.lacks("1500000", &found("1500000")));
        assert!(!Hold::default().lacks("1500000", &found("1500000")));
    }

    #[test]
    fn a_fight_slows_down_and_peace_is_forgiving() {
        let mut hold = held("powersave", "powersave");
        let writes = |hold: &mut Hold, looks: u32| {
            let mut writes = 0;
            for _ in 0..looks {
                if hold.judge("powersave", &found("performance")) == Next::Again {
                    assert!(hold.settle(Next::Again, Some("powersave"), "performance", "powersave"));
                    writes += 1;
                }
            }
            writes
        };
        assert_eq!(writes(&mut hold, 1), 1, "the first time at once");
        let slow = writes(&mut hold, 170);
        assert!((9..=14).contains(&slow), "{slow}");
        for _ in 0..40 {
            hold.judge("powersave", &found("powersave"));
        }
        assert_eq!(writes(&mut hold, 1), 1, "at once again");
    }

    #[test]
    fn a_failure_is_tried_again_with_patience() {
        let mut hold = held("powersave", "powersave");
        let problem = Warning {
            path: "/p".into(),
            problem: "is busy".into(),
        };
        let mut tries = 0;
        for _ in 0..100 {
            if hold.judge("powersave", &found("performance")) == Next::Again {
                hold.fail("performance", problem.clone());
                tries += 1;
            }
        }
        assert!((5..=12).contains(&tries), "{tries}");
        assert_eq!(
            hold.judge("schedutil", &found("performance")),
            Next::Begin,
            "new wishes at once"
        );
    }

    #[test]
    fn another_inode_is_another_file() {
        let mut hold = held("powersave", "powersave");
        let other = Found {
            value: "schedutil".into(),
            inode: 8,
        };
        assert_eq!(hold.judge("powersave", &other), Next::Begin);
        assert!(
            !hold.settle(Next::Begin, Some("powersave"), "schedutil", "powersave"),
            "the driver's own"
        );
    }
}
