//! What administrators want of the engine's unit, kept over restarts and boots.

use crate::state::{FileError, load_or_set_aside, save};
use api::engine::UnitLimits;
use machine::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;
use time::OffsetDateTime;
use tracing::warn;

/// The engine itself does not fit into less.
const LEAST_MEMORY: Bytes = Bytes(64 << 20);
/// `CPUWeight` may be so much, from 1 on.
const GREATEST_WEIGHT: u32 = 10_000;

/// Why a limit cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadLimit {
    #[error("{field}: more than {LEAST_MEMORY} and at most the machine's {total} are allowed, not {asked}")]
    Memory {
        field: &'static str,
        asked: Bytes,
        total: Bytes,
    },
    #[error("memory_high: it must not be above memory_max, {0}")]
    HighAboveMax(Bytes),
    #[error(
        "memory_max: the unit's own is {own}, which keeps the rest of the appliance alive; {asked} is more, and must be asked for with beyond_unit"
    )]
    BeyondUnit { own: Bytes, asked: Bytes },
    #[error("cpu_weight: 1 to {GREATEST_WEIGHT} are allowed, not {0}")]
    Weight(u32),
    #[error("allowed_cpus: at least one processor is wanted, each once and ascending")]
    Processors,
    #[error("allowed_cpus: the machine has no processor {0}")]
    NoSuchProcessor(u32),
}

/// What the machine has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room<'m> {
    /// `MemTotal`; what is unknown bounds nothing.
    pub(crate) mem_total: Option<Bytes>,
    /// Processors that are online; empty if unknown.
    pub(crate) processors: &'m [u32],
}

/// Whether the machine has what is allowed.
pub(crate) fn check(limits: &UnitLimits, room: Room<'_>) -> Result<(), BadLimit> {
    memory("memory_high", limits.memory_high, room)?;
    memory("memory_max", limits.memory_max, room)?;
    if let (Some(high), Some(max)) = (limits.memory_high, limits.memory_max)
        && high > max
    {
        return Err(BadLimit::HighAboveMax(max));
    }
    if let Some(weight) = limits.cpu_weight
        && !(1..=GREATEST_WEIGHT).contains(&weight)
    {
        return Err(BadLimit::Weight(weight));
    }
    processors(limits.allowed_cpus.as_deref(), room.processors)
}

/// Whether the unit's own limit is left only by who means it.
pub(crate) fn check_own(asked: &UnitLimits, own: &UnitLimits, beyond_unit: bool) -> Result<(), BadLimit> {
    match (asked.memory_max, own.memory_max) {
        (Some(asked), Some(own)) if asked > own && !beyond_unit => Err(BadLimit::BeyondUnit { own, asked }),
        _ => Ok(()),
    }
}

fn memory(field: &'static str, asked: Option<Bytes>, room: Room<'_>) -> Result<(), BadLimit> {
    let total = room.mem_total.unwrap_or(Bytes(u64::MAX));
    match asked {
        Some(asked) if asked <= LEAST_MEMORY || asked > total => {
            Err(BadLimit::Memory { field, asked, total })
        }
        _ => Ok(()),
    }
}

fn processors(asked: Option<&[u32]>, there: &[u32]) -> Result<(), BadLimit> {
    let Some(asked) = asked else { return Ok(()) };
    if asked.is_empty() || !asked.is_sorted_by(|a, b| a < b) {
        return Err(BadLimit::Processors);
    }
    match asked.iter().find(|asked| !there.contains(asked)) {
        Some(missing) if !there.is_empty() => Err(BadLimit::NoSuchProcessor(*missing)),
        _ => Ok(()),
    }
}

/// What administrators want of the unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Administered {
    /// Since when the engine is held stopped, if it is.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(crate) held_since: Option<OffsetDateTime>,
    /// Resource properties; what is `None` is as the unit has it.
    #[serde(default, deserialize_with = "known")]
    pub(crate) limits: UnitLimits,
}

/// Limits as hearthd has kept them: another version may know more of them, which must not cost an administrator's hold.
fn known<'de, D: Deserializer<'de>>(from: D) -> Result<UnitLimits, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Known {
        memory_high: Option<Bytes>,
        memory_max: Option<Bytes>,
        cpu_weight: Option<u32>,
        allowed_cpus: Option<Vec<u32>>,
    }
    let known = Known::deserialize(from)?;
    Ok(UnitLimits {
        memory_high: known.memory_high,
        memory_max: known.memory_max,
        cpu_weight: known.cpu_weight,
        allowed_cpus: known.allowed_cpus,
    })
}

impl Administered {
    /// Whether the engine must not run.
    pub(crate) fn is_held(&self) -> bool {
        self.held_since.is_some()
    }
}

/// The file, and what is in it.
#[derive(Debug)]
pub(crate) struct AdministeredBook {
    /// `None` in development.
    file: Option<PathBuf>,
    now: Administered,
    /// The file holds that.
    is_kept: bool,
}

impl AdministeredBook {
    /// Opens the book. One that makes no sense is set aside: the engine is not held then, and has its unit's own. Limits
    /// that this machine cannot have are left out until others are chosen.
    pub(crate) fn open(file: Option<PathBuf>, room: Room<'_>) -> Self {
        let kept = file.as_deref().map(load_or_set_aside);
        let mut now: Administered = kept.flatten().unwrap_or_default();
        if let Err(error) = check(&now.limits, room) {
            warn!("the engine has its unit's own limits, not those that were chosen: {error}");
            now.limits = UnitLimits::default();
        }
        Self {
            file,
            now,
            is_kept: true,
        }
    }

    /// What is wanted now.
    pub(crate) fn now(&self) -> &Administered {
        &self.now
    }

    /// Holds the engine stopped, or not any more. It is so even where it cannot be kept.
    pub(crate) fn hold(&mut self, since: Option<OffsetDateTime>) -> Result<(), FileError> {
        // Who stops again what is held has not begun it.
        let held_since = since.map(|since| self.now.held_since.unwrap_or(since));
        self.change(Administered {
            held_since,
            ..self.now.clone()
        })
    }

    /// Sets all limits. They are in force even where they cannot be kept.
    pub(crate) fn limit(&mut self, limits: UnitLimits) -> Result<(), FileError> {
        self.change(Administered {
            limits,
            ..self.now.clone()
        })
    }

    /// The disk is not waited for where it holds that already.
    fn change(&mut self, next: Administered) -> Result<(), FileError> {
        self.is_kept &= next == self.now;
        self.now = next;
        if let Some(file) = self.file.as_ref().filter(|_| !self.is_kept) {
            save(file, &self.now)?;
        }
        self.is_kept = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room<'static> = Room {
        mem_total: Some(Bytes(4 << 30)),
        processors: &[0, 1, 2, 3],
    };

    fn memory_max(bytes: u64) -> UnitLimits {
        UnitLimits {
            memory_max: Some(Bytes(bytes)),
            ..UnitLimits::default()
        }
    }

    fn allowed(processors: &[u32]) -> UnitLimits {
        UnitLimits {
            allowed_cpus: Some(processors.to_vec()),
            ..UnitLimits::default()
        }
    }

    #[test]
    fn only_what_the_machine_has_can_be_allowed() {
        for good in [
            UnitLimits::default(),
            memory_max((64 << 20) + 1),
            memory_max(4 << 30),
            allowed(&[0, 3]),
            UnitLimits {
                cpu_weight: Some(10_000),
                memory_high: Some(Bytes(1 << 30)),
                ..memory_max(1 << 30)
            },
        ] {
            assert_eq!(check(&good, ROOM), Ok(()), "{good:?}");
        }
        let weight = |weight| UnitLimits {
            cpu_weight: Some(weight),
            ..UnitLimits::default()
        };
        let high = UnitLimits {
            memory_high: Some(Bytes(2 << 30)),
            ..memory_max(1 << 30)
        };
        for (bad, field) in [
            (memory_max(64 << 20), "memory_max:"),
            (memory_max((4 << 30) + 1), "memory_max:"),
            (high, "memory_high:"),
            (weight(0), "cpu_weight:"),
            (weight(10_001), "cpu_weight:"),
            (allowed(&[]), "allowed_cpus:"),
            (allowed(&[1, 1]), "allowed_cpus:"),
            (allowed(&[2, 1]), "allowed_cpus:"),
            (allowed(&[0, 4]), "allowed_cpus: the machine has no processor 4"),
        ] {
            let problem = check(&bad, ROOM).unwrap_err().to_string();
            assert!(problem.starts_with(field), "{bad:?}: {problem}");
        }
        let unknown = Room {
            mem_total: None,
            processors: &[],
        };
        assert_eq!(
            check(&allowed(&[9]), unknown),
            Ok(()),
            "what is unknown bounds nothing"
        );
    }

    #[test]
    fn the_units_own_limit_is_left_only_by_who_means_it() {
        let own = memory_max(3 << 30);
        assert_eq!(check_own(&memory_max(3 << 30), &own, false), Ok(()));
        assert_eq!(check_own(&memory_max(4 << 30), &own, true), Ok(()));
        let problem = check_own(&memory_max(4 << 30), &own, false).unwrap_err();
        assert!(problem.to_string().contains("3.0 GiB"), "{problem}");
        assert_eq!(
            check_own(&memory_max(4 << 30), &UnitLimits::default(), false),
            Ok(())
        );
    }

    #[test]
    fn what_is_wanted_is_kept_and_what_cannot_be_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = Some(folder.path().join("administered.json"));
        let mut book = AdministeredBook::open(file.clone(), ROOM);
        let (first, later) = (OffsetDateTime::UNIX_EPOCH, OffsetDateTime::now_utc());
        book.hold(Some(first)).unwrap();
        book.hold(Some(later)).unwrap();
        book.limit(memory_max(4 << 30)).unwrap();
        let again = AdministeredBook::open(file.clone(), ROOM);
        assert_eq!(again.now(), book.now());
        assert_eq!(again.now().held_since, Some(first), "a second stop is none");

        let less = Room {
            mem_total: Some(Bytes(2 << 30)),
            ..ROOM
        };
        let moved = AdministeredBook::open(file.clone(), less);
        assert_eq!(moved.now().limits, UnitLimits::default());
        assert!(moved.now().is_held());
        book.hold(None).unwrap();
        assert!(!AdministeredBook::open(file, ROOM).now().is_held());
    }

    #[test]
    fn a_book_that_makes_no_sense_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("administered.json");
        std::fs::write(&file, r#"{"held_since": "yesterday"}"#).unwrap();
        let book = AdministeredBook::open(Some(file.clone()), ROOM);
        assert_eq!(book.now(), &Administered::default());
        assert!(
            !file.exists() && file.with_extension("bad").exists(),
            "it is set aside"
        );
    }

    #[test]
    fn what_another_version_has_kept_is_passed_over_and_the_hold_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("administered.json");
        let kept = r#"{"held_since": "2026-01-01T00:00:00Z", "limits": {"memory_max": 1073741824, "io_weight": 5}, "by": 0}"#;
        std::fs::write(&file, kept).unwrap();
        let book = AdministeredBook::open(Some(file), ROOM);
        assert!(book.now().is_held());
        assert_eq!(book.now().limits, memory_max(1 << 30));
    }

    #[test]
    fn only_a_change_is_written_and_what_could_not_be_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state").join("administered.json");
        let mut book = AdministeredBook::open(Some(file.clone()), ROOM);
        book.hold(None).unwrap();
        assert!(book.hold(Some(OffsetDateTime::UNIX_EPOCH)).is_err());
        assert!(book.now().is_held(), "it is in force all the same");
        std::fs::create_dir(folder.path().join("state")).unwrap();
        book.hold(Some(OffsetDateTime::UNIX_EPOCH)).unwrap();
        std::fs::remove_file(&file).unwrap();
        book.hold(Some(OffsetDateTime::UNIX_EPOCH)).unwrap();
        assert!(!file.exists(), "nothing has changed");
    }
}
