//! What is kept and what is tried, and how one becomes the other: values in, values out. Whoever writes them down may be cut
//! off at any moment, and somebody else goes on.

use machine::BootTime;

use crate::file::Problem;
use crate::kept::Kept;
use crate::outcome;
use crate::settings::{Install, Network, Settings, TimeZone};
use crate::trial::{Origin, Source, Trial, is_risky};

/// Everything that people have set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    kept: Kept,
    trial: Option<Trial>,
}

/// There is no trial that could be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTrial;

impl State {
    /// Of what was written down, the kept before the tried. A trial that what is kept says is over counts no more: whoever
    /// ended it did not come to remove it.
    pub fn new(kept: Kept, trial: Option<Trial>) -> Self {
        let is_on = |trial: &Trial| match &trial.origin {
            Origin::Request => trial.network != kept.network,
            Origin::File(source) => kept.is_pending(source),
        };
        let trial = trial.filter(is_on);
        Self { kept, trial }
    }

    /// What is kept over boots.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// What is tried.
    pub fn trial(&self) -> Option<&Trial> {
        self.trial.as_ref()
    }

    /// The network that is in force.
    pub fn network(&self) -> &Network {
        self.trial
            .as_ref()
            .map_or(&self.kept.network, |trial| &trial.network)
    }

    /// The network that was in force last: where a trial's record is lost, its Wi-Fi network is still there.
    pub fn last(&self) -> Network {
        let network = self.network();
        let wifi = self.kept.tried.as_ref().filter(|_| self.trial.is_none());
        Network {
            wifi: wifi.or(network.wifi.as_ref()).cloned(),
            ..network.clone()
        }
    }

    /// Whether a trial has left its Wi-Fi network behind.
    pub fn has_left(&self) -> bool {
        self.trial.is_none() && self.kept.tried.is_some()
    }

    /// Takes over what a file sets. A risky network is tried, and what was before stays kept. A trial goes on beside a file
    /// that says nothing of how the machine is reached, and is over where it is of this file or in the other's way.
    ///
    /// Returns the wish to be copied that is to be handed on.
    pub fn read(&mut self, mut source: Source, now: BootTime) -> Option<Install> {
        let (counting, notes) = self.kept.counting(&source);
        source.notes.extend(notes);
        self.make_way(&source.name, &counting);
        let wish = source.settings.install.clone();
        let wish = wish.filter(|_| self.kept.want_installation(&source.digest));
        let wanted = self.kept.read(&source, &counting);
        if self.trial.is_none() && is_risky(&self.kept.network, &wanted) {
            self.kept.network.hostname = wanted.hostname.clone();
            // A first Wi-Fi network takes nothing away.
            let first = self.kept.network.wifi.take().or(wanted.wifi.clone());
            self.kept.network.wifi = first;
            self.answer(&source, outcome::Network::OnTrial);
            self.try_out(wanted, Origin::File(Box::new(source)), now);
        } else {
            self.kept.network = wanted;
            self.answer(&source, outcome::Network::InForce);
        }
        if self
            .trial
            .as_ref()
            .is_some_and(|trial| trial.network == self.kept.network)
        {
            // The file's host name was all that was tried.
            self.end(outcome::Network::InForce);
        }
        wish
    }

    /// Ends a trial for the sake of a file, or gives it the file's host name.
    fn make_way(&mut self, name: &str, counting: &Settings) {
        let is_in_the_way = counting.ipv4.is_some() || counting.wifi.is_some();
        let is_of_file = |trial: &Trial| matches!(&trial.origin, Origin::File(source) if source.name == name);
        if is_in_the_way || self.trial.as_ref().is_some_and(is_of_file) {
            self.end(outcome::Network::GivenUp);
        } else if let (Some(trial), Some(hostname)) = (&mut self.trial, &counting.hostname) {
            trial.network.hostname = hostname.clone();
        }
    }

    /// A file has mistakes: it sets nothing.
    pub fn refuse(&mut self, name: &str, problems: &[Problem]) {
        self.kept.refuse(name, outcome::refused(name, problems));
    }

    /// A file is not there, or as it was read last: mistakes that it had meanwhile count no more.
    pub fn excuse(&mut self, name: &str) {
        self.kept.excuse(name);
    }

    /// Tries a network on an administrator's order, in the place of any that is tried.
    pub fn begin(&mut self, network: Network, now: BootTime) {
        self.end(outcome::Network::GivenUp);
        self.try_out(network, Origin::Request, now);
    }

    fn try_out(&mut self, network: Network, origin: Origin, now: BootTime) {
        self.kept.tried.clone_from(&network.wifi);
        self.trial = Some(Trial::begin(network, origin, now));
    }

    /// An administrator has reached the machine by what is tried.
    ///
    /// # Errors
    /// [`NoTrial`] if nothing is tried, or its time is up.
    pub fn confirm(&mut self, now: BootTime) -> Result<(), NoTrial> {
        let is_in_time = self.trial.as_ref().is_some_and(|trial| trial.is_in_time(now));
        is_in_time.then(|| self.keep()).ok_or(NoTrial)
    }

    /// What is tried is kept from now on.
    pub fn keep(&mut self) {
        if let Some(trial) = &self.trial {
            self.kept.network = trial.network.clone();
        }
        self.end(outcome::Network::InForce);
    }

    /// What is tried is over, and what is kept in force again.
    pub fn take_back(&mut self) {
        self.end(outcome::Network::TakenBack);
    }

    /// An administrator wants what is kept, and not what is tried.
    pub fn give_up(&mut self) {
        self.end(outcome::Network::GivenUp);
    }

    /// The time of what is tried begins anew.
    pub fn begin_anew(&mut self, now: BootTime) {
        self.trial = self.trial.take().map(|trial| trial.anew(now));
    }

    /// Another time zone, and whether the clock is set over the network; `None`: as it is.
    pub fn set_clock(&mut self, zone: TimeZone, ntp: Option<bool>) {
        self.kept.timezone = Some(zone);
        self.kept.without_ntp = ntp.map_or(self.kept.without_ntp, |ntp| !ntp);
    }

    /// The machine has started.
    pub fn start(&mut self) {
        self.kept.start();
    }

    /// How the copy to the internal disk went.
    pub fn installed(&mut self, answer: &str) {
        self.kept.installed(answer);
    }

    fn end(&mut self, fate: outcome::Network) {
        self.kept.tried = None;
        if let Some(Trial {
            origin: Origin::File(source),
            ..
        }) = self.trial.take()
        {
            self.answer(&source, fate);
        }
    }

    fn answer(&mut self, source: &Source, fate: outcome::Network) {
        let text = outcome::applied(&source.name, &source.settings, fate, &source.notes);
        self.kept.answer(source, fate != outcome::Network::OnTrial, text);
    }
}

#[cfg(test)]
mod tests;
