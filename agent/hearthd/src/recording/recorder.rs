//! Writing a recording while hearthd runs.

use anyhow::Context;
use machine::{Capabilities, MemorySample, PressureSample, Record, Sample, Tuning, Wishes};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tracing::warn;

/// Writes what the laws are told. A fault ends the recording and nothing else.
#[derive(Debug)]
pub(crate) struct Recorder {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    found: Option<Capabilities>,
    tuning: Option<Tuning>,
    wishes: Option<Wishes>,
}

impl Recorder {
    /// Begins a recording. A file of that name is replaced.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write the recording {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file: Some(BufWriter::new(file)),
            found: None,
            tuning: None,
            wishes: None,
        })
    }

    /// Notes what the laws are told for one step; a fault is told, and ends the recording.
    pub(crate) fn note(&mut self, found: &Capabilities, tuning: &Tuning, wishes: &Wishes, sample: &Sample) {
        let noted = self.try_note(found, tuning, wishes, sample);
        self.settle(noted);
    }

    /// Notes what the law of reclaim is told; a fault is told, and ends the recording.
    pub(crate) fn note_memory(&mut self, sample: &MemorySample) {
        self.note_one(&Record::Memory(Box::new(sample.clone())));
    }

    /// Notes what the law of pressure is told; a fault is told, and ends the recording.
    pub(crate) fn note_pressure(&mut self, sample: &PressureSample) {
        self.note_one(&Record::Pressure(Box::new(sample.clone())));
    }

    fn note_one(&mut self, record: &Record) {
        let Some(file) = &mut self.file else { return };
        let noted = line(file, record).and_then(|()| file.flush());
        self.settle(noted);
    }

    fn settle(&mut self, noted: io::Result<()>) {
        if let Err(error) = noted {
            warn!("the recording {} ends here: {error}", self.path.display());
            self.file = None;
        }
    }

    /// Notes what the laws are told for one step, in whole lines.
    pub(super) fn try_note(
        &mut self,
        found: &Capabilities,
        tuning: &Tuning,
        wishes: &Wishes,
        sample: &Sample,
    ) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if is_news(&mut self.found, found) {
            line(file, &Record::Capabilities(Box::new(found.clone())))?;
        }
        if is_news(&mut self.tuning, tuning) {
            line(file, &Record::Tuning(tuning.clone()))?;
        }
        if is_news(&mut self.wishes, wishes) {
            line(file, &Record::Wishes(wishes.clone()))?;
        }
        line(file, &Record::Sample(Box::new(sample.clone())))?;
        file.flush()
    }
}

fn is_news<T: Clone + PartialEq>(last: &mut Option<T>, now: &T) -> bool {
    let news = last.as_ref() != Some(now);
    if news {
        *last = Some(now.clone());
    }
    news
}

fn line(file: &mut impl Write, record: &Record) -> io::Result<()> {
    serde_json::to_writer(&mut *file, record)?;
    file.write_all(b"\n")
}
