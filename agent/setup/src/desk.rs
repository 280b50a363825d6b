//! What is kept, what is tried, and the files of both; one process at a time has it before it.

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use machine::BootTime;
use setup::file::Problem;
use setup::kept::Kept;
use setup::outcome;
use setup::render;
use setup::settings::{Network, Settings, TimeZone};
use setup::trial::{Origin, Source, Trial, is_risky};

use crate::journal;
use crate::place::Place;

/// What is kept over boots.
const KEPT: &str = "var/lib/hearth/config/settings.json";
/// What is tried, until the next boot at the longest.
const TRIAL: &str = "run/hearth/setup/trial.json";
/// The answer to a file, which `hearth-result.service` brings to CONFIG.
pub(crate) const RESULT: &str = "run/hearth/setup/hearth-result.txt";
/// The wish to have the appliance on the internal disk (`hearth-install.path`).
pub(crate) const INSTALL: &str = "run/hearth/setup/install.json";
/// Written when the running system must be told of a change (`hearth-apply.path`).
const CHANGED: &str = "run/hearth/setup/changed";
const LOCK: &str = "run/hearth/setup/lock";

/// Everything, while nobody else changes it.
#[derive(Debug)]
pub(crate) struct Desk<'p> {
    place: &'p Place,
    _lock: File,
    pub(crate) kept: Kept,
    pub(crate) trial: Option<Trial>,
}

impl<'p> Desk<'p> {
    /// Waits for it and reads it. What cannot be read is passed over and written anew: nobody could come in to mend it.
    pub(crate) fn open(place: &'p Place) -> Result<Self> {
        Ok(Self {
            place,
            _lock: place.lock(LOCK)?,
            kept: or_none(place.load(KEPT)).unwrap_or_default(),
            trial: or_none(place.load(TRIAL)),
        })
    }

    /// The network that is in force.
    pub(crate) fn network(&self) -> &Network {
        self.trial
            .as_ref()
            .map_or(&self.kept.network, |trial| &trial.network)
    }

    /// Brings all files to what is in force, as at a boot. `before` is the network that was.
    pub(crate) fn render(&self, before: &Network) -> Result<()> {
        for file in render::network(self.network(), Some(before)) {
            self.place.put(&file)?;
        }
        for file in render::rest(&self.kept.settings()) {
            self.place.put(&file)?;
        }
        Ok(())
    }

    /// The same, and has the running system look at what is another.
    pub(crate) fn render_now(&self, before: &Network) -> Result<()> {
        self.render(before)?;
        self.place.write(Path::new(CHANGED), b"", 0o600)
    }

    /// Takes over what a file sets. A risky network is tried, and what was before stays kept.
    pub(crate) fn take(&mut self, source: Source, notes: &[String], now: BootTime) -> Result<()> {
        let wanted = self.kept.read(&source);
        let (name, settings) = (source.name.clone(), source.settings.clone());
        if let Some(install) = &settings.install {
            self.place.save(INSTALL, install)?;
        }
        let fate = if is_risky(&self.kept.network, &wanted) {
            self.kept.network = Network {
                ipv4: self.kept.network.ipv4.clone(),
                ..wanted.clone()
            };
            self.trial = Some(Trial::begin(wanted, Origin::File(Box::new(source)), now));
            outcome::Network::OnTrial
        } else {
            self.kept.finish(&source);
            self.kept.network = wanted;
            outcome::Network::InForce
        };
        self.save()?;
        journal::info(&format!("{name} was applied"));
        self.answer(&name, &settings, fate, notes)
    }

    /// A file has mistakes: it sets nothing.
    pub(crate) fn refuse(&self, name: &str, problems: &[Problem]) -> Result<()> {
        for problem in problems {
            journal::warn(&format!("{name}: {problem}"));
        }
        self.result(&outcome::refused(name, problems))
    }

    /// Tries a network on an administrator's order.
    pub(crate) fn begin(&mut self, network: Network, now: BootTime) -> Result<()> {
        self.trial = Some(Trial::begin(network, Origin::Request, now));
        self.save()
    }

    /// What was tried is kept from now on.
    pub(crate) fn keep(&mut self) -> Result<()> {
        let Some(trial) = self.trial.take() else {
            return Ok(());
        };
        journal::info("the network that was tried is kept");
        self.kept.network = trial.network;
        self.over(trial.origin, outcome::Network::InForce)
    }

    /// What was tried is over: nobody has confirmed it. What is kept comes back.
    pub(crate) fn take_back(&mut self) -> Result<()> {
        let before = self.network().clone();
        journal::warn("the network that was tried is taken back: nobody has confirmed it");
        self.withdraw()?;
        self.render_now(&before)
    }

    /// Ends a trial, if there is one. The files are still those of what was tried.
    pub(crate) fn withdraw(&mut self) -> Result<()> {
        match self.trial.take() {
            Some(trial) => self.over(trial.origin, outcome::Network::TakenBack),
            None => Ok(()),
        }
    }

    /// Sets the time zone.
    pub(crate) fn set_time_zone(&mut self, zone: TimeZone) -> Result<()> {
        self.kept.timezone = Some(zone);
        self.save()?;
        self.render_now(&self.network().clone())
    }

    fn over(&mut self, origin: Origin, fate: outcome::Network) -> Result<()> {
        let Origin::File(source) = origin else {
            return self.save();
        };
        self.kept.finish(&source);
        self.save()?;
        self.answer(&source.name, &source.settings, fate, &[])
    }

    /// Keeps what is kept first: a crash in between ends a trial, and loses nothing.
    fn save(&self) -> Result<()> {
        self.place.save(KEPT, &self.kept)?;
        match &self.trial {
            Some(trial) => self.place.save(TRIAL, trial),
            None => self.place.remove(TRIAL).map(drop),
        }
    }

    fn answer(
        &self,
        name: &str,
        settings: &Settings,
        fate: outcome::Network,
        notes: &[String],
    ) -> Result<()> {
        self.result(&outcome::applied(name, settings, fate, notes))
    }

    fn result(&self, text: &str) -> Result<()> {
        self.place.write(Path::new(RESULT), text.as_bytes(), 0o644)
    }
}

fn or_none<T>(loaded: Result<Option<T>>) -> Option<T> {
    loaded.unwrap_or_else(|error| {
        journal::warn(&format!(
            "{error:#}; it is passed over, as if nothing had been set"
        ));
        None
    })
}
