//! What can be wrong with a file's content. The path stands beside it, in [`machine::Warning`].

use machine::MilliCelsius;
use nix::errno::Errno;
use std::io;

/// How much of a malformed text a warning repeats, in characters.
const EXCERPT: usize = 40;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("is missing")]
    Missing,
    #[error("cannot be read: {0}")]
    Io(io::Error),
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    #[error("has more than {0} entries")]
    TooManyEntries(usize),
    #[error("is not UTF-8 text")]
    NotText,
    #[error("{found:?} is not {expected}")]
    Malformed { found: String, expected: &'static str },
    #[error("has no field {0}")]
    NoField(&'static str),
    #[error("{0} is no temperature that a machine in a room can have")]
    Implausible(MilliCelsius),
    #[error("cannot be {wish:?}: this machine offers {choices}")]
    NotOffered { wish: String, choices: String },
    #[error("is held by the governor performance, which allows no other preference")]
    FixedPreference,
    #[error("holds {0:?}, which could not be brought back, and so is left alone")]
    NotRestorable(String),
    #[error("cannot be set to {0:?}: {1}")]
    NotWritten(String, io::Error),
    #[error("was set to {wanted:?} and holds {after:?}")]
    NotAccepted { wanted: String, after: String },
    #[error("was set to {found:?} by another program or by firmware; set back to {wanted:?}")]
    Foreign { found: String, wanted: String },
    #[error("cannot be stored, so that a crash would leave the machine's settings as they are now: {0}")]
    NotStored(io::Error),
}

impl Problem {
    /// A text that is not what it should be.
    pub(crate) fn malformed(text: &str, expected: &'static str) -> Self {
        let found = text.trim().chars().take(EXCERPT).collect();
        Self::Malformed { found, expected }
    }

    /// Whether that is how cpufreq answers for a policy whose processors are all offline.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::ResourceBusy)
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Io(error),
        }
    }
}

impl From<Errno> for Problem {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_repeats_only_the_beginning_of_garbage_and_escapes_it() {
        let problem = Problem::malformed(&format!("\u{1b}[31m{}", "x".repeat(500)), "a number").to_string();
        assert!(problem.starts_with("\"\\u{1b}[31mxxx"), "{problem}");
        assert!(problem.ends_with("xxx\" is not a number"), "{problem}");
        assert!(problem.len() < 80, "{problem}");
    }

    #[test]
    fn an_offline_policy_is_known_by_its_answer() {
        assert!(Problem::from(Errno::EBUSY).is_busy());
        assert!(!Problem::from(Errno::EIO).is_busy());
        assert!(!Problem::Missing.is_busy());
    }

    #[test]
    fn what_drivers_answer_is_told_in_the_systems_words() {
        assert_eq!(Problem::from(Errno::ENOENT).to_string(), "is missing");
        for (errno, words) in [
            (Errno::ENODATA, "No data available"),
            (Errno::EAGAIN, "Resource temporarily unavailable"),
            (Errno::EIO, "Input/output error"),
        ] {
            let problem = Problem::from(errno).to_string();
            assert!(problem.contains(words), "{problem}");
        }
    }
}
