//! The one place that writes kernel files: cpufreq's limits, governors and preferences, boost, the platform profile and
//! power limits.
//!
//! [`Writer::apply`] takes the full wish and writes only what differs. What a file held before it was first written is
//! stored in a file of its own *before* that write, so that [`Writer::restore`] brings it back at the end.
//!
//! After a crash [`Writer::open`] takes that file over and leaves the kernel's files alone: the first
//! [`Writer::apply`] sets what is wished, and brings back the rest. Bringing all back at once would free the clock of a
//! machine that was being cooled until the first decision: seen in a simulated one, +6 K within half a second.
//!
//! # Somebody else's hand
//! A reading can differ from what was written without anybody's doing: cpufreq shows the limit in force, which firmware
//! (`_PPC`, shown as `bios_limit`) and the kernel's own cooling may lower and lift again, and drivers round to clocks
//! they have. The kernel keeps what was asked for beside it (`freq_qos` in `drivers/cpufreq/cpufreq.c`), so that
//! writing the same once more changes nothing. So that is how it is told: a reading that has moved is answered by
//! writing the last value again; if the reading stays, it is the kernel's, and is accepted; if the value takes, another
//! program had changed it, which is told once per file.
//!
//! There is no fight at full speed. A contested file is written again at once the first time, then only after 1, 2, 4 …
//! at most 16 further calls of `apply`; each call that finds it in peace shortens the pause. A wish that changes is
//! written at once. A file that cannot be written is tried again by the same rule, and its problem told every time.

mod attribute;
mod first_seen;
mod hold;
mod offer;
mod settle;
mod wishes;

use crate::problem::Problem;
use crate::reader::Reader;
use crate::tree::{Error, Tree};
use crate::{cpufreq, parse, platform_profile};
use attribute::{Attribute, PolicyFile};
use first_seen::FirstSeen;
use hold::{Found, Hold};
use machine::{Setpoints, Warning};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use wishes::Wishes;

/// A file that was written: one line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file, from the root of the tree.
    pub path: String,
    /// What it held.
    pub before: String,
    /// What was written.
    pub wanted: String,
    /// What it holds now: the kernel rounds, and firmware limits.
    pub after: String,
}

/// What came of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// What was written, in its order.
    pub changes: Vec<Change>,
    /// What is wanted and could not be had. Told at every call for as long as it stands.
    pub problems: Vec<Warning>,
    /// Files that another program writes, too. Each is told once.
    pub foreign: Vec<Warning>,
}

impl Applied {
    fn problem(&mut self, path: impl ToString, problem: impl ToString) {
        self.problems.push(warning(path, problem));
    }
}

/// What a file shall hold, and whether that is a wish or only its first-seen value.
struct Target {
    value: String,
    wished: bool,
}

/// Writes, and remembers what was there before.
#[derive(Debug)]
pub struct Writer {
    tree: Tree,
    state: PathBuf,
    first_seen: FirstSeen,
    /// First-seen values are not yet in the state file.
    unstored: bool,
    inherited: usize,
    holds: BTreeMap<Attribute, Hold>,
    told: BTreeSet<Attribute>,
}

impl Writer {
    /// A writer of a tree's files, that stores what they held in the file `state`, in a folder that is there. If that
    /// file is there already, an earlier writer was not ended by [`Writer::restore`], and what it knew is taken over: see
    /// [`Writer::inherited`]. A state file that makes no sense is told, and kept beside as `<state>.corrupt`.
    ///
    /// # Errors
    /// [`Error::State`] if the state file is there and cannot be read or moved.
    pub fn open(tree: Tree, state: PathBuf) -> Result<(Self, Applied), Error> {
        let mut writer = Self {
            tree,
            state,
            first_seen: FirstSeen::default(),
            unstored: false,
            inherited: 0,
            holds: BTreeMap::new(),
            told: BTreeSet::new(),
        };
        let applied = match FirstSeen::load(&writer.state) {
            Ok(None) => Applied::default(),
            Ok(Some(left)) => {
                writer.holds = left
                    .0
                    .keys()
                    .map(|file| (file.clone(), Hold::unknown()))
                    .collect();
                writer.inherited = left.0.len();
                writer.first_seen = left;
                Applied::default()
            }
            Err(error) => writer.set_aside(&error)?,
        };
        Ok((writer, applied))
    }

    /// How many files' first-seen values were taken over from a writer that was not ended in order.
    pub fn inherited(&self) -> usize {
        self.inherited
    }

    /// Makes the files hold what is wanted, as far as the machine offers it. A file that no longer has a wish returns
    /// to what it first held.
    pub fn apply(&mut self, wanted: &Setpoints) -> Applied {
        let mut applied = Applied::default();
        let switch = wanted
            .boost
            .and_then(|_| cpufreq::boost_switch(&mut Reader::new(&self.tree)));
        if wanted.boost.is_some() && switch.is_none() {
            applied.problem(cpufreq::BOOST, Problem::Missing);
        }
        let wishes = wishes::wishes(wanted, switch);
        self.remember(&wishes, &mut applied);
        let targets = self.targets(wishes);
        self.settle_all(&targets, &mut applied);
        applied
    }

    /// Brings back what every touched file first held, and removes the state file. Values of files that are gone for
    /// now, such as those of a processor that is offline, of preferences that another program's governor holds, and of
    /// files that refuse, stay stored, for this writer or the next.
    pub fn restore(&mut self) -> Applied {
        let mut applied = Applied::default();
        self.holds.values_mut().for_each(Hold::insist);
        let first = self.first_seen.0.clone().into_iter();
        let targets = first.map(|(attribute, value)| (attribute, Target { value, wished: false }));
        self.settle_all(&targets.collect(), &mut applied);

        let (tree, holds) = (&self.tree, &self.holds);
        let gone = |attribute: &Attribute| found(tree, attribute).is_err();
        let refuses = |attribute: &Attribute| holds.get(attribute).is_some_and(Hold::refuses);
        let kept = |attribute: &Attribute, value: &str| {
            found(tree, attribute).is_ok_and(|found| found.value != value)
                && settle::is_kept_by_governor(tree, attribute, value)
        };
        self.first_seen
            .0
            .retain(|attribute, value| gone(attribute) || refuses(attribute) || kept(attribute, value));
        let left = self.first_seen.0.keys();
        self.holds = left.map(|file| (file.clone(), Hold::unknown())).collect();
        let stored = if self.first_seen.0.is_empty() {
            first_seen::remove(&self.state)
        } else {
            self.first_seen.store(&self.state)
        };
        if let Err(error) = stored {
            applied.problem(self.state.display(), Problem::NotStored(error));
        }
        applied
    }

    fn set_aside(&self, error: &io::Error) -> Result<Applied, Error> {
        let aside = first_seen::set_aside(&self.state).map_err(|source| Error::State {
            path: self.state.clone(),
            source,
        })?;
        let mut applied = Applied::default();
        let problem = format!("tells nothing ({error}); it is kept as {}", aside.display());
        applied.problem(self.state.display(), problem);
        Ok(applied)
    }

    /// Keeps what files hold that are about to be written for the first time. If it cannot be stored, they are written
    /// all the same: a machine that is kept cool matters more than one that is left tidy after a crash.
    fn remember(&mut self, wishes: &Wishes, applied: &mut Applied) {
        for attribute in wishes.keys() {
            if self.first_seen.0.contains_key(attribute) {
                continue;
            }
            if let Some(value) = first_value(&self.tree, attribute) {
                self.first_seen.0.insert(attribute.clone(), value);
                self.unstored = true;
            }
        }
        if self.unstored {
            match self.first_seen.store(&self.state) {
                Ok(()) => self.unstored = false,
                Err(error) => applied.problem(self.state.display(), Problem::NotStored(error)),
            }
        }
    }

    /// What is wished, and the first-seen values of files that have no wish any more.
    fn targets(&self, wishes: Wishes) -> BTreeMap<Attribute, Target> {
        let leaving = self.holds.iter().filter(|(_, hold)| !hold.returned);
        let returning = leaving.filter_map(|(attribute, _)| {
            let value = self.first_seen.0.get(attribute)?.clone();
            Some((attribute.clone(), Target { value, wished: false }))
        });
        let wished = |(attribute, value)| (attribute, Target { value, wished: true });
        returning.chain(wishes.into_iter().map(wished)).collect()
    }
}

/// What a file held before it is written for the first time; `None` if that could not be brought back: a profile that
/// cannot be chosen, or a limit that is no number.
///
/// A maximum that is firmware's limit is nobody's setting: the setting behind it is the highest clock, and that is what
/// comes back. Else a machine that was throttled when Hearth started would stay slow after it ended.
fn first_value(tree: &Tree, attribute: &Attribute) -> Option<String> {
    let value = found(tree, attribute).ok()?.value;
    // Nought is no limit but the word of a domain that has none.
    if attribute.is_number() && !value.parse::<u64>().is_ok_and(|number| number > 0) {
        return None;
    }
    let mut reader = Reader::new(tree);
    match attribute {
        Attribute::PlatformProfile => {
            let choices = platform_profile::discover(&mut reader);
            choices.contains(&value).then_some(value)
        }
        Attribute::Policy {
            id,
            file: PolicyFile::MaxFreq,
        } => {
            let mut clock =
                |file| reader.optional(&format!("{}/policy{id}/{file}", cpufreq::DIR), parse::clock);
            let (limit, highest) = (clock("bios_limit"), clock("cpuinfo_max_freq"));
            let limited = limit.is_some_and(|limit| limit.0.to_string() == value);
            Some(
                highest
                    .filter(|_| limited)
                    .map_or(value, |highest| highest.0.to_string()),
            )
        }
        _ => Some(value),
    }
}

/// What a file holds now.
fn found(tree: &Tree, attribute: &Attribute) -> Result<Found, Problem> {
    let (value, inode) = tree.value(&attribute.to_string())?;
    parse::name(&value).map(|value| Found { value, inode })
}

fn warning(path: impl ToString, problem: impl ToString) -> Warning {
    Warning {
        path: path.to_string(),
        problem: problem.to_string(),
    }
}
