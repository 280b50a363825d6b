//! The history's file: the coarsest rows, written once an hour and at the end.

use super::History;
use crate::state::{load, save_compact};
use api::samples::{Row, Samples, Values};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use tracing::warn;

/// Seconds between two times that it is written: a flash disk wears, and an hour of means is no great loss.
const EVERY: u64 = 3600;

/// The history, and where it is kept.
#[derive(Debug)]
pub(crate) struct HistoryBook {
    history: History,
    /// `None`: it is not kept.
    path: Option<PathBuf>,
    /// When it was written last, in Unix seconds; `None`: not since the start.
    written: Option<u64>,
    /// Writes, apart from the loop that fights heat: a disk that is busy with an import may take seconds.
    writing: Option<JoinHandle<()>>,
}

impl HistoryBook {
    /// With what was kept. A file that cannot be read is told of, and history begins anew.
    pub(crate) fn open(path: Option<PathBuf>) -> Self {
        let mut history = History::default();
        match path.as_deref().map(load::<Samples>) {
            None | Some(Ok(None)) => {}
            Some(Ok(Some(kept))) => history.bring_back(kept.rows.into_iter().map(Row::from)),
            Some(Err(error)) => warn!("the history begins anew: {:#}", anyhow::Error::new(error)),
        }
        Self {
            history,
            path,
            written: None,
            writing: None,
        }
    }

    /// Takes a row in, and writes if it is time to.
    pub(crate) fn take(&mut self, row: Row) {
        self.history.take(row);
        // A clock that was set back counts from where it is.
        let last = *self.written.get_or_insert(row.time);
        if row.time.abs_diff(last) >= EVERY {
            self.written = Some(row.time);
            self.begin_to_keep();
        }
    }

    /// See [`History::tell`].
    pub(crate) fn tell(&self, seconds: u32, now: u64, interval: u32) -> Samples {
        self.history.tell(seconds, now, interval)
    }

    /// Begins to write what outlives this run, unless the last time goes on still.
    fn begin_to_keep(&mut self) {
        let Some(path) = self.path.clone() else {
            return;
        };
        if self
            .writing
            .as_ref()
            .is_some_and(|writing| !writing.is_finished())
        {
            return warn!(
                "the history is not kept: {} is being written still",
                path.display()
            );
        }
        let kept = self.kept();
        let writer = thread::Builder::new().name("history".to_owned());
        match writer.spawn(move || write(&path, &kept)) {
            Ok(writing) => self.writing = Some(writing),
            Err(error) => warn!("the history is not kept: {error}"),
        }
    }

    /// Writes what outlives this run, and waits until it is written.
    pub(crate) fn keep(&mut self) {
        if self.writing.take().is_some_and(|writing| writing.join().is_err()) {
            warn!("the history's writer has failed");
        }
        if let Some(path) = &self.path {
            write(path, &self.kept());
        }
    }

    fn kept(&self) -> Samples {
        Samples {
            rows: self.history.coarsest().map(Values::from).collect(),
            ..Samples::default()
        }
    }
}

/// That it cannot be written is told of.
fn write(path: &Path, kept: &Samples) {
    if let Err(error) = save_compact(path, kept) {
        warn!("the history is not kept: {:#}", anyhow::Error::new(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time: u64) -> Row {
        Row {
            time,
            power: Some(6.0),
            ..Row::default()
        }
    }

    #[test]
    fn what_was_kept_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.json");
        let mut book = HistoryBook::open(Some(path.clone()));
        for time in (0..3600).step_by(5) {
            book.take(row(100_000 + time));
        }
        assert!(!path.exists(), "it is written once an hour");
        book.take(row(103_600));
        book.writing
            .take()
            .expect("it is written by another")
            .join()
            .unwrap();
        assert!(path.exists());
        book.keep();
        let mut again = HistoryBook::open(Some(path));
        again.take(row(103_700));
        let told = again.tell(86_400, 103_700, 5);
        assert_eq!(told.rows.len(), 31);
        assert!(told.rows.iter().all(|values| values.3 == Some(6.0)));
        assert_eq!(again.tell(600, 103_700, 5).rows.len(), 1);
    }

    #[test]
    fn a_file_that_is_none_of_ours_begins_it_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.json");
        std::fs::write(&path, "[]").unwrap();
        let mut book = HistoryBook::open(Some(path));
        book.take(row(5));
        assert_eq!(book.tell(60, 5, 1).rows.len(), 1);
    }
}
