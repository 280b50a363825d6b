//! `hearth history`, `hearth events` and `hearth logs` on the command line.

use crate::span;
use api::samples::LONGEST_SPAN;
use clap::{Args, ValueEnum};

/// Which history to show.
#[derive(Args)]
pub(crate) struct History {
    /// How far back, such as 10m, 3h or 7d: up to 10m by the second, up to 3h by ten seconds, more by two minutes
    #[arg(value_name = "SPAN", default_value = "10m", value_parser = seconds)]
    pub(crate) seconds: u32,
    /// Print the gateway's answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn seconds(text: &str) -> Result<u32, String> {
    let span = span::parse(text)?;
    u32::try_from(span.as_secs())
        .ok()
        .filter(|seconds| *seconds <= LONGEST_SPAN)
        .ok_or_else(|| format!("{} days are kept", LONGEST_SPAN / 86_400))
}

/// Which events to show.
#[derive(Args)]
pub(crate) struct Watched {
    /// Only events of this kind; may be given several times
    #[arg(long, value_name = "KIND")]
    pub(crate) only: Vec<EventKind>,
    /// Print each event as a line of JSON, with its kind in "event" and what it says in "data"
    #[arg(long)]
    pub(crate) json: bool,
}

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventKind {
    /// What the machine shows, each second
    Sample,
    /// What the engine does: when it changes, and each second while it works
    Engine,
    /// Long work that goes on
    Job,
    /// Something that is wrong from now on
    Alert,
    /// The list of models has changed
    Models,
}

impl EventKind {
    /// The name of such events on the line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Engine => "engine",
            Self::Job => "job",
            Self::Alert => "alert",
            Self::Models => "models",
        }
    }
}

/// Which entries of the journal to show.
#[derive(Args)]
pub(crate) struct Logs {
    /// Only entries of this unit, as hearthd or ssh.service
    #[arg(long, short, value_name = "UNIT", value_parser = unit)]
    pub(crate) unit: Option<String>,
    /// Only entries as grave as this or graver: emerg, alert, crit, err, warning, notice, info, debug, or 0 to 7
    #[arg(long, short, value_name = "PRIORITY", value_parser = priority)]
    pub(crate) priority: Option<u8>,
    /// How many, the newest
    #[arg(long, short = 'n', value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub(crate) lines: u32,
    /// Go on with what comes from now on, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Print each entry as a line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// syslog's names, the gravest first (RFC 5424, section 6.2.1, as `journalctl` writes them).
const PRIORITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

fn priority(text: &str) -> Result<u8, String> {
    let named = PRIORITIES.iter().position(|name| *name == text);
    let number = || {
        text.parse::<usize>()
            .ok()
            .filter(|number| *number < PRIORITIES.len())
    };
    let found = named.or_else(number).and_then(|number| u8::try_from(number).ok());
    found.ok_or_else(|| format!("known are {} and 0 to 7", PRIORITIES.join(", ")))
}

/// The name becomes part of a query, and units are called by what a query may hold, but for one character.
fn unit(text: &str) -> Result<String, String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "@._:-\\".contains(c);
    if text.is_empty() || text.starts_with('-') || !text.chars().all(sound) {
        return Err("no unit is called so".to_owned());
    }
    Ok(text.replace('\\', "%5C"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_have_names_and_numbers() {
        assert_eq!(priority("err"), Ok(3));
        assert_eq!(priority("7"), Ok(7));
        for wrong in ["8", "-1", "error", ""] {
            assert!(priority(wrong).unwrap_err().contains("warning"), "{wrong}");
        }
    }

    #[test]
    fn a_unit_leads_nowhere_else() {
        assert_eq!(
            unit("dev-disk\\x2d1.device").as_deref(),
            Ok("dev-disk%5Cx2d1.device")
        );
        for wrong in ["", "a&follow=true", "a b", "--root", "a/b"] {
            assert!(unit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_more_is_asked_for_than_is_kept() {
        assert_eq!(seconds("7d"), Ok(LONGEST_SPAN));
        assert!(seconds("8d").unwrap_err().contains("7 days"));
    }
}
