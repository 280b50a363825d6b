//! What is kept, what is tried, and the files of both; one process at a time has it before it.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use machine::BootTime;
use serde::{Deserialize, Serialize};
use setup::file::Problem;
use setup::kept::Kept;
use setup::outcome;
use setup::render;
use setup::settings::{Install, Network};
use setup::state::State;
use setup::trial::{Source, Trial};

use crate::journal;
use crate::place::Place;

/// What is kept over boots.
const KEPT: &str = "var/lib/hearth/config/settings.json";
/// The same, where it could not be read, for who looks into it.
const BROKEN: &str = "var/lib/hearth/config/settings.json.broken";
/// What is tried, until the next boot at the longest.
const TRIAL: &str = "run/hearth/setup/trial.json";
/// The answers to files.
const RESULT: &str = "run/hearth/setup/hearth-result.txt";
/// Written when the answers are to be brought to CONFIG (`hearth-result.path`).
const ANSWERED: &str = "run/hearth/setup/answered";
/// The wish to have the appliance on the internal disk (`hearth-install.path`).
pub(crate) const INSTALL: &str = "run/hearth/setup/install.json";
/// Written when the running system must be told of a change (`hearth-apply.path`).
const CHANGED: &str = "run/hearth/setup/changed";
/// Its being there has the initrd make the disk's own partitions anew (`hearth-factory-reset.service`).
const RESET: &str = "var/lib/hearth/config/factory-reset";
const LOCK: &str = "run/hearth/setup/lock";
/// The longest of the files that are made of settings, in bytes.
const LONGEST: usize = 1 << 20;

/// A wish to be copied, for who carries it out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) install: Install,
    /// Names the text that it stands in.
    pub(crate) digest: String,
}

/// Everything, while nobody else changes it.
#[derive(Debug)]
pub(crate) struct Desk<'p> {
    place: &'p Place,
    _lock: File,
    state: State,
    /// What is written down of what is kept; none where that is nothing that can be read.
    written: Option<Kept>,
}

impl<'p> Desk<'p> {
    /// Waits for it and reads it.
    pub(crate) fn open(place: &'p Place) -> Result<Self> {
        let (desk, done) = Self::open_anyway(place)?;
        done.map(|()| desk)
    }

    /// The same, also where what is kept could not be put in the place of a trial that is lost: then somebody else does it.
    pub(crate) fn open_anyway(place: &'p Place) -> Result<(Self, Result<()>)> {
        let lock = place.lock(LOCK)?;
        let (written, kept) = match place.load::<Kept>(KEPT) {
            Ok(written) => (written.clone(), written.unwrap_or_default()),
            Err(error) => (None, recover(place, &error)),
        };
        let trial = place.load(TRIAL);
        let lost = trial.as_ref().err().map(|error| format!("{error:#}"));
        let mut desk = Self {
            place,
            _lock: lock,
            state: State::new(kept, trial.unwrap_or_default()),
            written,
        };
        if let Some(error) = &lost {
            journal::error(&format!("{error}; what is kept comes back"));
        }
        let done = desk.settle(lost.is_some());
        Ok((desk, done))
    }

    /// Ends what is left of a trial: one that is over, that nobody can read, or that a power cut has ended.
    fn settle(&mut self, is_lost: bool) -> Result<()> {
        if is_lost || self.state.has_left() {
            let mut next = self.state.clone();
            next.take_back();
            self.put_back(next)?;
        }
        if self.state.trial().is_none() {
            // Its watcher would be started for it again and again.
            self.place.remove(TRIAL)?;
        }
        Ok(())
    }

    /// What is set.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Takes over what a file sets.
    pub(crate) fn take(&mut self, source: Source, now: BootTime) -> Result<()> {
        let (name, digest) = (source.name.clone(), source.digest.clone());
        let mut next = self.state.clone();
        let wish = next.read(source, now);
        self.save(next)?;
        journal::info(&format!("{name} was applied"));
        // After it was written down that it is handed on: it erases a disk.
        wish.map_or(Ok(()), |install| {
            self.place.save(INSTALL, &Order { install, digest })
        })
    }

    /// A file has mistakes: it sets nothing.
    pub(crate) fn refuse(&mut self, name: &str, problems: &[Problem]) -> Result<()> {
        for problem in problems {
            journal::warn(&format!("{name}: {problem}"));
        }
        let mut next = self.state.clone();
        next.refuse(name, problems);
        self.save(next)
    }

    /// Writes down what comes next, and then goes on from there; where it cannot be written, all stays as it was.
    pub(crate) fn save(&mut self, next: State) -> Result<()> {
        self.save_kept(next.kept())?;
        self.save_trial(next.trial())?;
        self.state = next;
        self.answer()
    }

    /// Puts what is kept in the place of what was tried: into force first, and only then is the trial over, so that whoever is
    /// cut off is followed by another who does it again. A disk that cannot be written to hinders nothing.
    pub(crate) fn put_back(&mut self, next: State) -> Result<()> {
        let before = self.state.last();
        self.put(&render::links(next.network()))?;
        tell(self.put(&render::network(next.network(), Some(&before))));
        self.tell_system()?;
        self.save_trial(next.trial())?;
        self.state = next;
        let kept = self.state.kept().clone();
        tell(self.save_kept(&kept));
        tell(self.answer());
        Ok(())
    }

    /// Brings all files to what is in force, as at a boot. `before` is the network that was. Each file is tried, those first
    /// by which the machine is reached.
    pub(crate) fn render(&self, before: &Network) -> Result<()> {
        let network = self.state.network();
        let files = [
            render::links(network),
            render::network(network, Some(before)),
            render::rest(&self.state.kept().settings()),
            vec![render::ntp(self.state.kept().without_ntp)],
        ];
        self.put(&files.concat())
    }

    /// The same, and has the running system look at what is another.
    pub(crate) fn render_now(&self, before: &Network) -> Result<()> {
        let rendered = self.render(before);
        self.tell_system().and(rendered)
    }

    /// Has everything go at the next start that people have set, added or said, or keeps it after all.
    pub(crate) fn reset(&self, wanted: bool) -> Result<()> {
        if wanted {
            journal::warn("at the next start everything goes that was set, added or said, on CONFIG too");
            return self.place.write(Path::new(RESET), b"", 0o600);
        }
        if self.place.remove(RESET)? {
            journal::warn("everything stays after all");
        }
        Ok(())
    }

    /// Writes down that the machine has started, and what is left of a record that could not be read.
    pub(crate) fn start(&mut self) -> Result<()> {
        let mut next = self.state.clone();
        next.start();
        self.save(next)
    }

    /// A machine that has started with everything that was to go: it is not to go at some later start.
    pub(crate) fn forget_reset(&self) -> Result<()> {
        if self.place.remove(RESET)? {
            journal::error(
                "the factory reset could not be done as the machine started; but for keys, tokens and settings that may be gone \
                 from CONFIG, what is there stays, until it is ordered again",
            );
        }
        Ok(())
    }

    /// Tries each, and tells the first error.
    fn put(&self, files: &[render::File]) -> Result<()> {
        let mut done = Ok(());
        for file in files {
            done = done.and(self.place.put(file).map(drop));
        }
        done
    }

    fn tell_system(&self) -> Result<()> {
        self.place.write(Path::new(CHANGED), b"", 0o600)
    }

    fn save_kept(&mut self, kept: &Kept) -> Result<()> {
        if self.written.as_ref() != Some(kept) {
            self.place.save(KEPT, kept)?;
            self.written = Some(kept.clone());
        }
        Ok(())
    }

    fn save_trial(&self, trial: Option<&Trial>) -> Result<()> {
        match trial {
            trial if trial == self.state.trial() => Ok(()),
            Some(trial) => self.place.save(TRIAL, trial),
            None => self.place.remove(TRIAL).map(drop),
        }
    }

    /// Has the answers brought to CONFIG, where others are there.
    fn answer(&self) -> Result<()> {
        let Some(answers) = self.state.kept().answers() else {
            return Ok(());
        };
        let on_config = format!("{}/{}", crate::boot::CONFIG, outcome::NAME);
        let known = [RESULT, &on_config]
            .into_iter()
            .find_map(|path| self.place.read(path, LONGEST).ok().flatten());
        if known.as_deref() == Some(answers.as_bytes()) {
            return Ok(());
        }
        self.place.write(Path::new(RESULT), answers.as_bytes(), 0o644)?;
        self.place.write(Path::new(ANSWERED), b"", 0o600)
    }
}

/// Nobody must be kept out by a record that cannot be read: who got in still does. It is put aside.
fn recover(place: &Place, error: &anyhow::Error) -> Kept {
    journal::error(&format!(
        "{error:#}; it is put aside as {BROKEN}, and but for ways in nothing is set"
    ));
    let moved = fs::rename(place.at(KEPT), place.at(BROKEN));
    tell(moved.with_context(|| format!("cannot rename {KEPT}")));
    let text = |name: &str| {
        let read = place.read(&format!("{}/{name}", render::STATE), LONGEST);
        String::from_utf8_lossy(&read.ok().flatten().unwrap_or_default()).into_owned()
    };
    Kept::recovered(&text("authorized_keys"), &text("token-hashes"), &text("hostname"))
}

/// Tells what went wrong and hinders nothing.
fn tell(done: Result<()>) {
    if let Err(error) = done {
        journal::error(&format!("{error:#}"));
    }
}
