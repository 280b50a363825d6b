//! What is kept of the quarantine over a restart and over boots.

use super::quarantine::{Model, Quarantine};
use crate::state::{FileError, load, save};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use time::OffsetDateTime;
use tracing::warn;

/// A model that is held, since when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) model: Model,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) since: OffsetDateTime,
    pub(super) reason: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    quarantined: Vec<Held>,
    /// Models that have answered well, the last one last.
    good: Vec<Model>,
}

/// The file, and what is in it.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// `None` in development.
    file: Option<PathBuf>,
    kept: Kept,
    /// The file does not say what is in it now.
    is_due: bool,
}

impl Book {
    /// Opens the book. One that makes no sense is begun anew: what it held is found out again.
    pub(super) fn open(file: Option<PathBuf>) -> Self {
        let kept = file.as_deref().map(load).unwrap_or(Ok(None));
        let kept = kept.unwrap_or_else(|error| {
            warn!(
                "{:#}; no model is taken for quarantined",
                anyhow::Error::new(error)
            );
            None
        });
        Self {
            file,
            kept: kept.unwrap_or_default(),
            is_due: false,
        }
    }

    /// The quarantine as it was.
    pub(super) fn quarantine(&self) -> Quarantine {
        let held = self.kept.quarantined.iter().map(|held| held.model.clone());
        Quarantine::resume(held.collect(), self.kept.good.clone())
    }

    /// Models that are held, longest first.
    pub(super) fn held(&self) -> &[Held] {
        &self.kept.quarantined
    }

    /// Notes what has become of the quarantine, to be written later; `reason` is for who is new in it.
    pub(super) fn note(&mut self, now: &Quarantine, at: OffsetDateTime, reason: &str) {
        let known = |model: &Model| self.kept.quarantined.iter().find(|held| held.model == *model);
        let held = now.held().iter().map(|model| {
            known(model).cloned().unwrap_or_else(|| Held {
                model: model.clone(),
                since: at,
                reason: reason.to_owned(),
            })
        });
        self.kept = Kept {
            quarantined: held.collect(),
            good: now.good().to_vec(),
        };
        self.is_due = true;
    }

    /// Writes what was noted since the last time. It waits for the disk.
    pub(super) fn keep(&mut self) -> Result<(), FileError> {
        if let Some(file) = self.file.as_ref().filter(|_| self.is_due) {
            save(file, &self.kept)?;
        }
        self.is_due = false;
        Ok(())
    }
}
